"""Columns that a project adds to its questions or answers: any name, a few types, for breakdowns, filters and metrics."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from .config import Grouping
from .errors import InputError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")
"""What the name of a column may be."""

MOST = 200
"""Most columns that a project may have of its own."""


def own_columns(path: Path, table: pa.Table, known: list[str]) -> dict[str, pa.ChunkedArray]:
    """Return the columns that are the project's own, each with its own type."""
    return {name: _plain(path, name, table[name]) for name in _own_names(path, table, known)}


def number_columns(path: Path, table: pa.Table, known: list[str]) -> dict[str, pa.ChunkedArray]:
    """Return the columns that hold a metric's value for each question, as float64; what is not finite becomes null."""
    columns = {}
    for name in _own_names(path, table, known):
        kind = table[name].type
        if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_floating(kind)):
            raise InputError(path, f"column {name}: {kind} instead of a metric's value, a number per row.")
        columns[name] = _finite(table[name].cast(pa.float64()))
    return columns


def _own_names(path: Path, table: pa.Table, known: list[str]) -> list[str]:
    names = [name for name in table.column_names if name not in known]
    if len(names) > MOST:
        raise InputError(path, f"{len(names)} further columns, of at most {MOST}. Leave some out.")
    for name in names:
        if not NAME.fullmatch(name) or names.count(name) > 1:
            raise InputError(path, f"column {name}: duplicated, or not letters, digits and `_`. Rename it.")
    return names


def _plain(path: Path, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
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
    raise InputError(path, f"column {name}: {kind} is not text, a number, true or false, or a list of text.")


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


def check_grouping(path: Path, key: str, by: Grouping, table: pa.Table) -> None:
    """Refuse to group by a column that is not there, or that cannot be grouped so."""
    if by.column not in table.column_names:
        raise InputError(path, f"{key}.column: {by.column} is not a column.")
    kind = table.schema.field(by.column).type
    if by.of == "length":
        fits = is_text(kind) or _is_list(kind)
    else:
        fits = is_text(kind) or (pa.types.is_primitive(kind) and not pa.types.is_floating(kind))
    if not fits:
        raise InputError(path, f"{key}.of: {by.column} is {kind}, which cannot be grouped by {by.of}.")
