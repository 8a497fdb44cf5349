"""The bytes of a file and of what it contains: columns of Parquet, entries of archives, streams of PDF."""

from __future__ import annotations

import gzip
import io
import mmap
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from src.record.errors import show

LARGEST = 64 * 1024 * 1024
"""Bytes of a text file, and of a file in a container, that are read at once."""


def parts(name: str, source: Path | bytes, depth: int = 2) -> Iterator[tuple[str, Any]]:
    """Yield a file's bytes, then those of what it contains, each with its place; empty for the file itself."""
    if isinstance(source, bytes):
        yield "", source
        yield from _contents(name, source, depth)
    elif source.stat().st_size:
        with source.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield "", data
            yield from _contents(name, data, depth)


def _contents(name: str, data: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield what a container contains; one that cannot be opened contains nothing."""
    if not depth:
        return
    inner: Iterator[tuple[str, bytes]] = iter(())
    if data[:4] == b"PAR1":
        inner = _parquet(data)
    elif data[:4] == b"PK\x03\x04":
        inner = _zip(data)
    elif data[:2] == b"\x1f\x8b":
        inner = iter([(name.removesuffix(".gz"), _bounded(gzip.GzipFile(fileobj=io.BytesIO(data[:]))))])
    elif data[:5] == b"%PDF-":
        inner = _pdf(data)
    for part, content in inner:
        yield part, content
        for place, deeper in _contents(part, content, depth - 1):
            yield f"{part}: {place}", deeper


def _bounded(stream: Any) -> bytes:
    try:
        return bytes(stream.read(LARGEST))
    except (OSError, EOFError, zlib.error):
        return b""


def _zip(data: Any) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data[:])) as archive:
            for entry in archive.namelist():
                with archive.open(entry) as stream:
                    yield entry, _bounded(stream)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):  # no archive, an unknown compression, or encrypted
        return


def _pdf(data: Any) -> Iterator[tuple[str, bytes]]:
    for number, match in enumerate(re.finditer(rb"stream\r?\n", data), 1):
        try:
            yield f"stream {number}", zlib.decompressobj().decompress(data[match.end() :], LARGEST)
        except zlib.error:
            continue


def _parquet(data: Any) -> Iterator[tuple[str, bytes]]:
    """Yield the texts of each column, as they are in memory: one after the other."""
    try:
        file = pq.ParquetFile(io.BytesIO(data[:]))
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            for name, column in zip(table.column_names, table.columns, strict=True):
                for chunk in column.chunks:
                    yield from ((f"column {show(name)}", bytes(b)) for b in _buffers(chunk))
    except (pa.ArrowInvalid, OSError):
        return


def _buffers(array: Any) -> Iterator[Any]:
    """Yield the buffers of an array that hold text."""
    if isinstance(array, pa.DictionaryArray):
        yield from _buffers(array.dictionary)
    elif pa.types.is_struct(array.type):
        for index in range(array.type.num_fields):
            yield from _buffers(array.field(index))
    elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        yield from _buffers(array.values)
    elif any(test(array.type) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)):
        buffer = array.buffers()[2]
        if buffer is not None:
            yield buffer
