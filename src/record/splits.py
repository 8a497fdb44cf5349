"""The dataset that a record was measured on: its files, and statistics for the documents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .errors import InputError
from .predictions import as_numpy


@dataclass(frozen=True)
class Split:
    """One Parquet file of the dataset.

    Attributes:
        config: Its folder, which is the config's name on the Hub.
        name: train, validation or test.
        rows: Number of rows.
        columns: Name and type of each column.
        sample: The first rows.
        examples: The first row of each template, where there are templates.
        counts: For each low-cardinality column that documents show, how often each value comes.
    """

    config: str
    name: str
    path: Path
    rows: int
    columns: dict[str, str]
    sample: list[dict[str, Any]]
    examples: dict[str, dict[str, Any]]
    counts: dict[str, list[tuple[str, int]]]


COUNTED = ("template", "style", "separator", "answer", "position", "word_length", "token_count")
"""What is counted in a split, where the split has it."""


def dataset_files(folder: Path) -> dict[str, Path]:
    """List the Parquet files of a dataset by path inside the folder; empty if there is no such folder."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.glob("*/*.parquet"))}


def read_splits(folder: Path) -> list[Split]:
    """Read the statistics of every split.

    Raises:
        InputError: A file is no Parquet file.
    """
    splits = []
    for name, path in dataset_files(folder).items():
        try:
            schema = pq.read_schema(path)
            texts = [f.name for f in schema if f.name in COUNTED and pa.types.is_string(f.type)]
            wanted = [name for name in schema.names if name in (*COUNTED, "word", "tokens")]
            counted = pq.ParquetFile(path, read_dictionary=texts).read(wanted)
            examples = _first_of_each(counted)
            rows = _rows(path, {*range(min(5, counted.num_rows)), *examples})
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(
                path, found=str(error).splitlines()[0], expected="a Parquet file", hint="Run `python -m src.dataset`."
            ) from None
        config, stem = name.split("/")
        splits.append(
            Split(
                config=config,
                name=stem.removesuffix(".parquet"),
                path=path,
                rows=counted.num_rows,
                columns={field.name: str(field.type) for field in schema},
                sample=[rows[i] for i in range(min(5, counted.num_rows))],
                examples={str(rows[i]["template"]): rows[i] for i in examples},
                counts=_counts(counted),
            )
        )
    order = {"train": 0, "validation": 1, "test": 2}
    return sorted(splits, key=lambda s: (s.name != "train", s.config, order.get(s.name, 3)))


def _first_of_each(table: pa.Table) -> list[int]:
    """Return the place of the first row of each template."""
    if "template" not in table.column_names or not table.num_rows:
        return []
    codes = as_numpy(table["template"].combine_chunks().dictionary_encode().indices)
    return sorted(int(place) for place in np.unique(codes, return_index=True)[1])


def _rows(path: Path, places: set[int]) -> dict[int, dict[str, Any]]:
    """Read single rows, and no more of the file than up to the last of them."""
    found: dict[int, dict[str, Any]] = {}
    start = 0
    for batch in pq.ParquetFile(path).iter_batches(batch_size=2048):
        inside = sorted(place for place in places if start <= place < start + batch.num_rows)
        found |= {place: batch.slice(place - start, 1).to_pylist()[0] for place in inside}
        start += batch.num_rows
        if len(found) == len(places):
            break
    return found


def _counts(table: pa.Table) -> dict[str, list[tuple[str, int]]]:
    if "word" in table.column_names:
        table = table.append_column("word_length", pc.utf8_length(table["word"]))
    if "tokens" in table.column_names:
        table = table.append_column("token_count", pc.list_value_length(table["tokens"]))
    out = {}
    for name in COUNTED:
        if name in table.column_names:
            found = pc.value_counts(table[name]).to_pylist()
            pairs = sorted((v["values"], v["counts"]) for v in found if v["values"] is not None)
            if 0 < len(pairs) <= 40:
                out[name] = [(str(value), count) for value, count in pairs]
    return out
