"""The dataset that a record was measured on: its files, and statistics for the documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .columns import grouped, is_text
from .config import Grouping
from .files import reading
from .tables import as_numpy

MOST_VALUES = 40
"""Most different values that are counted."""

TEMPLATE = "template"
"""Column of the training examples that says how an example is written."""


@dataclass(frozen=True)
class Split:
    """One Parquet file of the dataset.

    Attributes:
        config: Its folder, which is the config's name on the Hub.
        name: train, validation or test.
        columns: Name and type of each column.
        sample: The first rows.
        examples: The first row of each template, where there are templates.
        counts: For each label of what is counted, how often each value comes, where there are few.
    """

    config: str
    name: str
    path: Path
    rows: int
    columns: dict[str, str]
    sample: list[dict[str, Any]]
    examples: dict[str, dict[str, Any]]
    counts: dict[str, list[tuple[str, int]]]


def dataset_files(folder: Path) -> dict[str, Path]:
    """List the Parquet files of a dataset by path inside the folder; empty if there is no such folder."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.glob("*/*.parquet"))}


def split_name(name: str) -> str:
    """Return a name as the Hub allows it for a split."""
    return name.replace("-", "_").replace(".", "_")


def file_split(config: str, name: str, path: Path) -> Split:
    """Describe a Parquet file of the record as a split of the published dataset."""
    file = pq.ParquetFile(path)
    columns = {field.name: str(field.type) for field in file.schema_arrow}
    return Split(config, name, path, file.metadata.num_rows, columns, [], {}, {})


def read_splits(folder: Path, counted: Sequence[Grouping], declared: Path) -> list[Split]:
    """Read the statistics of every split."""
    splits = []
    for name, path in dataset_files(folder).items():
        with reading(path):
            table = pq.ParquetFile(path).read()
            first, examples = range(min(5, table.num_rows)), _first_of_each(table)
            places = sorted({*first, *examples})
            rows = dict(zip(places, table.take(places).to_pylist(), strict=True)) if places else {}
        config, stem = name.split("/")
        splits.append(
            Split(
                config=config,
                name=stem.removesuffix(".parquet"),
                path=path,
                rows=table.num_rows,
                columns={field.name: str(field.type) for field in table.schema},
                sample=[rows[i] for i in first],
                examples={str(rows[i][TEMPLATE]): rows[i] for i in examples},
                counts=_counts(table, counted, declared),
            )
        )
    order = {"train": 0, "validation": 1, "test": 2}
    return sorted(splits, key=lambda s: (s.name != "train", s.config, order.get(s.name, 3)))


def _first_of_each(table: pa.Table) -> list[int]:
    """Return the place of the first row of each template."""
    if TEMPLATE not in table.column_names or not table.num_rows or not is_text(table[TEMPLATE].type):
        return []
    codes = as_numpy(table[TEMPLATE].combine_chunks().dictionary_encode().indices)
    return sorted(int(place) for place in np.unique(codes, return_index=True)[1])


def _counts(table: pa.Table, counted: Sequence[Grouping], declared: Path) -> dict[str, list[tuple[str, int]]]:
    out = {}
    for i, by in enumerate(counted):
        if by.column not in table.column_names:
            continue
        with reading(declared, f"See dataset_counts[{i}]."):
            found = pc.value_counts(grouped(table[by.column], by)).to_pylist()
        pairs = sorted((v["values"], v["counts"]) for v in found if v["values"] is not None)
        if 0 < len(pairs) <= MOST_VALUES:
            out[by.label or by.key] = [(str(value), count) for value, count in pairs]
    return out
