"""The Space's page; that it answers in a browser is part of `test_publish`."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from src.documents.build import Documents
from src.documents.context import Context, RepoNames
from src.hub.bundle import collect
from src.hub.repository import write_bundle
from src.record.load import load_record

from .browsing import Watched, browsing, serving
from .conftest import copy_tiny

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_the_space(tmp_path: Path, scheme: str) -> None:
    """Axe finds nothing, and nothing scrolls sideways at 320 px."""
    record = load_record(copy_tiny(tmp_path / "project"))
    documents = Documents(Context(record, RepoNames.of(record, "alice")))
    write_bundle(collect(documents, ("space",)), tmp_path / "bundle")
    with serving(tmp_path / "bundle/space", "/a/") as url, browsing() as browser:
        seen = Watched(browser, url, color_scheme=scheme, viewport={"width": 320, "height": 900})
        seen.page.goto(url + "index.html", wait_until="networkidle")
        assert not [v["id"] for v in Axe().run(seen.page).response["violations"]]
        assert seen.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert not seen.wrong
