"""Where the models go wrong: outcomes question by question, the wrong answers, and what is written when nothing is listed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.record.answers import Answered
from src.record.tables import frequencies

FREQUENT = 3
"""Most answers that are named for each model."""


@dataclass(frozen=True)
class WrongAnswers:
    """One model's wrong answers in a task: how many, and the most frequent of a list."""

    count: int
    frequent: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ErrorProfile:
    """How both models fare on the questions of one task; `fixed` counts what only the fine-tuned model got right, `broken` the reverse."""

    task: str
    questions: int
    both_right: int
    fixed: int
    broken: int
    both_wrong: int
    choice: bool
    base: WrongAnswers
    finetuned: WrongAnswers


def error_profile(base: Answered, finetuned: Answered) -> ErrorProfile:
    """Profile the errors of a task in which it is known of every answer whether it is right."""
    before, after = base.column("correct").astype(bool), finetuned.column("correct").astype(bool)
    return ErrorProfile(
        task=base.name,
        questions=len(base),
        both_right=int(np.sum(before & after)),
        fixed=int(np.sum(~before & after)),
        broken=int(np.sum(before & ~after)),
        both_wrong=int(np.sum(~before & ~after)),
        choice=bool(base.candidates),
        base=_wrong(base),
        finetuned=_wrong(finetuned),
    )


def _wrong(rows: Answered) -> WrongAnswers:
    wrong = rows.where(~rows.column("correct").astype(bool))
    frequent = frequencies(wrong["answer"]) if rows.candidates and len(wrong) else {}
    return WrongAnswers(
        count=len(wrong),
        frequent=tuple(sorted(frequent.items(), key=lambda pair: (-pair[1], pair[0]))[:FREQUENT]),
    )
