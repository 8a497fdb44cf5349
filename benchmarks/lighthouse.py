"""Lighthouse's performance score on a phone, beside that of a bare Material page in the same run: `python -m benchmarks.lighthouse`.

The score depends on how busy the machine is, so only its distance from the bare page says something. `make test` installs Lighthouse.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / ".cache/npm/node_modules/.bin/lighthouse"
ROUNDS = 3
PAGES = ("", "results/", "examples/")
BARE = "site_name: Bare\ntheme: {name: material, font: false}\n"


class Compressed(SimpleHTTPRequestHandler):
    """Serves a folder compressed, as code hosts do, and without a line per request."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Send a file."""
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            self.send_error(404)
            return
        body = gzip.compress(path.read_bytes(), compresslevel=6)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(folder: Path) -> str:
    """Serve a folder and return its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Compressed, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/"


def score(address: str, folder: Path) -> float:
    """Return the performance score of a page, from 0 to 100."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
    output = folder / "scores.json"
    command = [
        str(PROGRAM), address, "--quiet", "--output=json", f"--output-path={output}", "--only-categories=performance",
        "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
    ]  # fmt: skip
    subprocess.run(command, env={**os.environ, "CHROME_PATH": chromium}, check=True, timeout=180)
    return 100 * float(json.loads(output.read_text())["categories"]["performance"]["score"])


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
        bare, ours = serve(folder / "bare/site"), serve(folder / "ours")
        pages = {"bare": bare, **{path or "home": ours + path for path in PAGES}}
        found: dict[str, list[float]] = {page: [] for page in pages}
        for _ in range(ROUNDS):
            for page, address in pages.items():
                found[page].append(score(address, folder))
    print(json.dumps({page: statistics.median(scores) for page, scores in found.items()}, indent=2))


if __name__ == "__main__":
    main()
