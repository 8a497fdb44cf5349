"""What readers and other tools can take along from the site: the answers, and tables as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from src.figures.catalog import Chart
from src.record.errors import printable
from src.record.load import Record
from src.record.results import Results

from .explorer import explorer_json

DOWNLOAD_ROWS = 200_000
"""Most questions that the site offers as files of its own; of more, the record's Parquet file is the one to load."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Signs that make a spreadsheet read a cell as a formula."""


def _safe(column: list[Any]) -> list[Any]:
    """Make text from a model safe for a spreadsheet: no formulas, no control characters."""
    shown = [printable(value, allowed="\n") if isinstance(value, str) else value for value in column]
    return [f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value for value in shown]


def to_csv(header: Sequence[str], columns: Sequence[list[Any]]) -> str:
    """Write a table as CSV (RFC 4180, UTF-8)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(zip(*map(_safe, columns), strict=True))
    return out.getvalue()


def chart_csv(chart: Chart) -> str:
    """Write a chart's numbers as CSV; a duplicated name in the header gets the name of the column before it."""
    header = [
        f"{chart.header[i - 1]} {name.lower()}" if chart.header.count(name) > 1 else name
        for i, name in enumerate(chart.header)
    ]
    return to_csv(header, [[_number(cell) for cell in column] for column in zip(*chart.rows, strict=True)])


def _number(cell: str) -> str | float:
    """Return a number that a chart's table shows as a number; any other cell as it is."""
    try:
        return float(cell.replace("−", "-").replace(",", ""))
    except ValueError:
        return cell


def downloads(record: Record) -> dict[str, bytes]:
    """Make what depends on the record alone: every answer, for the page and as a file."""
    if not record.has_answers:
        return {}
    found = {"examples.json": explorer_json(record.loaded, record.metrics).encode()}
    if downloadable(record.loaded):
        found["answers.csv"] = answers_csv(record.loaded).encode()
    return found


def downloadable(results: Results) -> bool:
    """Return whether the answers are few enough to be offered as files of the site."""
    return results.questions is not None and len(results.questions) <= DOWNLOAD_ROWS


def answers_csv(results: Results) -> str:
    """Write every question with both models' answers as CSV.

    Lists of text are joined by `|`. Controls and lists of numbers, such as the score of every candidate, are left to the Parquet files;
    a column without any value is left out.
    """
    if results.questions is None or results.base is None or not (results.base.answers and results.published.answers):
        return ""
    table = results.questions.table
    columns = {name: table[name] for name in ("id", "task", *results.questions.own, "reference", "references")}
    columns["question"] = pa.array(results.question_texts())
    for model, answers in (("base", results.base.answers), ("finetuned", results.published.answers)):
        names = [name for name in answers.table.column_names if name not in ("id", "scores")]
        columns |= {f"{model}_{name}": answers.table[name] for name in names}
    kept = {name: column for name, column in columns.items() if column.null_count < len(column)}
    joined = (pc.binary_join(c, "|") if pa.types.is_list(c.type) else c for c in kept.values())
    return to_csv(list(kept), [column.to_pylist() for column in joined])
