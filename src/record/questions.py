"""What was asked: `results/NAME/questions.parquet`, one row per question, without any model's answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .columns import own_columns
from .errors import InputError
from .files import atomic, reading, sha256_file
from .schemas import Task
from .tables import as_numpy, read_table, typed, without_empty

CONTROL = pa.list_(pa.struct([("answer", pa.string()), ("share", pa.float32())]))

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("task", pa.string()),
        ("reference", pa.string()),
        ("references", pa.list_(pa.string())),
        ("control", CONTROL),
    ]
)
"""Columns with a meaning of their own; a file may have any others, which are the project's (see `src.record.columns`).

`reference` is the right answer, null if unknown. `references` lists all accepted answers, where `reference` is not the only one. `control` is the distribution of right answers if what
the question asks for were exchanged and the rest kept: a list of answers, each with its share.
"""

OPTIONAL = frozenset({"references", "control"})
_SHARES = 1e-3
"""How far the shares of a control may be from one in sum: they are stored with seven digits."""


@dataclass(frozen=True)
class Questions:
    """The questions of an evaluation: their file, and a row per question with the columns of `SCHEMA`, then the project's own."""

    path: Path
    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def own(self) -> list[str]:
        """Names of the project's own columns, in the order of the file."""
        return [name for name in self.table.column_names if name not in SCHEMA.names and not _is_control(name)]


def write_questions(path: Path, table: pa.Table) -> dict[str, Any]:
    """Write questions, whole or not at all; return the file's entry in the results."""
    checked = without_empty(_checked(path, table), OPTIONAL)
    with atomic(path) as temporary:
        pq.write_table(checked, temporary, compression="zstd", compression_level=19)
    return {"file": path.name, "sha256": sha256_file(path), "rows": table.num_rows}


def read_questions(path: Path) -> Questions:
    """Read and check a file of questions."""
    return Questions(path, _checked(path, read_table(path)))


def _checked(path: Path, table: pa.Table) -> pa.Table:
    controls = [name for name in table.column_names if _is_control(name)]
    schema = pa.schema([*SCHEMA, *((name, CONTROL) for name in controls)])
    with reading(path):
        found = pa.table(typed(table, schema, OPTIONAL) | own_columns(table, schema.names))
    for name in ("control", *controls):
        _check_shares(path, found, name)
    valid = found["control"].is_valid()
    with_control, without = (set(found["task"].filter(part).to_pylist()) for part in (valid, pc.invert(valid)))
    for task in sorted(with_control & without):
        raise InputError(path, f"control: missing for some questions of {task}, and others have one.")
    return found


def _is_control(name: str) -> bool:
    return name.startswith("control_")


def _check_shares(path: Path, table: pa.Table, column: str) -> None:
    """Refuse shares that do not sum to one."""
    control = table[column].combine_chunks()
    shares = as_numpy(control.flatten().field("share")).astype(np.float64)
    sums = np.bincount(as_numpy(pc.list_parent_indices(control)), weights=shares, minlength=len(control))
    wrong = np.flatnonzero(as_numpy(control.is_valid()) & (np.abs(sums - 1) > _SHARES))
    if len(wrong):
        row = int(wrong[0])
        raise InputError(path, f"{column}, id {table['id'][row].as_py()}: shares that sum to {sums[row]:.4g}, not 1.")


_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th, … for a number of one or more."""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _written(value: Any, form: str) -> str:
    if value is None:
        return ""
    if form == "letters":
        return "".join(f" {letter}" for letter in str(value))
    return ordinal(value) if form == "ordinal" else str(value)


def question_text(task: Task, row: Mapping[str, Any]) -> str:
    """Write one question from its task's template and a row's values, without the solved examples before it."""

    def value(match: re.Match[str]) -> str:
        field = task.fields.get(match[1])
        return match[0] if field is None else _written(row.get(field.column), field.form)

    return _PLACEHOLDER.sub(value, task.template or "")


def without_shared_end(questions: Sequence[str]) -> list[str]:
    """Leave out the last lines that all questions share, such as `Answer:`, so that what differs is at the end."""
    lines = [question.strip().split("\n") for question in questions]
    shared = 0
    while len(lines) > 1 and all(len(own) > shared + 1 for own in lines):
        if len({own[-1 - shared] for own in lines}) > 1:
            break
        shared += 1
    return ["\n".join(own[: len(own) - shared]) for own in lines]
