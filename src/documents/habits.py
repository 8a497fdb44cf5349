"""What a model answers most often, and where it is right: what a reader who asks it should know beforehand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from src.record.predictions import Predictions, as_numpy


@dataclass(frozen=True)
class Habit:
    """How a model answers the questions of a task.

    Attributes:
        answer: The answer that it gives most often.
        share: The share of the questions that it gives it to.
        right: The share of the questions that it answers right.
        best: The position that the fine-tuned model answers right most often, where the questions are about positions.
        right_there: The share that it answers right at that position.
        right_elsewhere: The share that it answers right at all others.
    """

    answer: str
    share: float
    right: float
    best: int | None = None
    right_there: float | None = None
    right_elsewhere: float | None = None


def habit(rows: Predictions, model: str) -> Habit:
    """Count a model's answers to the questions of a task.

    Args:
        rows: The task's predictions.
        model: `base` or `finetuned`.
    """
    ((answer, times),) = Counter(rows.table[f"{model}_answer"].to_pylist()).most_common(1)
    right = as_numpy(rows.table[f"{model}_correct"]).astype(np.float64)
    plain = Habit(answer, times / len(rows), float(right.mean()))
    if not rows.has("position") or not pa.types.is_integer(rows.table["position"].type):
        return plain
    places = rows.column("position")
    known = np.unique(places)
    if len(known) < 2:
        return plain
    tuned = as_numpy(rows.table["finetuned_correct"])
    best = max(known, key=lambda place: tuned[places == place].mean())
    there, elsewhere = right[places == best].mean(), right[places != best].mean()
    return Habit(plain.answer, plain.share, plain.right, int(best), float(there), float(elsewhere))
