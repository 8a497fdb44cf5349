"""How fast the report becomes a PDF, against the least that could be done, side by side in one run: `python -m benchmarks.report`.

- floor: pandoc turns the same document into plain HTML, citations and all;
- cold: `python -m src.report` with an empty `.cache/`: record, analysis, charts, pandoc and Typst;
- cached: the same with the charts in the cache, the PDF made again;
- unchanged: the same with the PDF in the cache as well.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import pypandoc

from src.documents.build import build
from src.documents.templates import FRAGMENTS

from .site import ROOT, copy, run

ROUNDS = 5


def floor(folder: Path) -> None:
    """Let pandoc write the document as HTML."""
    command = [pypandoc.get_pandoc_path(), "report.md", "--to=html", "--standalone", "--citeproc"]
    command += [f"--bibliography={path}" for path in (FRAGMENTS / "references.bib", ROOT / "docs/references.bib")]
    command += ["--metadata=title:Report", "--output=report.html"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def measure(folder: Path) -> dict[str, float]:
    """Time all four in turn and return medians in seconds, and their ratios to the floor."""
    ours, plain = copy(folder / "ours"), folder / "plain"
    plain.mkdir()
    (plain / "report.md").write_text(build(ROOT, None).printed_report[0].text, encoding="utf-8")
    times: dict[str, list[float]] = {"floor": [], "cold": [], "cached": [], "unchanged": []}
    for number in range(ROUNDS + 1):
        for name, found in times.items():
            if name == "cold":
                shutil.rmtree(ours / ".cache", ignore_errors=True)
            if name == "cached":
                for pdf in (ours / ".cache").glob("*.report.pdf"):
                    pdf.unlink()
            start = time.perf_counter()
            if name == "floor":
                floor(plain)
            else:
                run(ours, "-m", "src.report")
            if number:  # the first round only fills the system's caches
                found.append(time.perf_counter() - start)
    out = {name: statistics.median(found) for name, found in times.items()}
    return out | {f"{name}_ratio": out[name] / out["floor"] for name in ("cold", "cached", "unchanged")}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(measure(Path(name)), indent=2))
