"""What readers can take along from the site: tables as CSV, and the answers for the examples page."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow.compute as pc

from src.figures.catalog import Chart
from src.record.predictions import Predictions

from .formatting import plain

EXPLORER_ROWS = 20_000
"""Most answers that the examples page loads; of more, every n-th is taken."""

EXPLORER_TEXT = 300
"""Characters of a question or an answer that the examples page shows."""

CSV_ROWS = 200_000
"""Most predictions that are written as CSV."""

HIDDEN = ("Cc", "Cf", "Cs")
"""Categories of characters that are not seen: controls, marks of direction, halves of pairs."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Signs that make a spreadsheet read a cell as a formula."""


def _cell(value: object) -> object:
    """Make text from a model safe for a spreadsheet: no formulas, no control characters."""
    if not isinstance(value, str):
        return value
    text = value
    if not (value.isascii() and value.replace("\n", "").isprintable()):
        text = "".join(
            "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in HIDDEN and c != "\n" else c for c in value
        )
    return f"'{text}" if text.startswith(FORMULA) else text


def to_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table as CSV (RFC 4180, UTF-8)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def chart_csv(chart: Chart) -> str:
    """Write a chart's numbers as CSV; a name that comes twice in the header is told apart by the column before it."""
    header = [
        f"{chart.header[i - 1]} {name.lower()}" if chart.header.count(name) > 1 else name
        for i, name in enumerate(chart.header)
    ]
    return to_csv(header, chart.rows)


def predictions_csv(predictions: Predictions) -> str | None:
    """Write all predictions as CSV, tokens joined by `|`; None if there are too many."""
    table = predictions.table
    if table.num_rows > CSV_ROWS:
        return None
    names = table.column_names
    columns = [
        pc.binary_join(table[name], "|").to_pylist() if name == "tokens" else table[name].to_pylist() for name in names
    ]
    return to_csv(names, zip(*columns, strict=True))


def explorer_json(predictions: Predictions) -> str:
    """Write what the examples page loads, column by column; texts are bounded and printable.

    `outcome` is 0 for both right, 1 for fixed, 2 for broken, 3 for both wrong.
    """
    table = predictions.table
    step = max(1, -(-table.num_rows // EXPLORER_ROWS))
    if step > 1:
        table = table.take(np.arange(0, table.num_rows, step))
    tasks = sorted(set(table["task"].to_pylist()))
    number = {task: i for i, task in enumerate(tasks)}
    base = table["base_correct"].to_numpy()
    tuned = table["finetuned_correct"].to_numpy()
    outcome = np.where(base, np.where(tuned, 0, 2), np.where(tuned, 1, 3))

    def texts(name: str) -> list[str]:
        return [plain(value, EXPLORER_TEXT) for value in table[name].to_pylist()]

    data = {
        "tasks": [plain(task, 80) for task in tasks],
        "every": step,
        "task": [number[task] for task in table["task"].to_pylist()],
        "word": texts("word"),
        "tokens": [[plain(part.strip(), 60) for part in parts[:60]] for parts in table["tokens"].to_pylist()],
        "question": [
            plain(prompt.strip().rsplit("\n", 1)[-1], EXPLORER_TEXT) for prompt in table["prompt"].to_pylist()
        ],
        "reference": texts("reference"),
        "base": texts("base_answer"),
        "tuned": texts("finetuned_answer"),
        "outcome": outcome.tolist(),
    }
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
