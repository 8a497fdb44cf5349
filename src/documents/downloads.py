"""What readers and other tools can take along from the site: the answers, tables as CSV, tasks and results in the forms of others."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from src.analysis.analyse import Analysis
from src.exchange.lm_eval_tasks import harness_files
from src.exchange.shared import Names, shared_results, zipped
from src.figures.catalog import Chart
from src.record.errors import printable
from src.record.load import Record
from src.record.predictions import ADDED, Predictions

from .explorer import explorer_json

DOWNLOAD_ROWS = 200_000
"""Most predictions that the site offers as files of its own; of more, the record's Parquet file is the one to load."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Signs that make a spreadsheet read a cell as a formula."""


NUMBERS = tuple(pa.list_(kind) for kind in (pa.float32(), pa.float64()))
"""Types of columns that stay out of the table."""


def _safe(column: list[Any]) -> list[Any]:
    """Make text from a model safe for a spreadsheet: no formulas, no control characters.

    The text of a column is looked at as a whole first, since in most there is nothing to replace.
    """
    whole = "".join(value for value in column if isinstance(value, str))
    if printable(whole, allowed="\n") != whole:
        column = [printable(value, allowed="\n") if isinstance(value, str) else value for value in column]
    return [f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value for value in column]


def to_csv(header: Sequence[str], columns: Sequence[list[Any]]) -> str:
    """Write a table as CSV (RFC 4180, UTF-8)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(zip(*map(_safe, columns), strict=True))
    return out.getvalue()


def chart_csv(chart: Chart) -> str:
    """Write a chart's numbers as CSV; a name that comes twice in the header is told apart by the column before it."""
    header = [
        f"{chart.header[i - 1]} {name.lower()}" if chart.header.count(name) > 1 else name
        for i, name in enumerate(chart.header)
    ]
    return to_csv(header, [list(column) for column in zip(*chart.rows, strict=True)])


def downloads(record: Record, analysis: Analysis, names: Names) -> dict[str, bytes]:
    """Make what follows from the record alone: the questions as tasks of lm-evaluation-harness, every answer, the results as Every Eval Ever.

    Args:
        record: The record.
        analysis: Its numbers, for the intervals of the results.
        names: How model, dataset and base model are called.

    Returns:
        Content by file name.
    """
    found = {}
    tasks = harness_files(record, names.dataset if "/" in names.dataset else None, names.base)
    if tasks:
        found["lm_eval_tasks.zip"] = zipped(tasks)
    if record.predictions is None:
        return found
    few = downloadable(record.predictions)
    found["examples.json"] = explorer_json(record.predictions, record.metrics).encode()
    if few:
        found["predictions.csv"] = predictions_csv(record.predictions).encode()
    results = shared_results(record, analysis, names, answers="published" if few else "none")
    found["every_eval_ever.zip"] = zipped(results)
    return found


def downloadable(predictions: Predictions) -> bool:
    """Tell whether the predictions are few enough to be offered as files of the site."""
    return len(predictions) <= DOWNLOAD_ROWS


def predictions_csv(predictions: Predictions) -> str:
    """Write all predictions as CSV.

    Lists of text are joined by `|`. Lists of numbers, such as the score of every candidate, are left to the Parquet file; a column
    without any value is left out.
    """
    table = predictions.complete.table
    names = [
        name
        for name in table.column_names
        if name not in ADDED and table[name].null_count < len(table) and table.schema.field(name).type not in NUMBERS
    ]
    columns = [
        (pc.binary_join(table[name], "|") if pa.types.is_list(table[name].type) else table[name]).to_pylist()
        for name in names
    ]
    return to_csv(names, columns)
