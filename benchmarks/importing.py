"""How fast lm-evaluation-harness' samples become a record, against the least that could be done: `python -m benchmarks.importing`.

- floor: every line of both models' samples is parsed as JSON and checked for nothing;
- import: `python -m src.import_results lm-eval` of the same folders, in a process of its own.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from .site import ROOT, run

ROUNDS = 3
SAMPLES = 100_000

FLOOR = """
import json, sys
from pathlib import Path
for folder in sys.argv[1:]:
    for path in Path(folder).rglob("samples_*.jsonl"):
        with path.open() as lines:
            for line in lines:
                json.loads(line)
"""

IMPORT = """
import resource, runpy, sys
sys.argv = ["import_results", *sys.argv[1:]]
try:
    runpy.run_module("src.import_results", run_name="__main__")
finally:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def enlarge(folder: Path) -> list[Path]:
    """Copy the real outputs of two runs, one task's samples over and over with new ids."""
    folders = []
    for name in ("base", "tuned"):
        folders.append(Path(shutil.copytree(ROOT / "tests/data/lm_eval" / name, folder / name)))
        path = next(folders[-1].rglob("samples_odd_pick*"))
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        with path.open("w") as out:
            for i in range(SAMPLES):
                out.write(json.dumps(lines[i % len(lines)] | {"doc_id": i}) + "\n")
    return folders


def measure(folder: Path) -> dict[str, Any]:
    """Time both in turn; return medians in seconds, their ratio, and the import's peak of memory in MB."""
    runs = [str(path) for path in enlarge(folder)]
    project = folder / "project"
    shutil.copytree(ROOT / "configs", project / "configs")
    times: dict[str, list[float]] = {"floor": [], "import": []}
    peaks = []
    for number in range(ROUNDS):
        start = time.perf_counter()
        run(project, "-c", FLOOR, *runs)
        times["floor"].append(time.perf_counter() - start)
        command = ("lm-eval", *runs, "--name", f"mine-{number}", "--filter", "first-word")
        start = time.perf_counter()
        said = run(project, "-c", IMPORT, *command)
        times["import"].append(time.perf_counter() - start)
        peaks.append(float(said.split()[-1]))
    out = {name: statistics.median(found) for name, found in times.items()}
    return out | {"ratio": out["import"] / out["floor"], "import_mb": statistics.median(peaks)}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(measure(Path(name)), indent=2))
