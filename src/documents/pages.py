"""The generated pages of the site: one template per page, in `src/fragments/pages`; the file tree is the site."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from .build import Documents
from .claims import Claim
from .completeness import REQUIRED, says_something, without_empty
from .downloads import downloadable
from .explorer import ROWS as EXPLORER_ROWS
from .formatting import unbroken
from .renderer import NOTHING, Renderer, render_with_references
from .report import statements
from .templates import AUTHOR, FRAGMENTS, TERMS

PAGES = FRAGMENTS / "pages"

CLAIMS = "results/claims.md"
"""The page that lists the claims of all others, and is rendered last."""

OWN_REFERENCES = ("methodology.md", "report.md", "model-card.md", "about/cite.md")
"""Pages with a list of references of their own; all others point to the report's."""

Found = list[tuple[str, int, Claim]]
"""Claims with their page, and their number on it."""


def site_pages(documents: Documents, *, pdf: bool) -> tuple[dict[str, str], Found, list[str]]:
    """Render every page of the site that comes from the record.

    Returns:
        Markdown by path inside docs/, without pages for which the record has nothing; the claims on them; and the names of the charts
        that they show.
    """
    context, record = documents.context, documents.context.record
    questions = len(record.loaded.questions) if record.loaded.questions else 0
    extra = {
        "pdf": pdf,
        "explorer_every": -(-questions // EXPLORER_ROWS),
        "downloads": downloadable(record.loaded),
        "makes_claims": context.makes_claims,
        "criteria": documents.criteria,
        "statements": statements(context, documents.criteria, "site"),
        "changelog": _text(record.root / "CHANGELOG.md"),
        "license_text": _text(record.root / "LICENSE"),
    }
    pages: dict[str, str] = {}
    claims: Found = []
    figures: list[str] = []
    templates = {path: f"pages/{path}" for path in _paths(PAGES)}
    templates |= {path: f"author/pages/{path}" for path in _paths(record.root / AUTHOR / "pages")}
    for path, template in sorted(templates.items(), key=lambda item: (item[0] == CLAIMS, item[0])):
        root = "../" * path.count("/")
        assets = root if path.endswith("index.md") else f"../{root}"  # a page has a folder of its own
        works_at = "" if path in OWN_REFERENCES else f"{root}report.md"
        make = partial(Renderer, context, "site", root, assets=assets, works_at=works_at)
        text, renderer = render_with_references(make, template, found_claims=_once(claims), **extra)
        if _says_something(text, renderer.absent):
            kept = REQUIRED["model_card"] if path == "model-card.md" else ()
            text = without_empty(text, renderer.absent, kept, NOTHING)
            terms = f"\n{renderer.author(TERMS)}" if context.written_by_author(TERMS) else ""
            pages[path] = unbroken(text).rstrip() + "\n" + terms
            claims += [(path, number, claim) for number, claim in enumerate(renderer.claims, 1)]
            figures += renderer.figures
    return pages, claims, list(dict.fromkeys(figures))


def every_claim(documents: Documents) -> list[Claim]:
    """Return the claims of the site and of all other documents."""
    return [claim for _, _, claim in site_pages(documents, pdf=False)[1]] + documents.claims()


def _paths(folder: Path) -> list[str]:
    """List the pages whose templates are in a folder, as paths inside docs/."""
    return [path.relative_to(folder).as_posix().removesuffix(".j2") for path in folder.rglob("*.md.j2")]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _says_something(text: str, absent: list[str]) -> bool:
    """Determine whether a page has more than front matter, headings, and sentences that say that something is not on record."""
    body = re.sub(r"\A---\n.*?\n---\n|^#[^\n]*$", "", text, flags=re.DOTALL | re.MULTILINE)
    return says_something(body, absent)


def _once(claims: Found) -> Found:
    """Return each claim once, in the place where it stands first."""
    found = {(claim.file, claim.line): (page, number, claim) for page, number, claim in reversed(claims)}
    return list(found.values())[::-1]
