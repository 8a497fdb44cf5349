"""One model's figures in one metric, a fine-tuned run against the base model, and the verdict that the evidence allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from src.record.answers import Answered
from src.record.config import MetricConfig
from src.record.errors import InputError
from src.record.measures import measures
from src.record.tables import FloatArray, frequencies

from .statistics import (
    Interval,
    bootstrap_mean,
    holm,
    kappa,
    mcnemar,
    paired_permutation,
    poisson_binomial_tail,
    wilson,
)

Verdict = Literal[
    "not tested",
    "does not answer",
    "no evidence of use",
    "no better than a guess",
    "worse",
    "improved",
    "no difference",
]
"""What is known of a change, in the order in which it is decided; the first that applies is the verdict.

not tested: no answers on record. does not answer: fewer than half of the lines that the model writes freely are candidates. no evidence
of use: not above the control. no better than a guess: not above the best answer that ignores part of the question. Then a paired test
against the base model.
"""

ANSWERS = 0.5
"""Smallest share of freely written lines that are candidates for a model to count as answering."""

CONSTANT = 0.99
"""Smallest share of the questions for which an answer counts as constant."""


@dataclass(frozen=True)
class Baseline:
    """The accuracy of an answer without the model, or without part of the question: chance, the most common answer, a shortcut."""

    label: str
    value: float


@dataclass(frozen=True)
class Constant:
    """An answer that a model gives to nearly every question of a task, and the share of the questions."""

    answer: str
    share: float


@dataclass(frozen=True)
class Figures:
    """One model in one metric.

    Attributes:
        interval: Wilson's or a bootstrap interval; None without answers on record.
        control: Accuracy that the same answers would be expected to have if the question had asked about something else.
        control_p: Chance of as many right answers as were observed, if it were (Poisson binomial, one-sided).
        kappa: Agreement with the right answers beyond chance, for choices.
        answered: Share of what it wrote that is one of the candidates.
        constant: The answer given to nearly every question, if there is one.
    """

    value: float
    interval: Interval | None = None
    control: float | None = None
    control_p: float | None = None
    kappa: float | None = None
    answered: float | None = None
    constant: Constant | None = None


@dataclass(frozen=True)
class Comparison:
    """A fine-tuned run against the base model in one metric.

    Attributes:
        figures: The run's own figures.
        change: Run minus base, in the metric's own unit; None without a base model.
        relative: The change as a share of the base's value; None where that is zero.
        change_interval: Paired bootstrap interval.
        p_value: Two-sided, uncorrected.
        p_adjusted: After Holm's correction over the primary metrics; None for the others.
        shortcut: The best answer that ignores part of the question.
        shortcut_p: McNemar's test of the run against it; two-sided.
        above_control: Whether the answers are right more often than their control allows; None without a control.
        above_shortcut: Whether they are right more often than the best answer that ignores part of the question; None without one.
    """

    figures: Figures
    change: float | None = None
    relative: float | None = None
    better: bool | None = None
    change_interval: Interval | None = None
    test: str | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    shortcut: Baseline | None = None
    shortcut_p: float | None = None
    above_control: bool | None = None
    above_shortcut: bool | None = None
    verdict: Verdict = "not tested"

    @property
    def p_shown(self) -> float | None:
        """The p-value of the comparison with the base model that the verdict uses."""
        return self.p_value if self.p_adjusted is None else self.p_adjusted


TOLERANCE = 1e-6
"""How far a stated metric may be from the one that is computed from the answers (JSON may have been rounded)."""


def check_stated(path: Path, key: str, value: float, computed: float) -> None:
    """Refuse a stated metric that is not the one that is computed from the answers."""
    if abs(computed - value) > TOLERANCE:
        raise InputError(path, f"{key}: {value}, but the answers give {computed:.6f}. Evaluate again, or correct it.")


def stated(base: float, finetuned: float, metric: MetricConfig) -> Comparison:
    """Compare two stated values, without answers."""
    change = finetuned - base
    relative = change / abs(base) if base else None
    better = change > 0 if metric.direction == "higher" else change < 0
    return Comparison(Figures(finetuned), change, relative, better)


def figures(
    rows: Answered, metric: MetricConfig, values: FloatArray, level: float, *, intervals: bool = True
) -> Figures:
    """Compute one model's figures from its answers to the questions that the metric is about, and its value for each of them."""
    bounds = interval(values, right_or_wrong(metric, values), level) if intervals else None
    found = Figures(float(values.mean()), bounds)
    if not compares(metric) or not rows.candidates:
        return found
    shares = rows.control_shares(metric.control)
    references = rows.has("reference")
    answer, times = max(frequencies(rows["answer"]).items(), key=lambda pair: pair[1])
    return replace(
        found,
        control=None if shares is None else float((shares * weights(rows, metric)).mean()),
        control_p=None if shares is None else poisson_binomial_tail(shares, int((values > 0).sum())),
        kappa=kappa(rows.texts("reference"), rows.texts("answer")) if references else None,
        answered=float(rows.column("answered").mean()) if rows.has("answered") else None,
        constant=Constant(answer, times / len(rows)) if times >= CONSTANT * len(rows) else None,
    )


