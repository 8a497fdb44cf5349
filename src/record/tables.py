"""Parquet tables of the record: typed columns with a fixed meaning, and any columns that the project adds."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from .files import reading

FloatArray = npt.NDArray[np.float64]


def as_numpy(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[Any]:
    """Return an Arrow column as a NumPy array.

    Booleans and numbers without gaps are read from their buffers: Arrow's own conversion first imports pandas, which takes a second.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_boolean(array.type) and not array.null_count:
        return np.from_dlpack(array.cast(pa.uint8())).astype(bool)
    if pa.types.is_primitive(array.type) and not array.null_count:
        return np.from_dlpack(array)
    values: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values


def frequencies(column: pa.ChunkedArray) -> dict[Any, int]:
    """Count each value of a column, in order of first appearance."""
    counted = column.combine_chunks().value_counts()
    return dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))


def read_table(path: Path, hint: str = "") -> pa.Table:
    """Read a Parquet file."""
    with reading(path, hint):
        return pq.ParquetFile(path).read()


def typed(table: pa.Table, schema: pa.Schema, optional: Collection[str]) -> dict[str, pa.ChunkedArray]:
    """Cast the columns of `schema` to their types; add missing optional ones as nulls."""
    columns = {}
    for field in schema:
        if field.name in optional and field.name not in table.column_names:
            columns[field.name] = pa.chunked_array([pa.nulls(table.num_rows, field.type)])
        else:
            columns[field.name] = table[field.name].cast(field.type)
    return columns


def table_of(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Put rows into a table: the columns of a schema, then others of whatever type their values share, or of text."""
    names = dict.fromkeys([*schema.names, *(name for row in rows for name in row)])
    columns = {name: [row.get(name) for row in rows] for name in names}
    known = {name: pa.array(columns[name], schema.field(name).type) for name in schema.names}
    others = {n: v for n, v in columns.items() if n not in known and any(value is not None for value in v)}
    return pa.table(known | {name: _array(values) for name, values in others.items()})


def _array(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # several types, or numbers beyond 64 bits
        return pa.array([v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values])


def without_empty(table: pa.Table, optional: Collection[str]) -> pa.Table:
    """Drop optional columns that have no value in any row."""
    return table.drop_columns(
        [name for name in optional if name in table.column_names and table[name].null_count == len(table)]
    )
