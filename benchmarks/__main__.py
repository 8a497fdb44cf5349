"""`python -m benchmarks`: print how long things take relative to something next to them, measured in turn in one run.

Seconds depend on the machine, so only the ratios say something, and only on a machine that does nothing else. Takes a few minutes.

- `publish --dry-run` of the tiny project, relative to importing what `transformers` loads models with;
- a site build with an empty cache, and one with only the analysis in it, relative to one with a full cache;
- a site build for ten times the questions, relative to one for the questions as they are, both with an empty cache.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
ROUNDS = 3
TIMES = 10
"""How many times as many questions the larger record has."""

Work = Callable[[], object]


class Ratio(NamedTuple):
    """A line of the result: what was measured, relative to what, and the median seconds of both."""

    what: str
    relative_to: str
    seconds: float
    reference: float

    def __str__(self) -> str:
        ratio = self.seconds / self.reference
        return f"{self.what:<42} {self.seconds:6.2f} s  {ratio:6.2f} x  {self.relative_to} ({self.reference:.2f} s)"


def run(folder: Path, *arguments: str) -> None:
    """Run Python in a project's folder, offline, with this repository's code."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"python {' '.join(arguments)}: {done.stderr.strip()[-500:]}")


def medians(**works: tuple[Work, Work]) -> dict[str, float]:
    """Time several things in turn, each after its own preparation, and return the median seconds of each."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for number in range(ROUNDS + 1):
        for name, (prepare, work) in works.items():
            prepare()
            start = time.perf_counter()
            work()
            if number:  # the first round only fills the system's caches
                found[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in found.items()}


def project(target: Path) -> Path:
    """Copy the tiny project with what builds its site, and a cache of its own."""
    shutil.copytree(ROOT / "tests/tiny", target)
    for name in ("src", "gen", "overrides"):
        (target / name).symlink_to(ROOT / name)
    for name in ("guides", "assets"):
        shutil.copytree(ROOT / "docs" / name, target / "docs" / name)
    shutil.copy(ROOT / "mkdocs.yml", target)
    return target


def larger(root: Path, times: int) -> Path:
    """Repeat a record's questions, each with a new id."""
    import pyarrow as pa

    from tests.records import rewrite, set_column, tables

    repeated = [pa.concat_tables([table] * times) for table in tables(root)]
    ids = [f"q-{i}" for i in range(len(repeated[0]))]
    questions, base, finetuned = (set_column(table, "id", ids) for table in repeated)
    rewrite(root, questions, base, finetuned)
    return root


def empty(root: Path) -> None:
    """Empty a project's cache."""
    shutil.rmtree(root / ".cache", ignore_errors=True)


def only_analysis(root: Path) -> None:
    """Leave only the analysis in a project's cache."""
    for path in (root / ".cache").iterdir():
        if not path.name.endswith(".analysis.json"):
            path.unlink()


def site(root: Path) -> None:
    """Build a project's site, without the Python reference, which does not depend on the record."""
    os.environ["ENABLE_MKDOCSTRINGS"] = "false"
    run(root, "-m", "mkdocs", "build", "--quiet")


def nothing() -> None:
    """Prepare nothing."""


def publishing(folder: Path) -> list[Ratio]:
    """Compare a dry run of the publisher with an import that it has to do without."""
    root = project(folder / "publish")
    found = medians(
        imported=(nothing, lambda: run(root, "-c", "import transformers, transformers.modeling_utils")),
        planned=(nothing, lambda: run(root, "-m", "src.publish", "--dry-run", "--output", str(folder / "bundle"))),
    )
    return [Ratio("publish --dry-run", "importing transformers' models", found["planned"], found["imported"])]


def building(folder: Path) -> list[Ratio]:
    """Compare site builds with an empty cache, with the analysis in it, and with everything in it."""
    root = project(folder / "site")
    found = medians(
        cold=(lambda: empty(root), lambda: site(root)),
        analysis=(lambda: only_analysis(root), lambda: site(root)),
        warm=(nothing, lambda: site(root)),
    )
    return [
        Ratio("site build, empty cache", "full cache", found["cold"], found["warm"]),
        Ratio("site build, only the analysis cached", "full cache", found["analysis"], found["warm"]),
    ]


def growth(folder: Path) -> list[Ratio]:
    """Compare site builds for more and for fewer questions."""
    small, large = larger(project(folder / "small"), 1), larger(project(folder / "large"), TIMES)
    found = medians(
        small=(lambda: empty(small), lambda: site(small)),
        large=(lambda: empty(large), lambda: site(large)),
    )
    return [Ratio(f"site build, {TIMES} times the questions", "the questions once", found["large"], found["small"])]


def main() -> None:
    """Measure everything, and print a line for each ratio as soon as it is known."""
    with tempfile.TemporaryDirectory() as name:
        for measure in (publishing, building, growth):
            for ratio in measure(Path(name)):
                print(ratio, flush=True)


if __name__ == "__main__":
    main()
