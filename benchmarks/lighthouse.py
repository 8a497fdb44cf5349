"""Lighthouse's performance score on a phone, beside that of a bare Material page in the same run: `python -m benchmarks.lighthouse`.

It also times the search of the examples page.

The score depends on how busy the machine is, so only its distance from the bare page says something. `make test` installs Lighthouse.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.browsing import CHROMIUM, browsing, serving

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / ".cache/npm/node_modules/.bin/lighthouse"
ROUNDS = 3
PAGES = ("", "results/", "examples/")
BARE = "site_name: Bare\ntheme: {name: material, font: false}\n"


SEARCH = """
() => {
  const field = document.querySelector(".explorer-form input");
  const began = performance.now();
  for (const text of ["e", "es", "est", ""]) {
    field.value = text;
    field.dispatchEvent(new Event("input"));
  }
  return (performance.now() - began) / 4;
}
"""
"""Types into the search of the examples page; milliseconds a key."""


def score(address: str, folder: Path) -> float:
    """Return the performance score of a page, from 0 to 100."""
    assert CHROMIUM, "Chromium is not installed"
    output = folder / "scores.json"
    command = [
        str(PROGRAM), address, "--quiet", "--output=json", f"--output-path={output}", "--only-categories=performance",
        "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
    ]  # fmt: skip
    subprocess.run(command, env={**os.environ, "CHROME_PATH": CHROMIUM}, check=True, timeout=180)
    return 100 * float(json.loads(output.read_text())["categories"]["performance"]["score"])


def search(address: str) -> float:
    """Return how many milliseconds the examples page takes for a key that is typed into its search."""
    with browsing() as browser:
        page = browser.new_page()
        page.goto(address + "examples/?outcome=fixed")
        page.wait_for_selector("[data-ready]")
        return float(page.evaluate(SEARCH))


def main() -> None:
    """Build both sites, and score their pages in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bare/docs").mkdir(parents=True)
        (folder / "bare/mkdocs.yml").write_text(BARE)
        (folder / "bare/docs/index.md").write_text("# Bare\n\nA page.\n")
        for where, out in ((folder / "bare", folder / "bare/site"), (ROOT, folder / "ours")):
            build = [sys.executable, "-m", "mkdocs", "build", "-q", "-d", str(out)]
            subprocess.run(build, cwd=where, check=True)
        with serving(folder / "bare/site") as bare, serving(folder / "ours") as ours:
            pages = {"bare": bare, **{path or "home": ours + path for path in PAGES}}
            found: dict[str, list[float]] = {page: [] for page in pages}
            for _ in range(ROUNDS):
                for page, address in pages.items():
                    found[page].append(score(address, folder))
                found.setdefault("search, ms a key", []).append(search(ours))
    print(json.dumps({page: statistics.median(scores) for page, scores in found.items()}, indent=2))


if __name__ == "__main__":
    main()
