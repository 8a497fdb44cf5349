"""Every generated file of the site, as text and bytes by path: a pure function of the repository."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from src.cli import say
from src.documents.context import Context, RepoNames, compile_fragments
from src.documents.downloads import chart_csv, explorer_json, predictions_csv
from src.documents.pages import site_pages
from src.documents.pdf import pdf_missing, start_pdf
from src.documents.report_text import Report
from src.figures.beside import Beside
from src.figures.social import social_card
from src.record.load import Record, load_record

from .api import api_pages
from .generated import Generated
from .reference import reference_pages


def generate(root: Path, cache: Path | None) -> dict[str, str | bytes]:
    """Generate the site's pages, charts, pictures and downloads.

    Args:
        root: The repository.
        cache: Where analysis and charts are kept; None to make them again.

    Returns:
        Contents by path inside the site's source folder.

    Raises:
        InputError: The record is missing or malformed.
    """
    generated = start_generating(root, cache)
    return {**generated.files, **generated.finish()}


def start_generating(root: Path, cache: Path | None, beside: Beside | None = None) -> Generated:
    """Generate as `generate` does, but leave pictures and PDF to be made while the caller goes on.

    Args:
        root: The repository.
        cache: Where analysis and charts are kept; None to make them again.
        beside: Draws the charts, and may already be at work on the analysis; by default one that begins now.

    Raises:
        InputError: The record is missing or malformed.
    """
    with ExitStack() as stack:
        beside = beside or Beside(cache and cache / "charts")
        stack.callback(beside.cancel)
        generated = _start(root, cache, beside)
        stack.pop_all()
    return generated


def _start(root: Path, cache: Path | None, beside: Beside) -> Generated:
    record = load_record(root)
    context = Context(record, RepoNames.of(record), cache)
    # What needs no analysis comes first: elsewhere the analysis may still be at work.
    files: dict[str, str | bytes] = {**reference_pages(), **api_pages(root), **_downloads(record)}
    card = (record.project.headline or record.project.title, record.project.title, context.example_tokens or [], cache)
    _ = record.splits, record.references
    if cache is not None and beside.busy:
        compile_fragments(cache)
    beside.ready()
    beside.draw(context.charts)
    beside.also(social_card, *card)
    missing = pdf_missing()
    report = Report(context)
    pdf = start_pdf(report) if missing is None else None
    files |= site_pages(report, pdf=missing is None)
    files |= {f"assets/data/{chart.name}.csv": chart_csv(chart) for chart in context.charts}
    files["assets/data/final_report.json"] = report.json()
    if missing is not None:
        say(f"the site is built without the report as PDF: {missing}")
    charts = {f"assets/charts/{c.name}.{kind}": (c, kind) for c in context.charts for kind in ("light.svg", "dark.svg")}

    def make() -> dict[str, bytes]:
        beside.wait()
        made = {path: context.rendered(chart, kind) for path, (chart, kind) in charts.items()}
        made["assets/social.png"] = social_card(*card)
        return made if pdf is None else made | {"assets/report.pdf": pdf()}

    late = (*charts, "assets/social.png", *(("assets/report.pdf",) if pdf is not None else ()))
    pool = ThreadPoolExecutor(1)
    making = pool.submit(make)
    pool.shutdown(wait=False)
    folders = [folder for folder in (record.data, record.checkpoint, record.base_folder) if folder is not None]
    return Generated(files, late, making.result, folders)


def _downloads(record: Record) -> dict[str, str | bytes]:
    if record.predictions is None:
        return {}
    files: dict[str, str | bytes] = {"assets/data/examples.json": explorer_json(record.predictions)}
    table = predictions_csv(record.predictions)
    return files if table is None else files | {"assets/data/predictions.csv": table}
