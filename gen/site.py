"""Every generated file of the site, as bytes by path: a pure function of the repository."""

from __future__ import annotations

import html
import io
import sys
import zipfile
from collections.abc import Collection, Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from src.cache import cached
from src.cli import say
from src.documents.build import Documents, build
from src.documents.context import Context
from src.documents.demo import Demo
from src.documents.downloads import chart_csv
from src.documents.pages import site_pages
from src.documents.pdf import pdf_missing
from src.documents.templates import FRAGMENTS
from src.figures.social import social_card
from src.record.config import ProjectConfig
from src.record.files import load_yaml, sha256_file
from src.record.load import PROJECT, record_folders

from .api import api_pages
from .reference import reference_pages

RECORD = ("configs", "results", "docs/references.bib", "src/fragments/references.bib")
"""What a `Context` follows from, relative to the repository, besides the folders that the record names."""

WORDS = ("src", "gen", "docs/fragments", "LICENSE", "CHANGELOG.md", "pyproject.toml")
"""What else a site is made from, besides code."""

CODE = (FRAGMENTS.parent, Path(__file__).parent)
"""Folders of the code that this process runs."""

PACKAGES = (
    "jinja2", "latex2mathml", "markdown-it-py", "matplotlib", "numpy", "pyarrow", "pybtex", "pydantic", "pypandoc_binary", "rapidfuzz",
    "scipy", "tokenizers", "typer", "typst",
)  # fmt: skip
"""Packages whose version changes what is made."""

KEPT_SITES = 5
"""Finished sites that stay in the cache, some 30 MB each."""


def generate(root: Path, cache: Path | None) -> dict[str, bytes]:
    """Generate the site's pages, charts, pictures and downloads, or take them from the cache if all that they follow from is the same.

    Args:
        root: The repository.
        cache: The cache's folder; None for no cache.

    Returns:
        Contents by path inside the site's source folder.

    Raises:
        InputError: The record is missing or malformed.
    """
    if cache is None:
        return site_files(build(root, None))
    before = _inputs(root)

    def make() -> bytes:
        return _packed(site_files(Documents(_context(root, cache, before.record))))

    def unchanged() -> bool:
        if _inputs(root) == before:
            return True
        _context.cache_clear()  # what was read while files changed is of no state of theirs
        return False

    archive = cached(cache, "site.zip", (*before.record, *before.others), make, unchanged, KEPT_SITES)
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        return {name: files.read(name) for name in files.namelist()}


@lru_cache(maxsize=1)
def _context(root: Path, cache: Path, files: tuple[str, ...]) -> Context:
    """Load the record; `mkdocs serve`, which builds again after each change, analyses it again only if one of its files changed."""
    del files
    return build(root, cache).context


def site_files(documents: Documents) -> dict[str, bytes]:
    """Return every generated file of the site, by path inside its source folder.

    Args:
        documents: All that is made from the record.
    """
    context = documents.context
    record, charts = context.record, context.charts.values()
    missing = pdf_missing()
    if missing is not None:
        say(f"the site is built without the report as PDF: {missing}")
    texts = {
        **reference_pages(),
        **api_pages(Path(__file__).parent.parent),
        **site_pages(documents, pdf=missing is None),
        **{f"assets/data/{chart.name}.csv": chart_csv(chart) for chart in charts},
        "assets/data/final_report.json": documents.final_report,
    }
    files = {path: text.encode() for path, text in texts.items()}
    files |= {f"assets/data/{name}": content for name, content in context.downloads.items()}
    if isinstance(context.demo, Demo):
        files |= context.demo.site_files()
    else:
        say(f"the site is built without the page Try it: {context.demo}")
    for kind in ("light.svg", "dark.svg"):
        files |= {f"assets/charts/{chart.name}.{kind}": context.rendered(chart, kind) for chart in charts}
    headline = record.project.headline or record.project.title
    files["assets/social.png"] = social_card(
        headline, record.project.title, context.example_tokens or [], context.cache
    )
    if missing is None:
        files["assets/report.pdf"] = documents.pdf()
    return files


def navigation(nav: list[dict[str, Any]], files: Collection[str]) -> list[dict[str, Any]]:
    """Return the navigation of mkdocs.yml without the page Try it where there is none."""
    return [entry for entry in nav if "try-it.md" not in entry.values() or "try-it.md" in files]


def names(root: Path) -> dict[str, str]:
    """Return the site's name and description as mkdocs.yml would state them: the project's title and question, safe in HTML.

    Raises:
        InputError: The project config is missing or malformed.
    """
    project = load_yaml(root / PROJECT, ProjectConfig)
    return {
        "site_name": html.escape(project.title, quote=True),
        "site_description": html.escape(project.question, quote=True),
    }


def _packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return out.getvalue()


class _Inputs(NamedTuple):
    """What a site follows from: path and hash of the record's files, and those of all others with the versions of packages."""

    record: tuple[str, ...]
    others: tuple[str, ...]


def _inputs(root: Path) -> _Inputs:
    """Read what the site follows from as it is now."""
    record = _hashed([*(root / name for name in RECORD), *record_folders(root)])
    words = _hashed(root / name for name in WORDS)
    return _Inputs(record, (sys.version, *map(_version, PACKAGES), *_code(), *words))


@lru_cache(maxsize=1)
def _code() -> tuple[str, ...]:
    """Hash the code once: `mkdocs serve` goes on with what it imported, whatever becomes of the files."""
    return _hashed(CODE, code=True)


def _hashed(paths: Iterable[Path], *, code: bool = False) -> tuple[str, ...]:
    """Return the path and the hash of every file in some files and folders, of code or of anything else."""
    found: list[str] = []
    for path in sorted(set(paths)):
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        found += [f"{file} {sha256_file(file)}" for file in files if (file.suffix in (".py", ".pyc")) is code]
    return tuple(found)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # the extra for the PDF
        return "none"
