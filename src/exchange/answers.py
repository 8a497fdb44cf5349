"""Several models' answers and metrics as another tool states them, before they become a record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

TOLERANCE = 1e-4
"""How far a stated value may be from the mean of the answers' values; some files state four digits."""


class Unusable(Exception):
    """Why a task, or its answers, cannot be imported: a clause without a path, since it goes on record."""


@dataclass(slots=True)
class Answer:
    """One model's answer to one question; what the tool does not state is None or empty.

    Attributes:
        key: The question's id within its task.
        question: What identifies the question and its target; the same for all models.
        references: Accepted answers, the first to be shown.
        values: Each metric's value for this question, by the metric's column.
        columns: Further fields of the question.
        own_prompt: The prompt, if it differs from the first model's.
    """

    key: str
    question: tuple[str, ...]
    prompt: str
    answer: str
    correct: bool | None = None
    references: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    values: dict[str, float] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    own_prompt: str | None = None


@dataclass
class Metric:
    """A metric of a task, and its value for each model.

    Attributes:
        column: Name of the column with its value for each question.
        measure: How it is computed from the answers: as the share of right ones, or as the mean of its column; None if it is not.
        share: Whether each of its values is a share of right answers.
    """

    name: str
    direction: Literal["higher", "lower"]
    values: list[float]
    column: str
    measure: Literal["exact_match", "value"] | None = None
    share: bool = False

    def is_mean(self, values: Sequence[float | None], place: int) -> bool:
        """Determine whether the value of the model at a place is the mean of its values for each question, none missing."""
        known = [value for value in values if value is not None]
        return len(known) == len(values) > 0 and abs(sum(known) / len(known) - self.values[place]) <= TOLERANCE


@dataclass
class Task:
    """A task, or a group of tasks, as all models were asked it.

    Attributes:
        name: Its name, safe as a part of a file's name.
        method: How an answer was obtained, in a sentence; `prompts_differ` says how the models' prompts do.
        answers: Each model's answers, in the same order; empty without single answers.
        members: Names of the tasks of a group; empty for a task.
    """

    name: str
    method: str
    metrics: list[Metric]
    answers: list[list[Answer]] = field(default_factory=list)
    few_shot: int | None = None
    members: tuple[str, ...] = ()
    prompts_differ: str | None = None

    @property
    def asked(self) -> list[Answer]:
        """The first model's answers, which describe the questions; empty without single answers."""
        return self.answers[0] if self.answers else []

    def join(self, given: list[list[Answer]], reason: str | None = None) -> None:
        """Take over each model's answers, joined by question and target, never by order; prompts may differ for a stated reason."""
        unique = all(len({answer.question for answer in side}) == len(side) for side in given)
        sides = [{a.question if unique else (a.key, *a.question): a for a in side} for side in given]
        if any(side.keys() != sides[0].keys() for side in sides):
            raise Unusable("the runs were asked other questions; evaluate all models alike")
        for key, first in sides[0].items():
            ours = first.candidates
            for other in (side[key] for side in sides[1:]):
                theirs = other.candidates
                if first.prompt != other.prompt or ours != theirs:
                    if reason is None or len(ours) != len(theirs):
                        message = f"prompt or candidates of question {first.key[:40]} differ; evaluate all models alike"
                        raise Unusable(message)
                    self.prompts_differ, other.own_prompt = reason, other.prompt
                    if theirs:
                        other.answer, other.candidates = ours[theirs.index(other.answer)], ours
        self.answers = [[side[key] for key in sides[0]] for side in sides]


@dataclass
class Import:
    """Runs of another tool, ready to become a record: `base`, `finetuned`, then `run-3` and so on; or `finetuned` alone.

    Attributes:
        models: Each run's model as the tool names it, possibly by a path, and its adapter, if any.
        tasks: What was asked, groups included; values and answers in the order of the runs.
        files: What was read of each run.
        settings: What the tool states of the runs, limited to the keys of `settings`.
        notes: What was left out, and why.
    """

    tool: str
    models: dict[str, tuple[str, str | None]]
    tasks: list[Task]
    files: dict[str, list[Path]]
    settings: dict[str, Any]
    notes: list[str] = field(default_factory=list)
