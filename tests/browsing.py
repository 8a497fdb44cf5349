"""A folder served over HTTP, compressed as real hosts do, and a real browser to look at it."""

from __future__ import annotations

import gzip
import mimetypes
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)


@contextmanager
def serving(folder: Path, prefix: str = "/") -> Iterator[str]:
    """Serve a folder under a prefix; give its address, which ends in a slash."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            del format, args

        def do_GET(self) -> None:
            path = self.path.split("?")[0].split("#")[0]
            file = folder / path.removeprefix(prefix) if path.startswith(prefix) else folder / "no such file"
            if file.is_dir():
                file = file / "index.html"
            status, content = (200, file.read_bytes()) if file.is_file() else (404, b"not found")
            kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if not kind.startswith(("image/png", "font/", "application/octet-stream")):  # as hosts do
                content = gzip.compress(content, 6)
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "max-age=600")
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{prefix}"
    finally:
        server.shutdown()


@contextmanager
def browsing() -> Iterator[Browser]:
    """Give a headless Chromium."""
    assert CHROMIUM, "Chromium is not installed: install it, so that it is on the PATH"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


def axe(page: Page, where: str, rules: list[str] | None = None) -> list[str]:
    """List what axe finds on a page, whatever the impact.

    Args:
        page: The page as it is now.
        where: What the findings begin with.
        rules: The rules that are looked at; all by default.
    """
    # For all that passes it would work out selectors, which takes as long again.
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    found = Axe().run(page, options=options).response["violations"]
    return [f"{where}: {v['id']} ({v['impact']}): {v['nodes'][0]['html'][:200]}" for v in found]


def overflow(page: Page) -> int:
    """Say by how many pixels the page scrolls sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


class Watched:
    """A page whose requests to other sites, failed requests, console errors and dialogs are written down."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.wrong: list[str] = []
        page, wrong = self.page, self.wrong
        page.on("request", lambda r: None if r.url.startswith((address, "data:", "blob:")) else wrong.append(r.url))
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: wrong.append(str(e)))
        page.on("response", lambda r: wrong.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        page.on("dialog", lambda d: (wrong.append(f"dialog: {d.message}"), d.dismiss())[1])
