"""The Space's page; that it answers in a browser is part of `test_publish`."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from src.documents.build import Documents
from src.documents.context import Context
from src.hub.bundle import collect, write_bundle

from .browsing import Watched, browsing, serving

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_the_space(context: Context, tmp_path: Path, scheme: str) -> None:
    """Without a script it shows recorded answers; axe finds nothing, and nothing scrolls sideways at 320 px."""
    names = context.names.__class__.of(context.record, "alice")
    write_bundle(collect(Documents(Context(context.record, names)), ("space",)), tmp_path / "bundle")
    with serving(tmp_path / "bundle/space", "/a/") as url, browsing() as browser:
        seen = Watched(
            browser, url, color_scheme=scheme, viewport={"width": 320, "height": 900}, java_script_enabled=True
        )
        seen.page.goto(url + "index.html", wait_until="networkidle")
        assert not [v["id"] for v in Axe().run(seen.page).response["violations"]]
        assert seen.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert not seen.wrong
