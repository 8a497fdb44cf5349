"""What the examples page loads: every answer, each column as its different values and where they stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from src.record.columns import grouped
from src.record.config import Grouping, MetricsConfig
from src.record.results import Results
from src.record.tables import as_numpy

from .formatting import last_line, plain

ROWS = 20_000
"""Most answers that the examples page loads; of more, every n-th is taken."""

TEXT = 300
"""Characters of a question or an answer that it shows."""

OWN_TEXT = 80
"""Characters of a value of a project's own column, or of one of a list's parts."""

PARTS = 60
"""Parts of a list that it shows."""

CHOICES = 50
"""Most different values that a filter offers; a column with more is shown in the table instead, as lists are."""

COLUMNS = 12
"""Most columns of the project's own that are shown or filtered by; those that results are broken down by come first."""


def explorer_json(results: Results, metrics: MetricsConfig) -> str:
    """Write what the examples page loads; texts are bounded and printable.

    Every column is `values`, the distinct values in order, and `codes`, the index of each row's value; a code past the end is a missing
    value. `outcome` is 0 for both right, 1 for fixed, 2 for broken, 3 for both wrong, 4 for unknown.
    """
    if results.questions is None or results.base is None or not (results.base.answers and results.published.answers):
        return "{}"
    step = max(1, -(-len(results.questions) // ROWS))
    every = np.arange(0, len(results.questions), step)
    table = results.questions.table.take(every)
    base, tuned = (answers.table.take(every) for answers in (results.base.answers, results.published.answers))
    texts = results.question_texts()
    questions = pa.chunked_array([pa.array([last_line(texts[i]) for i in every], pa.string())])
    known = pc.and_(pc.is_valid(base["correct"]), pc.is_valid(tuned["correct"]))
    right = [as_numpy(pc.fill_null(t["correct"], False)).astype(bool) for t in (base, tuned)]
    outcome = np.where(right[0], np.where(right[1], 0, 2), np.where(right[1], 1, 3))
    shown = [name for name in results.questions.own if name not in _not_shown(results)]
    data = {
        "rows": table.num_rows,
        "every": step,
        "outcome": np.where(as_numpy(known), outcome, 4).tolist(),
        "columns": {
            "task": _texts(table["task"], OWN_TEXT, ordered=True),
            "question": _texts(questions),
            "reference": _texts(table["reference"]),
            "base": _texts(base["answer"]),
            "tuned": _texts(tuned["answer"]),
        },
        "own": _own(table, shown, metrics),
    }
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _not_shown(results: Results) -> set[str]:
    """Return the columns that are a whole question by themselves, which is shown anyway, and what shortcuts would answer."""
    found: set[str] = set()
    for task in results.evaluation.tasks.values():
        found |= {field.column for name, field in task.fields.items() if task.template == f"{{{name}}}"}
        found |= set(task.shortcuts.values())
    return found


def _own(table: pa.Table, own: list[str], metrics: MetricsConfig) -> list[dict[str, Any]]:
    """Pack the project's own columns: those with few values as filters, lists and the others to be shown."""
    declared = {by.key: by for metric in reversed(metrics.metrics.values()) for by in metric.breakdowns}
    about = {by.column for by in declared.values()}
    names = sorted(own, key=lambda name: name not in about)
    found: list[dict[str, Any]] = []
    for name in sorted(names[:COLUMNS], key=own.index):
        column = table[name]
        values = Grouping(column=name, label=declared[name].label if name in declared else None)
        if pa.types.is_list(column.type):
            found.append(_described(values, "list", _lists(column)))
        elif column.null_count < len(column):
            packed = _texts(column, OWN_TEXT, ordered=True) if pa.types.is_string(column.type) else _packed(column)
            few = len(packed["values"]) <= CHOICES
            if few or pa.types.is_string(column.type):
                found.append(_described(values, "filter" if few else "text", packed))
        if f"{name}_length" in declared:
            by = declared[f"{name}_length"]
            found.append(_described(by, "filter", _packed(grouped(column, by))))
    return found


def _described(by: Grouping, kind: str, packed: dict[str, Any]) -> dict[str, Any]:
    return {"name": by.key, "label": plain(by.name, OWN_TEXT), "kind": kind, **packed}


def _packed(
    column: pa.ChunkedArray, shown: Callable[[Any], Any] | None = None, *, ordered: bool = True
) -> dict[str, Any]:
    """Pack a column as it is shown: its different values, and where each row's stands among them."""
    encoded = column.combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_pylist()
    found = list(map(shown, values)) if shown else values
    values = sorted(set(found)) if ordered else list(dict.fromkeys(found))
    place = {value: i for i, value in enumerate(values)}
    of = np.array([*(place[value] for value in found), len(values)])  # the last is for rows without a value
    return {"values": values, "codes": of[as_numpy(encoded.indices.fill_null(-1))].tolist()}


def _texts(column: pa.ChunkedArray, limit: int = TEXT, *, ordered: bool = False) -> dict[str, Any]:
    return _packed(column, partial(plain, limit=limit), ordered=ordered)


def _lists(column: pa.ChunkedArray) -> dict[str, Any]:
    """Pack lists of text as texts whose parts stand between line breaks, which no part can hold."""
    shown = cache(lambda part: plain((part or "").strip(), OWN_TEXT))
    texts = ["\n".join(map(shown, parts[:PARTS])) if parts is not None else None for parts in column.to_pylist()]
    return _packed(pa.chunked_array([pa.array(texts, pa.string())]), ordered=False)