def compare(
    rows: Answered,
    metric: MetricConfig,
    level: float,
    values: tuple[FloatArray, FloatArray],
    *,
    intervals: bool = True,
) -> Comparison:
    """Compare a run's answers with the base model, by both models' values per question; the verdict waits for Holm's correction."""
    before, after = values
    exact = right_or_wrong(metric, before, after)
    own = figures(rows, metric, after, level, intervals=intervals)
    best, best_p = None, None
    if compares(metric) and rows.candidates and rows.has("reference"):
        best, right = max(shortcuts(rows, metric), key=lambda pair: pair[0].value)
        best_p = mcnemar(right, after) if exact else paired_permutation(right, after)
    return replace(
        stated(float(before.mean()), own.value, metric),
        figures=own,
        change_interval=bootstrap_mean(after - before, level) if intervals else None,
        test="exact McNemar" if exact else "paired permutation",
        p_value=mcnemar(before, after) if exact else paired_permutation(before, after),
        shortcut=best,
        shortcut_p=best_p,
    )


def judge_all(found: dict[str, Comparison], metrics: Mapping[str, MetricConfig], level: float) -> dict[str, Comparison]:
    """Apply Holm's correction over the primary metrics and reach the verdicts."""
    family = [key for key, run in found.items() if metrics[key].primary and run.p_value is not None]
    adjusted = dict(zip(family, holm([found[key].p_value or 0.0 for key in family]), strict=True))
    return {key: judge(replace(run, p_adjusted=adjusted.get(key)), level) for key, run in found.items()}


def judge(found: Comparison, level: float) -> Comparison:
    """Reach the verdict: the first of `Verdict` that applies."""
    own = found.figures
    if own.control_p is not None:
        found = replace(found, above_control=own.control_p < level)
    if found.shortcut is not None and found.shortcut_p is not None:
        found = replace(found, above_shortcut=own.value > found.shortcut.value and found.shortcut_p < level)
    return replace(found, verdict=_verdict(found, level))


def _verdict(found: Comparison, level: float) -> Verdict:
    answered, p = found.figures.answered, found.p_shown
    if p is None:
        return "not tested"
    if answered is not None and answered < ANSWERS:
        return "does not answer"
    if found.above_control is False:
        return "no evidence of use"
    if found.above_shortcut is False:
        return "no better than a guess"
    if p >= level:
        return "no difference"
    return "improved" if found.better else "worse"


def compares(metric: MetricConfig) -> bool:
    """Return whether a metric compares the answer with the right one, so that controls and shortcuts apply."""
    return metric.measure is not None and measures()[metric.measure].compares


def weights(rows: Answered, metric: MetricConfig) -> FloatArray:
    """Return the weight of each question in a metric, of shape (questions,)."""
    given = measures()[metric.measure or ""].weights
    return given(rows) if given else np.ones(len(rows))


def shortcuts(rows: Answered, metric: MetricConfig) -> list[tuple[Baseline, FloatArray]]:
    """Return each answer that ignores part of the question, with its values per question, of shape (questions,)."""
    common = max(frequencies(rows["reference"]).items(), key=lambda pair: pair[1])[0]
    found = [("the most common answer", np.full(len(rows), common, dtype=object))]
    if rows.task is not None:
        found += [(label, rows.texts(column)) for label, column in rows.task.shortcuts.items()]
    references, weight = rows.texts("reference"), weights(rows, metric)
    values = [(label, (answers == references) * weight) for label, answers in found]
    return [(Baseline(label, float(right.mean())), right) for label, right in values]


def baselines(rows: Answered, metric: MetricConfig) -> tuple[Baseline, ...]:
    """Return what chance and each answer that ignores part of the question would score."""
    if not rows.candidates or not rows.has("reference"):
        return ()
    return (Baseline("chance", 1 / len(rows.candidates)), *(baseline for baseline, _ in shortcuts(rows, metric)))


def right_or_wrong(metric: MetricConfig, *values: FloatArray) -> bool:
    """Return whether a metric's values are right or wrong, and nothing between."""
    if metric.measure == "value":
        return all(bool(np.isin(v, (0.0, 1.0)).all()) for v in values)
    return measures()[metric.measure or ""].right_or_wrong


def interval(values: FloatArray, exact: bool, level: float) -> Interval | None:
    """Compute the interval of a mean: Wilson's for right or wrong, a bootstrap interval for numbers."""
    return wilson(int(values.sum()), len(values), level) if exact else bootstrap_mean(values, level)
