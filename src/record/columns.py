"""Columns that a project adds to its questions or answers: any name, a few types, for breakdowns, filters and metrics."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from .config import Grouping


def own_columns(table: pa.Table, known: list[str]) -> dict[str, pa.ChunkedArray]:
    """Return the columns that are the project's own, each with its own type."""
    return {name: _plain(name, table[name]) for name in table.column_names if name not in known}


def number_columns(table: pa.Table, known: list[str]) -> dict[str, pa.ChunkedArray]:
    """Return the columns that hold a metric's value for each question, as float64; what is not finite becomes null."""
    return {name: _finite(table[name].cast(pa.float64())) for name in table.column_names if name not in known}


def _plain(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bring the spellings of a type that Arrow knows to one."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return column
    if pa.types.is_floating(kind):
        return _finite(column.cast(pa.float64()))
    if pa.types.is_null(kind) or is_text(kind):
        return column.cast(pa.string())
    if _is_list(kind) and (pa.types.is_null(kind.value_type) or is_text(kind.value_type)):
        return column.cast(pa.list_(pa.string()))
    raise TypeError(f"column {name}: {kind} is not text, a number, true or false, or a list of text")


def _finite(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Replace non-finite values with null."""
    return pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))


def grouped(column: pa.ChunkedArray, by: Grouping) -> pa.ChunkedArray:
    """Return what a breakdown groups by: a column's values, or their lengths."""
    if by.of == "value":
        return column
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pc.list_value_length(column) if _is_list(column.type) else pc.utf8_length(column)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def is_text(kind: pa.DataType) -> bool:
    """Determine whether a column of this type holds text, dictionary-encoded or not."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
