"""Predictions: one row per question, with both models' answers; read column by column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .columns import grouped, is_value, own_columns
from .config import Grouping
from .errors import InputError, printable
from .files import atomic, sha256_file

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("task", pa.string()),
        ("prompt", pa.string()),
        ("reference", pa.string()),
        ("base_answer", pa.string()),
        ("base_correct", pa.bool_()),
        ("base_score", pa.float64()),
        ("finetuned_answer", pa.string()),
        ("finetuned_correct", pa.bool_()),
        ("finetuned_score", pa.float64()),
        ("references", pa.list_(pa.string())),
        ("base_prompt", pa.string()),
        ("finetuned_prompt", pa.string()),
        ("base_scores", pa.list_(pa.float32())),
        ("finetuned_scores", pa.list_(pa.float32())),
        ("base_neutral_scores", pa.list_(pa.float32())),
        ("finetuned_neutral_scores", pa.list_(pa.float32())),
    ]
)
"""Columns with a meaning of their own. A file may hold any others, which are the project's: see `src.record.columns`.

`references` are all answers that count as right, where `reference` is not the only one; `MODEL_prompt` is what a model was given where
that was not `prompt`; `MODEL_score` is the answer's log-likelihood, if it is known; `MODEL_scores` are those of all candidates, in their
order; `MODEL_neutral_scores` those for the same question without what it is about.
"""

MODELS = ("base", "finetuned")


def calibrated(model: str) -> str:
    """Name the column that reading adds: which candidate's log-likelihood rises most over that for the neutral question, if all are known."""
    return f"{model} calibrated"  # with a space, as no column of a file is named


OPTIONAL = frozenset({"references"}) | {
    f"{model}_{kind}" for model in MODELS for kind in ("score", "prompt", "scores", "neutral_scores")
}
"""Columns that may be null, or missing altogether."""

ADDED = tuple(map(calibrated, MODELS))
"""Columns that no file holds."""

SCORE_LISTS = tuple(f"{model}_{kind}" for model in MODELS for kind in ("scores", "neutral_scores"))
IN_FILE = ("prompt", *(f"{model}_prompt" for model in MODELS), *SCORE_LISTS)
"""Columns that stay in the file until somebody asks for them: they are most of what it holds, and once `calibrated` is known, no
metric follows from them."""

SCORE_STEP = 2.0**-10
"""What the scores of all candidates are rounded to, in nats: a thousandth, which halves the file."""

MAX_ANSWER = 64
"""Characters of a freely written answer that are kept."""

_HINT = "Run `python -m src.evaluate` again; predictions are written together with the results."

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Predictions of an experiment, as an Arrow table.

    Attributes:
        path: Their file.
        table: Their columns, and those of `ADDED`; those of `IN_FILE` may have stayed in the file.
    """

    path: Path
    table: pa.Table

    @cached_property
    def complete(self) -> Predictions:
        """The same rows with all columns that stayed in the file."""
        return self.reading(*IN_FILE)

    def reading(self, *names: str) -> Predictions:
        """Return the same rows with some of the columns that stayed in the file.

        Raises:
            InputError: The file holds other predictions by now.
        """
        if set(names) <= set(self.table.column_names):
            return self
        wanted = self.table["id"].combine_chunks()
        fields = [SCHEMA.field(name) for name in ("id", *names)]
        read = (pa.table(_typed(self.path, part, fields)) for part in _parts(self.path, ["id", *names]))
        found = pa.concat_tables(part.filter(pc.is_in(part["id"], value_set=wanted)) for part in read)
        rows = pc.index_in(wanted, value_set=found["id"])
        if rows.null_count:
            raise InputError(
                self.path, found="other predictions than before", expected="a file that stays as it is while it is read",
                hint="Start again.",
            )  # fmt: skip
        columns = dict(zip(self.table.column_names, self.table.columns, strict=True))
        columns |= {name: found[name].take(rows) for name in names}
        order = [name for name in SCHEMA.names if name in columns]
        return Predictions(
            self.path, pa.table(columns).select([*order, *(name for name in columns if name not in order)])
        )

    def holding(self, column: str) -> pa.Table:
        """Return the table with a column, also if that stayed in the file."""
        return (self.reading(column) if column in IN_FILE else self).table

    @cached_property
    def tasks(self) -> dict[str, Predictions]:
        """The rows of each task, by its name, in the order of the names."""
        encoded = self.table["task"].combine_chunks().dictionary_encode()
        codes = as_numpy(encoded.indices)
        order = np.argsort(codes, kind="stable")
        table = self.table if np.array_equal(order, np.arange(len(order))) else self.table.take(order)
        ends = np.cumsum(np.bincount(codes, minlength=len(encoded.dictionary)))
        names = encoded.dictionary.to_pylist()
        parts = {
            name: table.slice(start, end - start) for name, start, end in zip(names, [0, *ends], ends, strict=False)
        }
        return {name: Predictions(self.path, parts[name]) for name in sorted(parts)}

    def task(self, name: str) -> Predictions:
        """Return one task's rows."""
        return self.tasks.get(name) or Predictions(self.path, self.table.slice(0, 0))

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return a column as a NumPy array."""
        return as_numpy(self.table[name])

    def has(self, name: str) -> bool:
        """Tell whether every row has a value in a column."""
        return len(self) > 0 and name in self.table.column_names and not self.table[name].null_count

    @property
    def own_columns(self) -> list[str]:
        """Names of the columns that are the project's own, in the order of the file."""
        return [name for name in self.table.column_names if not (name in (*SCHEMA.names, *ADDED) or is_value(name))]

    def group(self, by: Grouping) -> tuple[npt.NDArray[Any], list[Any]]:
        """Return the value of each row that a breakdown groups by, as codes.

        Returns:
            A code per row, -1 where there is no value, of shape (rows,); and the value of each code.
        """
        encoded = grouped(self.holding(by.column)[by.column], by).combine_chunks().dictionary_encode()
        values = [printable(value) if isinstance(value, str) else value for value in encoded.dictionary.to_pylist()]
        return as_numpy(encoded.indices.fill_null(-1)), values

    def __len__(self) -> int:
        return int(self.table.num_rows)


