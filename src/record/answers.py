"""What a model answered: `results/NAME/answers/MODEL.parquet`, one row per question, in the order of the questions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .columns import grouped, number_columns
from .config import METRICS, Grouping, Only
from .errors import InputError, printable
from .files import atomic, reading, sha256_file
from .questions import Questions, question_text
from .schemas import Task
from .tables import FloatArray, as_numpy, read_table, typed, without_empty

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("prompt", pa.string()),
        ("own_words", pa.string()),
        ("answer", pa.string()),
        ("correct", pa.bool_()),
        ("score", pa.float32()),
        ("chosen", pa.string()),
        ("scores", pa.list_(pa.float16())),
        ("answered", pa.bool_()),
    ]
)
"""Columns with a meaning of their own; further columns of numbers hold a metric's value for each question, by the metric's `value`.

`prompt` is the whole prompt where it is not the one that the task's template gives. `own_words` is what the model
itself writes of what the question is about, before it is asked. `answer` is what the model wrote, or, where it only chose, what it chose; `correct` whether that is right (null if unknown),
`score` its log-likelihood in nats. `chosen` is the candidate that it would choose from the list, `scores` the log-likelihoods of all
candidates in their order, `answered` whether what it wrote is one of them.
"""

OPTIONAL = frozenset(SCHEMA.names) - {"id"}
MODELS = ("base", "finetuned")
MAX_ANSWER = 64
"""Characters of a freely written answer that are kept."""


@dataclass(frozen=True)
class Answers:
    """One model's answers: their file, and a row per question with the columns of `SCHEMA` and columns of numbers."""

    path: Path
    table: pa.Table


def write_answers(path: Path, table: pa.Table) -> dict[str, Any]:
    """Write answers, whole or not at all, without empty columns; return the file's entry in the results."""
    checked = without_empty(_typed(path, table), OPTIONAL)
    numbers = {"scores.list.element": "BYTE_STREAM_SPLIT"} if "scores" in checked.column_names else {}
    with atomic(path) as temporary:
        pq.write_table(
            checked,
            temporary,
            compression="zstd",
            compression_level=19,
            use_dictionary=[name for name in checked.column_names if name not in ("scores", "score", "id")],
            column_encoding=numbers | {"id": "DELTA_BYTE_ARRAY"},
        )
    return {"file": f"{path.parent.name}/{path.name}", "sha256": sha256_file(path), "rows": table.num_rows}


def read_answers(path: Path, questions: Questions, tasks: dict[str, Task]) -> Answers:
    """Read and check one model's answers."""
    table = _typed(path, read_table(path))
    if not table["id"].equals(questions.table["id"]):
        raise InputError(path, f"id: not the questions of {questions.path.name} in their order. Evaluate again.")
    _check_correct(path, questions, table, tasks)
    return Answers(path, table)


def _typed(path: Path, table: pa.Table) -> pa.Table:
    with reading(path):
        return pa.table(typed(table, SCHEMA, OPTIONAL) | number_columns(table, SCHEMA.names))


def _check_correct(path: Path, questions: Questions, table: pa.Table, tasks: dict[str, Task]) -> None:
    compared = [name for name, task in tasks.items() if task.judged == "comparison"]
    rows = pc.is_in(questions.table["task"], value_set=pa.array(compared, pa.string()))
    differs = pc.not_equal(_is_right(questions.table, table["answer"]), table["correct"])  # null where that is unknown
    wrong = table["id"].filter(pc.and_(rows, differs))
    if len(wrong):
        raise InputError(path, f"correct, id {wrong[0]}: not what answer and reference give. Evaluate again.")


