"""How fast the site is built, against the least that could be done, side by side in one run: `python -m benchmarks.site`.

- floor: MkDocs builds the same site from a folder in which all generated pages and charts lie already;
- warm and cold: our build with and without `.cache/`;
- rebuild: what `mkdocs serve` does after a change of one fragment, in a process that has built once, against the floor's;
- growth: time and memory of loading and analysing 1,000 to 1,000,000 predictions, and of generating the site from them.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
ROUNDS = 5
SIZES = (1_000, 10_000, 100_000, 1_000_000)

REBUILD = """
import logging, sys, time
from pathlib import Path
from mkdocs.commands.build import build
from mkdocs.config import load_config
logging.disable(logging.CRITICAL)
touched, times = Path(sys.argv[1]), []
build(load_config("mkdocs.yml"))
for i in range(int(sys.argv[2])):
    touched.write_text(touched.read_text() + "\\n")
    start = time.perf_counter()
    build(load_config("mkdocs.yml"))
    times.append(time.perf_counter() - start)
print(sorted(times)[len(times) // 2])
"""

RECORD = """
import sys
from pathlib import Path
from benchmarks.site import make_record
make_record(Path(sys.argv[1]), int(sys.argv[2]))
"""

GROWTH = """
import json, resource, sys, time
from pathlib import Path
from gen.site import generate
from src.analysis.analyse import analyse
from src.record.load import load_record
root = Path(sys.argv[1])
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
start = time.perf_counter(); record = load_record(root); loaded = time.perf_counter() - start
start = time.perf_counter(); analyse(record); analysed = time.perf_counter() - start
memory = peak()
generate(root, root / ".cache")
start = time.perf_counter(); generate(root, root / ".cache"); generated = time.perf_counter() - start
print(json.dumps({"load_s": loaded, "analyse_s": analysed, "mb": memory, "generate_warm_s": generated, "generate_mb": peak()}))
"""


def run(folder: Path, *arguments: str) -> str:
    """Run Python in a folder, with its own code if it has some."""
    code = folder if (folder / "src").is_dir() else ROOT
    environment = {**os.environ, "PYTHONPATH": str(code), "PYTHONDONTWRITEBYTECODE": ""}  # it is compiled once
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


def copy(target: Path) -> Path:
    """Copy what a build reads."""
    for name in ("configs", "results", "docs", "gen", "overrides", "data", "checkpoints", "models", "src"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("mkdocs.yml", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, target / name)
    return target


def builds(folder: Path) -> dict[str, float]:
    """Time cold, warm and floor builds in turn, and the rebuilds."""
    ours, plain = copy(folder / "ours"), folder / "plain"
    run(ours, "-m", "gen", str(plain))
    times: dict[str, list[float]] = {"floor": [], "warm": [], "cold": []}
    for number in range(ROUNDS + 1):
        for name, where in (("floor", plain), ("cold", ours), ("warm", ours)):
            if name == "cold":
                shutil.rmtree(ours / ".cache", ignore_errors=True)
            start = time.perf_counter()
            run(where, "-m", "mkdocs", "build", "-q")
            if number:  # the first round only fills the system's caches
                times[name].append(time.perf_counter() - start)
    out = {name: statistics.median(found) for name, found in times.items()}
    out |= {f"{name}_ratio": out[name] / out["floor"] for name in ("warm", "cold")}
    fragment = ours / "src/fragments/site/glossary.md.j2"
    out["rebuild"] = float(run(ours, "-c", REBUILD, str(fragment), str(ROUNDS)))
    out["rebuild_floor"] = float(run(plain, "-c", REBUILD, str(plain / "docs/guides/glossary.md"), str(ROUNDS)))
    return out | {"rebuild_ratio": out["rebuild"] / out["rebuild_floor"]}


def make_record(folder: Path, size: int) -> None:
    """Write a record of so many predictions: some of the committed ones, or each of them several times, with new ids."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tests.records import rewrite_predictions

    for name in ("configs", "docs"):
        shutil.copytree(ROOT / name, folder / name)
    results_folder = folder / "results/gpt2-mini"
    results_folder.mkdir(parents=True)
    table = pq.read_table(ROOT / "results/gpt2-mini/predictions.parquet")
    table = table.take(np.linspace(0, table.num_rows - 1, size).astype(int))  # task by task, as evaluations write them
    table = table.set_column(0, "id", pa.array([f"q-{i}" for i in range(size)]))
    results: dict[str, Any] = json.loads((ROOT / "results/gpt2-mini/evaluation_results.json").read_text())
    for key in ("training_log", "hashes"):
        results.pop(key)
    (results_folder / "evaluation_results.json").write_text(json.dumps(results))
    rewrite_predictions(folder, table)


def growth(folder: Path) -> dict[str, Any]:
    """Measure how time and memory grow with the number of predictions.

    Records are made in processes of their own too: a process's peak of memory begins with that of the one that starts it.
    """
    out = {}
    for size in SIZES:
        root = str(folder / str(size))
        run(ROOT, "-c", RECORD, root, str(size))
        out[f"{size:,}"] = json.loads(run(ROOT, "-c", GROWTH, root))
    return out


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps({"builds": builds(Path(name)), "growth": growth(Path(name))}, indent=2))
