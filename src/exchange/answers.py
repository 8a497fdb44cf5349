"""Two models' answers and metrics as another tool states them, before they become a record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from src.record.schemas import Uncertainty

TOLERANCE = 1e-4
"""How far a stated value may be from the mean of the answers' values; some files state four digits."""

UNNAMED = "score"
"""Name of a metric that the tool does not name."""


class Unusable(Exception):
    """Why a task, or its answers, cannot be imported: a clause without a path, since it goes on record."""


@dataclass(slots=True)
class Answer:
    """One model's answer to one question.

    Attributes:
        key: The question's id within its task.
        question: What identifies the question and its target; the same for both models.
        prompt: What the model was given.
        answer: What the model answered.
        correct: The tool's verdict; None if it states none.
        references: Accepted answers, the first to be shown; empty if unknown.
        score: The answer's log-likelihood in nats, if known.
        scores: Those of all candidates, in their order.
        candidates: The candidates, if the answer was chosen from some.
        values: Each metric's value for this question, if it has one.
        columns: Further fields of the question.
        own_prompt: The prompt, if it is not the one that both models share.
    """

    key: str
    question: tuple[str, ...]
    prompt: str
    answer: str
    correct: bool | None = None
    references: tuple[str, ...] = ()
    score: float | None = None
    scores: tuple[float, ...] | None = None
    candidates: tuple[str, ...] | None = None
    values: dict[str, float] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    own_prompt: str | None = None

    def choose(self, weights: list[float]) -> None:
        """Take the candidate with the largest weight as the answer."""
        best = max(range(len(weights)), key=weights.__getitem__)
        self.answer, self.score = (self.candidates or ())[best], (self.scores or ())[best]


@dataclass
class Metric:
    """A metric of a task, as the tool states it.

    Attributes:
        name: The tool's name for it.
        direction: Which way is better.
        base: The base model's value; `tuned` likewise.
        verdict: Whether it is the share of answers that the tool judged right.
        unit: The unit, if the tool states the range; None to derive it from the answers.
        note: A further sentence of its definition.
        uncertainty: What the tool states of the uncertainty of both values.
    """

    name: str
    direction: Literal["higher", "lower"]
    base: float
    tuned: float
    verdict: bool = False
    unit: Literal["proportion", "distance", "number"] | None = None
    note: str = ""
    uncertainty: tuple[Uncertainty | None, Uncertainty | None] = (None, None)


@dataclass
class Task:
    """A task, or a group of tasks, of both runs.

    Attributes:
        name: Its name, safe as a part of a file's name.
        method: How an answer was obtained, in a sentence.
        metrics: The metrics that both runs state.
        base: The base model's answers; `tuned` in the same order.
        few_shot: Solved examples before each question.
        unpaired: Number of answers without a partner in the other run.
        members: Names of the tasks of a group; empty for a task.
        prompts_differ: How the two models' prompts differ, in a sentence.
    """

    name: str
    method: str
    metrics: list[Metric]
    base: list[Answer] = field(default_factory=list)
    tuned: list[Answer] = field(default_factory=list)
    few_shot: int | None = None
    unpaired: int = 0
    members: tuple[str, ...] = ()
    prompts_differ: str | None = None

    def join(self, base: Iterable[Answer], tuned: Iterable[Answer], reason: str | None = None) -> None:
        """Take over both models' answers, joined by id, question and target, never by order.

        Args:
            base: The base model's answers.
            tuned: The tuned model's answers.
            reason: Why their prompts may differ, if the tool states why.

        Raises:
            Unusable: The prompts or candidates differ without a stated reason, or no question is shared.
        """
        left = {answer.key: answer for answer in tuned}
        by_question: dict[tuple[str, ...], str | None] = {}
        for key, answer in left.items():
            by_question[answer.question] = None if answer.question in by_question else key
        for answer in base:
            key = answer.key
            if key not in left or left[key].question != answer.question:
                key = by_question.get(answer.question) or ""
            if key in left:
                self._pair(answer, left.pop(key), reason)
            else:
                self.unpaired += 1
        if not self.base:
            raise Unusable("the two runs share no question; evaluate both models on the same questions")
        self.unpaired += len(left)

    def _pair(self, answer: Answer, other: Answer, reason: str | None) -> None:
        ours, theirs = answer.candidates or (), other.candidates or ()
        if answer.prompt != other.prompt or ours != theirs:
            if reason is None or len(ours) != len(theirs):
                raise Unusable(f"prompt or candidates of question {answer.key[:40]} differ; evaluate both models alike")
            self.prompts_differ, other.own_prompt = reason, other.prompt
            if theirs:
                other.answer, other.candidates = ours[theirs.index(other.answer)], ours
        other.columns = {}
        self.base.append(answer)
        self.tuned.append(other)


@dataclass
class Import:
    """Two runs of another tool, ready to become a record.

    Attributes:
        tool: The tool, with its version if stated.
        base_model: The base model as the run names it, possibly by a path; `tuned_model` likewise.
        adapter: The tuned model's adapter, likewise; None if the run names none.
        tasks: What was asked, groups included.
        files: The base run's files and the tuned run's.
        settings: What the tool states of the runs, limited to the keys of `settings`.
        said: What was left out, and why.
    """

    tool: str
    base_model: str
    tuned_model: str
    adapter: str | None
    tasks: list[Task]
    files: tuple[list[Path], list[Path]]
    settings: dict[str, Any]
    said: list[str] = field(default_factory=list)
