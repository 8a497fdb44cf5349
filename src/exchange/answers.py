"""Answers of two models as another tool gives them, before they become a record; the base model's and the tuned one's are joined by key."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from src.record.errors import InputError


@dataclass(slots=True)
class Answer:
    """One model's answer to one question.

    Attributes:
        key: What the question is known by within its task.
        checks: Hashes of question, prompt and target, which both models' answers must share.
        prompt: What the model was given.
        references: The answers that count as right, the first to be shown.
        answer: What the model answered.
        score: The answer's log-likelihood in nats, where it is known.
        scores: Those of all candidates, in their order.
        candidates: The candidates, where there were some.
        values: Value of each metric that has one for each question.
        columns: What else is known of the question.
        own_prompt: What the model was given, where it is not the prompt that both share.
    """

    key: str
    checks: tuple[str, ...]
    prompt: str
    references: tuple[str, ...]
    answer: str
    score: float | None = None
    scores: tuple[float, ...] | None = None
    candidates: tuple[str, ...] | None = None
    values: dict[str, float] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    own_prompt: str | None = None

    @property
    def correct(self) -> bool:
        """Whether the answer is one of the references."""
        return self.answer in self.references


@dataclass
class Metric:
    """A metric of a task, as the tool states it.

    Attributes:
        name: Its name for the tool.
        direction: Which way is better.
        base: The base model's value; `tuned` likewise.
        exact: Whether it is the share of answers that are right.
    """

    name: str
    direction: Literal["higher", "lower"]
    base: float
    tuned: float
    exact: bool = False


@dataclass
class Task:
    """What two runs hold of a task.

    Attributes:
        name: Its name, safe as a part of a file's name.
        method: How an answer was obtained, in a sentence.
        metrics: The metrics that both runs state.
        base: The base model's answers; `tuned` in the same order.
        few_shot: Solved examples before each question.
    """

    name: str
    method: str
    metrics: list[Metric]
    base: list[Answer] = field(default_factory=list)
    tuned: list[Answer] = field(default_factory=list)
    few_shot: int | None = None
    unpaired: int = 0


@dataclass
class Import:
    """Two runs of another tool, ready to become a record.

    Attributes:
        tool: The tool, with its version where it is stated.
        base_model: The base model's name; `tuned_model` likewise.
        tasks: What was asked.
        files: The files that were read.
        settings: What the tool states of the runs.
        said: What was left out, and why.
    """

    tool: str
    base_model: str
    tuned_model: str
    adapter: str | None
    tasks: list[Task]
    files: list[Path]
    settings: dict[str, Any]
    said: list[str] = field(default_factory=list)


def mapping(value: object) -> dict[str, Any]:
    """Return an object of untrusted JSON; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def safe_name(name: str) -> str:
    """Make a name safe as a part of a file's name and of a metric's key."""
    return re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:80] or "task"


def paired(
    path: Path, task: str, base: Iterable[Answer], tuned: Iterable[Answer]
) -> tuple[list[Answer], list[Answer], int]:
    """Join two models' answers by key, never by order.

    Args:
        path: The tuned model's file, for errors.
        task: The task, for errors.
        base: The base model's answers.
        tuned: The tuned model's answers.

    Returns:
        The answers to the questions that both answered, in the base model's order, and how many answers have no partner.

    Raises:
        InputError: The same question was put in another way to the other model, or they have no question in common.
    """
    others = {answer.key: answer for answer in tuned}
    first, second, alone = [], [], 0
    for answer in base:
        other = others.pop(answer.key, None)
        if other is None:
            alone += 1
            continue
        if other.checks != answer.checks or other.candidates != answer.candidates:
            raise InputError(
                path, key=f"{task}, question {answer.key}", found="another question, prompt or right answer than the base model's",
                expected="the same in both runs", hint="Evaluate both models with the same version of the task and the same settings.",
            )  # fmt: skip
        other.columns = {}
        first.append(answer)
        second.append(other)
    if not first:
        raise InputError(
            path, key=task, found="no question that the base model answered too", expected="answers to the same questions",
            hint="Evaluate both models with the same --limit and --samples.",
        )  # fmt: skip
    return first, second, alone + len(others)


def finite(path: Path, key: str, value: object) -> float:
    """Read a number, which may be written as text.

    Raises:
        InputError: It is none, or not finite.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(
            path, key=key, found=value, expected="a finite number", hint="Evaluate again, or leave the task out."
        )
    return number
