"""Bibliographies: the works that documents cite by key."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError
from .files import read_text

BIBLIOGRAPHY = Path("docs/references.bib")
"""The author's bibliography, relative to the repository."""

_LISTED = 6
"""Most authors that a list of references names; of more, the first three."""


@dataclass(frozen=True)
class Work:
    """A cited work.

    Attributes:
        label: How it is cited in running text, as in `Itzhak and Levy 2022`.
        authors: How a list of references names its authors.
        venue: Where it appeared; empty if unknown.
        place: Where in it, as volume, number and pages with what stands before them; empty if unknown.
        url: Address of the work or its DOI; None if there is none.
        book: Whether it is a book, whose title is set in italics.
    """

    key: str
    label: str
    authors: str
    year: str
    title: str
    venue: str
    place: str
    url: str | None
    book: bool


def read_references(*paths: Path) -> dict[str, Work]:
    """Read bibliographies in BibTeX; a file that is not there is an empty one, and of entries with the same key the last one counts."""
    works = [_work(path, key, entry) for path in paths for key, entry in _entries(path).items()]
    return {work.key: work for work in sorted(works, key=lambda work: (work.authors.casefold(), work.year))}


def _entries(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    from pybtex.database import parse_string
    from pybtex.exceptions import PybtexError

    text = re.sub(r"(?m)^\s*%.*$", "", read_text(path))  # BibTeX skips comments, pybtex looks for entries in them
    try:
        return dict(parse_string(text, "bibtex").entries) if "@" in text else {}
    except PybtexError as error:
        raise InputError(path, f"{error}.") from None


def _work(path: Path, key: str, entry: Any) -> Work:
    def field(name: str) -> str:
        return _plain(path, key, entry.fields.get(name, ""))

    def name(*parts: list[str]) -> str:
        return _plain(path, key, " ".join(word for part in parts for word in part))

    people = entry.persons.get("author", [])
    names = [(name(p.prelast_names, p.last_names), name(p.first_names, p.middle_names)) for p in people]
    more = bool(names) and names[-1][0] == "others"
    names = names[:-1] if more else names
    for needed, value in (("author", names), ("title", field("title")), ("year", field("year"))):
        if not value:
            raise InputError(path, f"{key}.{needed}: missing.")
    last = [family for family, _ in names]
    label = f"{last[0]} et al." if more or len(last) > 2 else " and ".join(last)
    more = more or len(names) > _LISTED
    (family, given), *rest = names[:3] if more else names
    listed = [f"{family}, {given}" if given else family, *(f"{given} {family}".strip() for family, given in rest)]
    if more:
        listed.append("et al.")
    elif rest:
        listed[-1] = f"and {listed[-1]}"
    authors = ", ".join(listed)
    return Work(
        key=key,
        label=f"{label} {field('year')}",
        authors=authors if authors.endswith(".") else f"{authors}.",
        year=field("year"),
        title=field("title"),
        venue=next((v for n in ("journal", "booktitle", "publisher", "institution") if (v := field(n))), ""),
        place=_place(field),
        url=f"https://doi.org/{entry.fields['doi']}" if "doi" in entry.fields else entry.fields.get("url"),
        book=entry.type == "book",
    )


def _plain(path: Path, key: str, latex: str) -> str:
    """Take LaTeX's marks out of a field; most fields have none."""
    if not {"\\", "{", "~", "$"} & set(latex):
        return latex
    from pybtex.exceptions import PybtexError
    from pybtex.richtext import Text

    try:
        return str(Text.from_latex(latex))
    except (PybtexError, UnicodeDecodeError) as error:
        raise InputError(path, f"{key}: {error} in {latex}") from None


def _place(field: Callable[[str], str]) -> str:
    volume, number, pages = field("volume"), field("number"), field("pages").replace("--", "–")
    place = f" {volume}" if volume else ""
    place += f" ({number})" if volume and number else ""
    return place + (f"{':' if volume else ','} {pages}" if pages else "")
