"""Bibliographies: the works that documents cite by key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError
from .files import read_text

BIBLIOGRAPHY = Path("docs/references.bib")
"""The author's bibliography, relative to the repository."""


@dataclass(frozen=True)
class Work:
    """A cited work.

    Attributes:
        label: How it is cited in running text, as in `Itzhak and Levy 2022`.
        text: Its entry in a list of references, as Markdown.
        url: Address of the work or its DOI; None if there is none.
    """

    key: str
    label: str
    text: str
    url: str | None


def read_references(*paths: Path) -> dict[str, Work]:
    """Read bibliographies in BibTeX, by author and year.

    A file that is not there is an empty one, and of entries with the same key the last one counts.
    """
    works = [work for path in paths for work in _works(path)]
    return {work.key: work for work in sorted(works, key=lambda work: work.label.casefold())}


def _works(path: Path) -> list[Work]:
    if not path.exists():
        return []
    from pybtex.backends.markdown import Backend
    from pybtex.database import parse_string
    from pybtex.exceptions import PybtexError
    from pybtex.style.formatting.unsrt import Style

    text = re.sub(r"(?m)^\s*%.*$", "", read_text(path))  # BibTeX skips comments, pybtex looks for entries in them
    try:
        entries = parse_string(text, "bibtex").entries if "@" in text else {}
    except PybtexError as error:
        raise InputError(path, f"{error}.") from None
    style, backend = Style(), Backend()
    return [_work(path, entry, style, backend) for entry in entries.values()]


def _work(path: Path, entry: Any, style: Any, backend: Any) -> Work:
    from pybtex.exceptions import PybtexError
    from pybtex.richtext import Text

    people = entry.persons.get("author", [])
    for needed in ("author", "title", "year"):
        if not (people if needed == "author" else entry.fields.get(needed)):
            raise InputError(path, f"{entry.key}.{needed}: missing.")
    try:
        listed = next(iter(style.format_entries([entry]))).text.render(backend)
    except (PybtexError, UnicodeDecodeError) as error:
        raise InputError(path, f"{entry.key}: {error}.") from None
    last = [str(Text.from_latex(" ".join(person.prelast_names + person.last_names))) for person in people]
    named = f"{last[0]} et al." if len(last) > 2 or "others" in last else " and ".join(last)
    url = f"https://doi.org/{entry.fields['doi']}" if "doi" in entry.fields else entry.fields.get("url")
    return Work(entry.key, f"{named} {entry.fields['year']}", " ".join(listed.split()), url)
