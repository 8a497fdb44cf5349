"""What a visitor of the Space would do in a browser, run in the child process.

The Space's files, as they were read back from the Hub, are served from this machine; the
weights come from the Hub itself, to which the page says no token.
"""

from __future__ import annotations

import functools
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
"""Browsers that are used where there is one; otherwise the one that playwright installed."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        del format, args


def ask(request: dict[str, Any]) -> dict[str, Any]:
    """Ask both models a question in the Space's page.

    Args:
        request: `folder`, `word`, `question`, `answers` (where they stand, as a CSS selector), `endpoint` and `seconds`.

    Returns:
        `answers` of the base and the fine-tuned model, what the page `said`, and the addresses that it `loaded` from the Hub.
    """
    from playwright.sync_api import sync_playwright

    handler = functools.partial(_Quiet, directory=request["folder"])
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    loaded: list[str] = []
    with sync_playwright() as playwright:
        executable = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.on("requestfinished", lambda r: loaded.append(r.url) if r.url.startswith(request["endpoint"]) else None)
        about = urlencode({"word": request["word"], "question": request["question"]})
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/index.html?{about}")
        page.locator(".try-it-load").click()
        page.wait_for_selector(".try-it[data-state=done], .try-it-wrong", timeout=1000 * request["seconds"])
        reply = {
            "answers": page.eval_on_selector_all(request["answers"], "found => found.map((e) => e.dataset.answer)"),
            "said": page.locator(".try-it-status").inner_text(),
            "loaded": sorted(loaded),
        }
        browser.close()
    server.shutdown()
    return reply