def as_numpy(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[Any]:
    """Return an Arrow column as a NumPy array.

    Truth values and numbers without gaps go by their buffers, since Arrow's own conversion first imports pandas if it is there.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_boolean(array.type) and not array.null_count:
        return np.from_dlpack(array.cast(pa.uint8())).astype(bool)
    if pa.types.is_primitive(array.type) and not array.null_count:
        return np.from_dlpack(array)
    values: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values


def frequencies(column: pa.ChunkedArray) -> dict[Any, int]:
    """Return how often each value comes in a column, in the order in which they first come."""
    counted = column.combine_chunks().value_counts()
    return dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))


def write_predictions(
    path: Path, rows: pa.Table | list[dict[str, Any]], own: pa.Schema | None = None
) -> dict[str, Any]:
    """Write predictions, whole or not at all; an optional column without any value is left out.

    Args:
        path: Where to, beside `evaluation_results.json`.
        rows: One row per question, with the columns of `SCHEMA` and any of the project's own.
        own: Types of the project's own columns, where the rows are no table; those left out follow from the values.

    Returns:
        What the results' key `predictions` says of the file: its name, SHA-256 and number of rows.
    """
    table = _tabulated(rows, own) if isinstance(rows, list) else rows
    table = _ordered(pa.table(_typed(path, table, SCHEMA) | own_columns(path, table, SCHEMA.names)))
    table = table.drop_columns([name for name in OPTIONAL if table[name].null_count == len(table)])
    scores = [name for name in SCORE_LISTS if name in table.column_names]
    for name in scores:
        column = table[name].combine_chunks()
        rounded = np.round(column.values.to_numpy(zero_copy_only=False) / SCORE_STEP) * SCORE_STEP
        lists = pa.ListArray.from_arrays(column.offsets, pa.array(rounded, pa.float32()), mask=column.is_null())
        table = table.set_column(table.column_names.index(name), name, lists)
    with atomic(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=9,
            use_dictionary=[name for name in table.column_names if name not in scores],
            column_encoding={f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in scores},
        )
    return {"file": path.name, "sha256": sha256_file(path), "rows": table.num_rows}


def read_predictions(path: Path) -> Predictions:
    """Read and check a predictions file.

    Raises:
        InputError: It is missing or no Parquet file, a column is missing or of another type, a value is missing or not finite, an id
            comes twice, or a row's `correct` does not follow from its answer.
    """
    parts = []
    for part in _parts(path):
        typed = pa.table(_typed(path, part, SCHEMA) | own_columns(path, part, SCHEMA.names))
        _check(path, typed)
        for model in MODELS:
            typed = typed.append_column(calibrated(model), _calibrated(path, typed, model))
        parts.append(typed.drop_columns(list(IN_FILE)))
    table = pa.concat_tables(parts)
    if len(table) != pc.count_distinct(table["id"]).as_py():
        raise InputError(path, key="id", found="an id that comes twice", expected="one id per question", hint=_HINT)
    return Predictions(path, table)


def _parts(path: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Read a file some rows at a time; the first part has no rows, so that there is one."""
    try:
        file = pq.ParquetFile(path)
        wanted = [field for field in file.schema_arrow if columns is None or field.name in columns]
        yield pa.schema(wanted).empty_table()
        for batch in file.iter_batches(columns=columns):
            yield pa.Table.from_batches([batch])
    except FileNotFoundError:
        raise InputError(
            path, found="no such file", expected="the predictions that the results name", hint=_HINT
        ) from None
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise InputError(path, found=str(error).splitlines()[0], expected="a Parquet file", hint=_HINT) from None


def _calibrated(path: Path, table: pa.Table, model: str) -> pa.Array:
    """Compute the column `calibrated`."""
    columns = [table[f"{model}_{kind}"].combine_chunks() for kind in ("scores", "neutral_scores")]
    lengths = [as_numpy(pc.list_value_length(column).fill_null(0)) for column in columns]
    odd = np.flatnonzero((lengths[0] != lengths[1]) & (lengths[0] > 0) & (lengths[1] > 0))
    if len(odd):
        row = int(odd[0])
        raise InputError(
            path, key=f"{model}_scores, id {table['id'][row].as_py()}", found=f"{lengths[0][row]} scores",
            expected=f"{lengths[1][row]}, as many as {model}_neutral_scores", hint=_HINT,
        )  # fmt: skip
    values = [as_numpy(column.flatten()) for column in columns]
    of = np.where(lengths[0] == lengths[1], lengths[0], 0)
    found = np.full(len(table), -1)
    for length in set(of.tolist()) - {0}:
        rows = of == length
        known, neutral = (
            part[np.repeat(rows, each)].reshape(-1, length) for part, each in zip(values, lengths, strict=True)
        )
        gains = np.subtract(known, neutral, dtype=np.float64)
        found[rows] = np.where(np.isnan(gains).any(axis=1), -1, gains.argmax(axis=1))
    return pa.array(found, pa.int32(), mask=found < 0)


def _tabulated(rows: list[dict[str, Any]], own: pa.Schema | None) -> pa.Table:
    """Put rows into columns; the types of the project's own that `own` does not state follow from the values."""
    table = pa.Table.from_pylist(rows, schema=pa.schema([*SCHEMA, *(own or ())]))
    for name in dict.fromkeys(name for row in rows for name in row if name not in table.column_names):
        try:
            table = table.append_column(name, pa.array([row.get(name) for row in rows]))
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            raise InputError(
                "the predictions", key=f"column {name}", found="values of several types", expected="one type per column",
                hint="Convert the column, or leave it out.",
            ) from None  # fmt: skip
    return table


def _ordered(table: pa.Table) -> pa.Table:
    """Put the project's own columns after id and task."""
    first, rest = SCHEMA.names[:2], SCHEMA.names[2:]
    own = [name for name in table.column_names if name not in SCHEMA.names]
    return table.select([*first, *own, *rest])


def _typed(path: Path, table: pa.Table, fields: Iterable[pa.Field]) -> dict[str, pa.ChunkedArray]:
    """Give columns of `SCHEMA` their types, in their order."""
    columns = {}
    for field in fields:
        if table.column_names.count(field.name) > 1:
            raise InputError(path, key=field.name, found="that column twice", expected="each name once", hint=_HINT)
        if field.name not in table.column_names:
            if field.name not in OPTIONAL:
                raise InputError(path, key=field.name, found="no such column", expected=str(field.type), hint=_HINT)
            columns[field.name] = pa.chunked_array([pa.nulls(table.num_rows, field.type)])
            continue
        try:
            columns[field.name] = table[field.name].cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # Arrow's two refusals: of a value, of a type
            found = table.schema.field(field.name).type
            raise InputError(path, key=field.name, found=str(found), expected=str(field.type), hint=_HINT) from None
    return columns


def _check(path: Path, table: pa.Table) -> None:
    for field in SCHEMA:
        if field.name not in OPTIONAL and table[field.name].null_count:
            raise InputError(
                path,
                key=field.name,
                found=f"{table[field.name].null_count} rows without a value",
                expected="none",
                hint=_HINT,
            )
    for model in MODELS:
        if not pc.all(pc.is_finite(table[f"{model}_score"]), min_count=0).as_py():
            raise InputError(path, key=f"{model}_score", found="NaN or infinity", expected="finite numbers", hint=_HINT)
        right = _right(table, model)
        wrong_rows = pc.indices_nonzero(pc.not_equal(right, table[f"{model}_correct"]))
        if len(wrong_rows):
            row = int(wrong_rows[0].as_py())
            raise InputError(
                path,
                key=f"{model}_correct, id {table['id'][row].as_py()}",
                found=f"{table[f'{model}_correct'][row].as_py()} for {table[f'{model}_answer'][row].as_py()!r}",
                expected=f"whether that is {table['reference'][row].as_py()!r}",
                hint=_HINT,
            )


def _right(table: pa.Table, model: str) -> pa.ChunkedArray:
    """Tell for each row whether the answer is the reference, or one of the references where there are several."""
    right = pc.equal(table[f"{model}_answer"], table["reference"])
    several = table["references"].combine_chunks()
    if several.null_count == len(several):
        return right
    rows = pc.list_parent_indices(several)
    among = np.bincount(
        as_numpy(rows)[as_numpy(pc.equal(table[f"{model}_answer"].combine_chunks().take(rows), several.flatten()))],
        minlength=len(table),
    )
    return pc.if_else(pc.is_null(table["references"]), right, pa.array(among > 0))
