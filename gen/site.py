"""Every generated file of the site, as text and bytes by path: a pure function of the repository."""

from __future__ import annotations

from pathlib import Path

from src.documents.context import Context, Names
from src.documents.pages import home_findings, site_pages
from src.record.load import load_record

from .api import api_pages

FINDINGS = "<!-- findings -->"
"""Where the handwritten home page wants the findings."""


def generate(root: Path, cache: Path | None) -> dict[str, str | bytes]:
    """Generate the site's pages and charts.

    Args:
        root: The repository.
        cache: Where analysis and charts are kept; None to make them anew.

    Returns:
        Contents by path inside the site's source folder.

    Raises:
        InputError: The record is missing or malformed.
    """
    record = load_record(root)
    context = Context(record, Names.of(record), cache)
    files: dict[str, str | bytes] = {**site_pages(context), **api_pages(root)}
    home = (root / "docs" / "index.md").read_text(encoding="utf-8")
    files["index.md"] = home.replace(FINDINGS, home_findings(context))
    for chart in context.charts:
        for kind in ("light.svg", "dark.svg"):
            files[f"assets/charts/{chart.name}.{kind}"] = context.rendered(chart, kind)
    return files
