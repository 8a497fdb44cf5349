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
            table = pq.ParquetFile(path).read()
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(
                path, found=str(error).splitlines()[0], expected="a Parquet file", mend="Run `python -m src.dataset`."
            ) from None
        config, file = name.split("/")
        splits.append(
            Split(
                config=config,
                name=file.removesuffix(".parquet"),
                path=path,
                rows=table.num_rows,
                columns={field.name: str(field.type) for field in table.schema},
                sample=table.slice(0, 5).to_pylist(),
                examples=_examples(table),
                counts=_counts(table),
            )
        )
    order = {"train": 0, "validation": 1, "test": 2}
    return sorted(splits, key=lambda s: (s.name != "train", s.config, order.get(s.name, 3)))


def _examples(table: pa.Table) -> dict[str, dict[str, Any]]:
    if "template" not in table.column_names or not table.num_rows:
        return {}
    codes = table["template"].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    first = np.unique(codes, return_index=True)[1]
    return {str(row["template"]): row for row in table.take(np.sort(first)).to_pylist()}


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
