"""Every generated file of the site, as bytes by path: a pure function of the repository."""

from __future__ import annotations

import html
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from src.cli import say
from src.documents.build import Documents, build
from src.documents.claims import ClaimsError, unsupported
from src.documents.demo import Demo
from src.documents.downloads import chart_csv
from src.documents.pages import site_pages
from src.documents.pdf import pdf_missing
from src.documents.templates import unused_words
from src.figures.catalog import KINDS
from src.figures.social import social_card
from src.record.config import ProjectConfig
from src.record.files import load_yaml
from src.record.load import PROJECT

from .api import api_pages
from .reference import reference_pages


def generate(root: Path, cache: Path | None, *, lenient: bool = False) -> dict[str, bytes]:
    """Generate the site's pages, charts, pictures and downloads; `lenient` marks a claim that does not hold in its place."""
    reference = "\n  - mkdocstrings:" in (root / "mkdocs.yml").read_text(encoding="utf-8")
    return site_files(build(root, cache), lenient=lenient, reference=reference)


def site_files(documents: Documents, *, lenient: bool = False, reference: bool = True) -> dict[str, bytes]:
    """Return every generated file of the site, by path inside its source folder; `reference` is the engine's Python reference."""
    context, record = documents.context, documents.context.record
    if missing := pdf_missing():
        say(f"the site is built without the report as PDF: {missing}")
    for sentence in unused_words(record):
        say(sentence)
    if "checkpoint" in record.experiment.model_fields_set and not record.checkpoint.is_dir():
        say(f"{record.project.experiment}: checkpoint: {record.experiment.checkpoint} not found")
    pages, claims, figures = site_pages(documents, pdf=missing is None)
    failed = unsupported([*(claim for _, _, claim in claims), *documents.claims()])
    if failed and not lenient:
        raise ClaimsError(failed)
    charts = [context.charts[name] for name in figures]
    texts = {
        **reference_pages(),
        **(api_pages(Path(__file__).parent.parent) if reference else {}),
        **pages,
        **{f"assets/data/{chart.name}.csv": chart_csv(chart) for chart in charts},
        "assets/data/final_report.json": documents.final_report,
    }
    files = {path: text.encode() for path, text in texts.items()}
    files |= {f"assets/data/{name}": content for name, content in context.downloads.items()}
    files |= {f"assets/pictures/{name}": path.read_bytes() for name, path in context.pictures.items()}
    if isinstance(context.demo, Demo):
        files |= context.demo.site_files()
    elif record.project.try_it_megabytes:
        say(f"the site is built without the page Try it: {context.demo}")
    for kind in KINDS:
        files |= {f"assets/charts/{chart.name}.{kind}": context.rendered(chart, kind) for chart in charts}
    title, tokens = record.project.title, context.example_tokens or []
    files["assets/social.png"] = social_card(record.project.headline or title, title, tokens, context.cache)
    if missing is None:
        files["assets/report.pdf"] = documents.pdf()
    return files


def navigation(nav: list[Any], files: Collection[str], docs: Path) -> list[Any]:
    """Return the navigation of mkdocs.yml without pages that are neither generated nor in the docs folder, and empty sections."""
    kept: list[Any] = []
    for entry in nav:
        title, target = next(iter(entry.items())) if isinstance(entry, dict) else (None, entry)
        if isinstance(target, list):
            inner = navigation(target, files, docs)
            if inner:
                kept.append({title: inner})
        elif target in files or (docs / target).is_file():
            kept.append(entry)
    return kept


def settings(root: Path) -> dict[str, str]:
    """Return what configs/project.yaml says of the site under the names of mkdocs.yml, and as `language` that of the menus.

    Texts are safe in HTML; what the project does not state is left out.
    """
    project = load_yaml(root / PROJECT, ProjectConfig)
    found = {
        "site_name": html.escape(project.title, quote=True),
        "site_description": html.escape(project.question, quote=True),
        "language": theme_language(project.languages[0]),
    }
    if project.site_url:
        found["site_url"] = project.site_url.rstrip("/") + "/"
    if project.repository_url:
        found |= {"repo_url": html.escape(project.repository_url, quote=True), "repo_name": "Code"}
    return found


def theme_language(language: str) -> str:
    """Return the language of the site's menus: the project's, where the theme speaks it, and otherwise English."""
    theme = find_spec("material")
    folders = (theme.submodule_search_locations or []) if theme else []
    known = any((Path(folder) / f"templates/partials/languages/{language}.html").is_file() for folder in folders)
    return language if known else "en"
