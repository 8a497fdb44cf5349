"""What an author still has to write, marked `TODO`, and the numbers that an author typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
_CODE = re.compile(r"`[^`]*`|\[@[^\]]*\]|https?://\S+")
_NOT_PROSE = re.compile(
    r"(?s)\{#.*?#\}|\{%-?\s*claim\b.*?\{%-?\s*endclaim\s*-?%\}|\{[{%].*?[%}]\}|^```.*?^```", re.MULTILINE
)
"""What is printed from the record, or not printed at all."""
_DIGIT = re.compile(r"(?<![\w-])\d")


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
        for number, line in enumerate(read_text(path).splitlines(), 1):
            if gap := _GAP.search(_CODE.sub("", line)):
                found.append(Gap(_shown(path, record.root), number, gap[0].strip(" \t\"'")))
    return found


def check_gaps(record: Record) -> None:
    """Refuse to publish what still has gaps, or a sample record."""
    source = record.results.source
    if source is not None and source.tool == SAMPLE:
        message = "source.tool: a sample record, whose numbers are made up. Import your own with `python -m src.import_results`."
        raise InputError(_shown(record.results_path, record.root), message)
    if record.model.unnamed_labels and record.project.snippet is None:
        message = (
            "the labels have no names, so the snippet would print LABEL_0. Name them in id2label, or write a `snippet`."
        )
        raise InputError(_shown(record.checkpoint, record.root), message)
    found = gaps(record)
    if found:
        places = ", ".join(f"{gap.file}:{gap.line}" for gap in found)
        message = f"{found[0].text.rstrip('.')}. Only its author can write this, at {places}."
        raise InputError(found[0].file, message)


def unready(record: Record) -> list[str]:
    """Return what keeps a record from being published, if there is something: its gaps, or that it is a sample."""
    try:
        check_gaps(record)
    except InputError as error:
        return [f"publishing is refused: {error}"]
    return []


def typed_numbers(record: Record) -> list[Gap]:
    """Return the lines of the author's prose with a number in digits, which new results do not change."""
    found = []
    for path in sorted((record.root / "docs/fragments").rglob("*.md.j2")):
        text = _NOT_PROSE.sub(lambda match: "\n" * match[0].count("\n"), read_text(path))
        for number, line in enumerate(text.splitlines(), 1):
            if _DIGIT.search(_CODE.sub("", line)):
                found.append(Gap(_shown(path, record.root), number, line.strip()))
    settings = record.project.model_dump(exclude={"snippet", "example_prompt"})
    prose = [words for words in _texts(settings) if " " in words]
    for path in record.configs[1:2]:
        for number, line in enumerate(read_text(path).splitlines(), 1):
            whole = line.strip(" -\"'")
            parts = (whole, whole.partition(": ")[2].strip(" \"'"))
            words = next((part for part in parts if " " in part and any(part in text for text in prose)), "")
            if _DIGIT.search(_CODE.sub("", words)):
                found.append(Gap(_shown(path, record.root), number, words))
    return found


def _texts(value: object) -> Iterator[str]:
    """Yield every text in nested lists and dictionaries, on one line."""
    if isinstance(value, str):
        yield " ".join(value.split())
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