def _is_right(questions: pa.Table, answers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Compare answers with their references: equal to the only one, or to one of several."""
    right = pc.fill_null(pc.equal(answers, questions["reference"]), False)
    several = questions["references"].combine_chunks()
    if several.null_count == len(several):
        return right
    rows = pc.list_parent_indices(several)
    equal = pc.fill_null(pc.equal(answers.combine_chunks().take(rows), several.flatten()), False)
    among = np.bincount(as_numpy(rows)[as_numpy(equal)], minlength=len(questions))
    return pc.if_else(pc.is_null(questions["references"]), right, pa.array(among > 0))


@dataclass(frozen=True)
class Answered:
    """One model's answers to the questions of one task, in the same order; `task` is None where the record does not say how it asked."""

    name: str
    task: Task | None
    questions: pa.Table
    answers: pa.Table

    def __len__(self) -> int:
        return int(self.questions.num_rows)

    @property
    def candidates(self) -> tuple[str, ...]:
        """The answers that were chosen from; empty where there was no choice."""
        return tuple(self.task.candidates or ()) if self.task else ()

    def __getitem__(self, column: str) -> pa.ChunkedArray:
        return (self.answers if column in self.answers.column_names else self.questions)[column]

    def has(self, column: str) -> bool:
        """Return whether every row has a value in a column."""
        return len(self) > 0 and not self.gaps(column)

    def gaps(self, column: str) -> int:
        """Count the rows without a value in a column; all of them where there is no such column."""
        table = self.answers if column in self.answers.column_names else self.questions
        return int(table[column].null_count) if column in table.column_names else len(self)

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return a column as a NumPy array."""
        return as_numpy(self[name])

    def texts(self, name: str) -> npt.NDArray[Any]:
        """Return a column of text as a NumPy array of objects, None where there is no value."""
        return np.array([*self[name].to_pylist(), None], dtype=object)[:-1]

    def where(self, mask: npt.NDArray[np.bool_]) -> Answered:
        """Return the rows that a mask of shape (questions,) selects."""
        kept = pa.array(mask)
        return replace(self, questions=self.questions.filter(kept), answers=self.answers.filter(kept))

    def only(self, limits: Iterable[Only]) -> Answered:
        """Return the rows that a metric is limited to; all of them where it is not."""
        kept = np.ones(len(self), dtype=bool)
        for rows in limits:
            if rows.equals is not None:
                kept &= self.texts(rows.column) == rows.equals
                continue
            with reading(METRICS):
                values = self.column(rows.column).astype(np.float64)
            kept &= values >= (-np.inf if rows.at_least is None else rows.at_least)
            kept &= values <= (np.inf if rows.at_most is None else rows.at_most)
        return self if kept.all() else self.where(kept)

    def group(self, by: Grouping) -> tuple[npt.NDArray[Any], list[Any]]:
        """Return the code of each row's group, -1 for a missing value, and the value behind each code."""
        with reading(METRICS):
            encoded = grouped(self[by.column], by).combine_chunks().dictionary_encode()
        values = [printable(value) if isinstance(value, str) else value for value in encoded.dictionary.to_pylist()]
        return as_numpy(encoded.indices.fill_null(-1)), values

    def control_shares(self, column: str | None = None) -> FloatArray | None:
        """Return for each row the chance that its answer is right if the question had asked about something else; None if unknown."""
        name = column or "control"
        if not len(self) or name not in self.questions.column_names or self.questions[name].null_count:
            return None
        control = self.questions[name].combine_chunks()
        rows = pc.list_parent_indices(control)
        entries = control.flatten()
        hit = pc.fill_null(pc.equal(self["answer"].combine_chunks().take(rows), entries.field("answer")), False)
        shares = np.where(as_numpy(hit), as_numpy(entries.field("share")).astype(np.float64), 0.0)
        return np.asarray(np.bincount(as_numpy(rows), weights=shares, minlength=len(self)), dtype=np.float64)

    def prompts(self) -> list[str]:
        """Write the prompts that the model was given."""
        own = self.answers["prompt"].to_pylist()
        return [prompt or template for prompt, template in zip(own, self._from_template(), strict=True)]

    def _from_template(self) -> list[str]:
        if self.task is None or self.task.template is None:
            return ["" for _ in range(len(self))]
        names = {field.column for field in self.task.fields.values()} & set(self.questions.column_names)
        values = {name: self.questions[name].to_pylist() for name in names}
        return [
            self.task.prefix + question_text(self.task, {name: column[i] for name, column in values.items()})
            for i in range(len(self))
        ]
