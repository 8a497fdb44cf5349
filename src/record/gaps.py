"""Gaps: what an author has still to write, marked `TODO` in the files that only the author can fill."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InputError
from .files import read_text

if TYPE_CHECKING:
    from .load import Record

SAMPLE = "sample"
"""Tool that the results of a sample record name as their source."""

_GAP = re.compile(r"\bTODO\b.*")
_CODE = re.compile(r"`[^`]*`")
_LISTED = 12
"""Most gaps that a message lists."""


@dataclass(frozen=True)
class Gap:
    """A place that is marked, with the line's text from the mark on."""

    file: str
    line: int
    text: str


def gaps(record: Record) -> list[Gap]:
    """Return the gaps in a record's configs and in the author's files, in the order of the files; code in backticks is none."""
    found = []
    for path in record.written:
        for number, line in enumerate(read_text(path, "Restore it.").splitlines(), 1):
            gap = _GAP.search(_CODE.sub("", line))
            if gap:
                found.append(Gap(_shown(path, record.root), number, gap[0].strip(" \t\"'")))
    return found


def check_gaps(record: Record) -> None:
    """Refuse to publish what still has gaps, or a sample record.

    Raises:
        InputError: The first gap, with the places of the others.
    """
    source = record.results.source
    if source is not None and source.tool == SAMPLE:
        raise InputError(
            _shown(record.results_path, record.root), key="source.tool", found="a sample record, whose numbers are made up",
            expected="results of your own", hint="Import them with `python -m src.import_results`.",
        )  # fmt: skip
    found = gaps(record)
    if found:
        first, rest = found[0], places(found[1:])
        raise InputError(
            first.file, key=f"line {first.line}", found=first.text, expected="what only its author can say",
            hint=f"Write it, and what is missing at {rest}." if rest else "Write it.",
        )  # fmt: skip


def unready(record: Record) -> list[str]:
    """Return what keeps a record from being published, if there is something: its gaps, or that it is a sample."""
    try:
        check_gaps(record)
    except InputError as error:
        return [f"publishing is refused: {error}"]
    return []


def places(found: list[Gap]) -> str:
    """List where gaps are, as `FILE:LINE`."""
    listed = ", ".join(f"{gap.file}:{gap.line}" for gap in found[:_LISTED])
    more = len(found) - _LISTED
    return f"{listed} and {more} more places" if more > 0 else listed


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
