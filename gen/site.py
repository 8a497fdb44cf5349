"""Every generated file of the site, as text and bytes by path: a pure function of the repository."""

from __future__ import annotations

from pathlib import Path

from src.cli import say
from src.documents.context import Context, Names
from src.documents.downloads import chart_csv, explorer_json, predictions_csv
from src.documents.pages import site_pages
from src.documents.pdf import pdf_missing, start_pdf
from src.documents.report import Report
from src.figures.catalog import drawn_beside
from src.figures.social import social_card
from src.record.load import Record, load_record

from .api import api_pages
from .reference import reference_pages


def generate(root: Path, cache: Path | None) -> dict[str, str | bytes]:
    """Generate the site's pages, charts, pictures and downloads.

    Args:
        root: The repository.
        cache: Where analysis and charts are kept; None to make them anew.

    Returns:
        Contents by path inside the site's source folder.

    Raises:
        InputError: The record is missing or malformed.
    """
    return generate_from_inputs(root, cache)[0]


def generate_from_inputs(root: Path, cache: Path | None) -> tuple[dict[str, str | bytes], list[Path]]:
    """Generate as `generate` does, and list the folders besides the repository's own that the pages are made from.

    Raises:
        InputError: The record is missing or malformed.
    """
    with drawn_beside(cache and cache / "charts") as draw:
        record = load_record(root)
        context = Context(record, Names.of(record), cache)
        draw(context.charts)
        lacking = pdf_missing()
        report = Report(context)
        finish = start_pdf(report) if lacking is None else None
        files: dict[str, str | bytes] = {
            **site_pages(report, pdf=lacking is None),
            **reference_pages(),
            **api_pages(root),
            **_downloads(record),
            "assets/data/final_report.json": report.json(),
        }
        files["assets/social.png"] = social_card(
            record.project.headline or record.project.title, record.project.title, context.example_tokens or [], cache
        )
    for chart in context.charts:
        for kind in ("light.svg", "dark.svg"):
            files[f"assets/charts/{chart.name}.{kind}"] = context.rendered(chart, kind)
        files[f"assets/data/{chart.name}.csv"] = chart_csv(chart)
    if finish is not None:
        files["assets/report.pdf"] = finish()
    else:
        say(f"the site is built without the report as PDF: {lacking}")
    folders = [record.data, record.checkpoint, record.base_folder]
    return files, [folder for folder in folders if folder is not None]


def _downloads(record: Record) -> dict[str, str | bytes]:
    if record.predictions is None:
        return {}
    files: dict[str, str | bytes] = {"assets/data/examples.json": explorer_json(record.predictions)}
    table = predictions_csv(record.predictions)
    return files if table is None else files | {"assets/data/predictions.csv": table}
