"""Where the models go wrong: outcomes question by question, and what the wrong answers look like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from src.record.predictions import Predictions, frequencies

FREQUENT = 3
"""Most wrong answers that are named for each model."""


@dataclass(frozen=True)
class WrongAnswers:
    """One model's wrong answers in a task.

    Attributes:
        count: How many there are.
        frequent: The most frequent ones with their number, most frequent first; empty where answers were not chosen from a list.
        right_length: How many have as many characters as the right answer.
        right_start: How many begin with the right answer's first character.
    """

    count: int
    frequent: tuple[tuple[str, int], ...]
    right_length: int
    right_start: int


@dataclass(frozen=True)
class ErrorProfile:
    """How both models fare on the questions of one task.

    Attributes:
        both_right: Questions that both got right; `fixed`: only the fine-tuned model; `broken`: only the base model.
        choice: Whether answers were chosen from a list of candidates.
    """

    task: str
    questions: int
    both_right: int
    fixed: int
    broken: int
    both_wrong: int
    choice: bool
    base: WrongAnswers
    finetuned: WrongAnswers


def error_profile(task: str, rows: Predictions, *, choice: bool) -> ErrorProfile:
    """Profile the errors of a task.

    Args:
        task: Its name.
        rows: Its predictions.
        choice: Whether answers were chosen from a list of candidates.
    """
    base, tuned = rows.column("base_correct").astype(bool), rows.column("finetuned_correct").astype(bool)
    return ErrorProfile(
        task=task,
        questions=len(rows),
        both_right=int(np.sum(base & tuned)),
        fixed=int(np.sum(~base & tuned)),
        broken=int(np.sum(base & ~tuned)),
        both_wrong=int(np.sum(~base & ~tuned)),
        choice=choice,
        base=_wrong(rows, "base", choice),
        finetuned=_wrong(rows, "finetuned", choice),
    )


def _wrong(rows: Predictions, model: str, choice: bool) -> WrongAnswers:
    table = rows.table.select([f"{model}_answer", "reference", f"{model}_correct"])
    table = table.filter(pc.invert(table[f"{model}_correct"]))
    answers, references = table[f"{model}_answer"], table["reference"]
    frequent = frequencies(answers) if choice else {}
    same_length = pc.equal(pc.utf8_length(answers), pc.utf8_length(references))
    first = [pc.utf8_slice_codeunits(column, 0, 1) for column in (answers, references)]
    return WrongAnswers(
        count=table.num_rows,
        frequent=tuple(sorted(frequent.items(), key=lambda pair: (-pair[1], pair[0]))[:FREQUENT]),
        right_length=int(pc.sum(same_length).as_py() or 0),
        right_start=int(pc.sum(pc.equal(*first)).as_py() or 0),
    )
