"""What readers can take along from the site: tables as CSV, and the answers for the examples page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from src.figures.catalog import Chart
from src.record.errors import printable
from src.record.predictions import Predictions

CSV_ROWS = 200_000
"""Most predictions that are written as CSV."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Signs that make a spreadsheet read a cell as a formula."""


def _safe(text: str) -> str:
    """Make text from a model safe for a spreadsheet: no formulas, no control characters."""
    shown = printable(text, allowed="\n")
    return f"'{shown}" if shown.startswith(FORMULA) else shown


def _column(values: Iterable[object]) -> Iterator[object]:
    """Make the texts of a column safe, looking once at each that occurs: prompts and answers repeat."""
    listed = list(values)
    safe = {value: _safe(value) for value in {value for value in listed if isinstance(value, str)}}
    return (safe[value] if isinstance(value, str) else value for value in listed)


def to_csv(header: Sequence[str], columns: Iterable[Iterable[object]]) -> str:
    """Write a table, given by its columns, as CSV (RFC 4180, UTF-8)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(zip(*map(_column, columns), strict=True))
    return out.getvalue()


def chart_csv(chart: Chart) -> str:
    """Write a chart's numbers as CSV; a name that comes twice in the header is told apart by the column before it."""
    header = [
        f"{chart.header[i - 1]} {name.lower()}" if chart.header.count(name) > 1 else name
        for i, name in enumerate(chart.header)
    ]
    return to_csv(header, zip(*chart.rows, strict=True))


def predictions_csv(predictions: Predictions) -> str | None:
    """Write all predictions as CSV; None if there are too many.

    Lists of text are joined by `|`. Lists of numbers, such as the score of every candidate, are left to the Parquet file; a column
    without any value is left out.
    """
    table = predictions.table
    if table.num_rows > CSV_ROWS:
        return None
    kept = [
        name
        for name, column in zip(table.column_names, table.columns, strict=True)
        if column.null_count < len(column) and not _holds_numbers(column.type)
    ]
    table = table.select(kept)
    return to_csv(
        table.column_names,
        [
            (pc.binary_join(column, "|") if pa.types.is_list(column.type) else column).to_pylist()
            for column in table.columns
        ],
    )


def _holds_numbers(kind: pa.DataType) -> bool:
    """Tell whether a column holds lists of anything but text."""
    return bool(pa.types.is_list(kind) and kind.value_type != pa.string())
