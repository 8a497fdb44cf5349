"""Parquet tables of the record: typed columns with a fixed meaning, and any columns that the project adds."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .errors import InputError

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


def read_table(path: Path, hint: str) -> pa.Table:
    """Read a Parquet file.

    Raises:
        InputError: It is missing or not a Parquet file.
    """
    try:
        return pq.ParquetFile(path).read()
    except FileNotFoundError:
        raise InputError(path, found="no such file", expected="a Parquet file", hint=hint) from None
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise InputError(path, found=str(error).splitlines()[0], expected="a Parquet file", hint=hint) from None


def typed(path: Path, table: pa.Table, schema: pa.Schema, optional: Collection[str], hint: str) -> pa.Table:
    """Cast the columns of `schema` to their types; add missing optional ones as nulls.

    Raises:
        InputError: A column is missing, duplicated, of another type, or has gaps where none are allowed.
    """
    columns = {}
    for field in schema:
        count = table.column_names.count(field.name)
        if count > 1:
            raise InputError(path, key=field.name, found="that column twice", expected="each name once", hint=hint)
        if not count:
            if field.name not in optional:
                raise InputError(path, key=field.name, found="no such column", expected=str(field.type), hint=hint)
            columns[field.name] = pa.chunked_array([pa.nulls(table.num_rows, field.type)])
            continue
        try:
            column = table[field.name].cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # a value, or a whole type, that cannot be converted
            found = table.schema.field(field.name).type
            raise InputError(path, key=field.name, found=str(found), expected=str(field.type), hint=hint) from None
        if field.name not in optional and column.null_count:
            raise InputError(
                path, key=field.name, found=f"{column.null_count} rows without a value", expected="none", hint=hint
            )
        columns[field.name] = column
    return pa.table(columns)


def check_ids(path: Path, table: pa.Table, hint: str) -> None:
    """Refuse a table in which two rows have the same id.

    Raises:
        InputError: An id is duplicated.
    """
    if len(table) != pc.count_distinct(table["id"]).as_py():
        raise InputError(path, key="id", found="a duplicate id", expected="one row per question", hint=hint)


def without_empty(table: pa.Table, optional: Collection[str]) -> pa.Table:
    """Drop optional columns that have no value in any row."""
    return table.drop_columns(
        [name for name in optional if name in table.column_names and table[name].null_count == len(table)]
    )
