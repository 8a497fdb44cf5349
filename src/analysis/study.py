"""What the runs of a study show together: each arm over its seeds, and arm against arm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from src.record.config import Grouping, Measure, MetricConfig, MetricsConfig
from src.record.measures import OF_COUNTS, AnswerCounts, answer_codes, available, counted, of_counts, per_question
from src.record.predictions import Predictions
from src.record.study import LoadedStudy

from .statistics import COUNT_RESAMPLES, SEED, FloatArray, Interval, t_interval

Claim = Literal["higher", "lower", "no difference", "too few seeds"]

BASE = "base"
"""Name of the base model where arms are compared."""

LEAST_SEEDS = 2
"""Seeds without which nothing is claimed of an arm."""

_BATCH_ELEMENTS = 4_000_000


@dataclass(frozen=True)
class ArmMetric:
    """One metric of one arm.

    Attributes:
        values: The value of each run, in the order of the seeds.
        mean: Their mean.
        interval: Student's t interval for the mean over seeds; None for one seed.
    """

    values: tuple[float, ...]
    mean: float
    interval: Interval | None


@dataclass(frozen=True)
class ArmResult:
    """One arm of a study.

    Attributes:
        seeds: Seeds of the runs that are done.
        planned: Number of runs that are declared.
        metrics: What they came to, by metric.
    """

    name: str
    label: str
    role: str
    purpose: str
    seeds: tuple[int, ...]
    planned: int
    metrics: dict[str, ArmMetric]


@dataclass(frozen=True)
class Subset:
    """The questions that a contrast is about, where it is not about all of them."""

    by: Grouping
    value: Any


@dataclass(frozen=True)
class Contrast:
    """One arm compared with another, or with the base model, on the same questions.

    Attributes:
        metric: Key of the metric.
        arm: The arm.
        against: The other arm, or `BASE`.
        difference: Mean of the arm less mean of the other, in the metric's own unit.
        interval: Percentile bootstrap over seeds and questions together; None where an arm has too few seeds.
        seeds: Seeds that it rests on, of the arm and of the other (0 for the base model, which was not trained for this).
        claim: Where the interval lies.
        group: The questions, where they are not all.
    """

    metric: str
    arm: str
    against: str
    difference: float
    interval: Interval | None
    seeds: tuple[int, int]
    claim: Claim
    group: Subset | None = None


@dataclass(frozen=True)
class StudyAnalysis:
    """What a study shows."""

    main: str
    arms: tuple[ArmResult, ...]
    contrasts: tuple[Contrast, ...]
    missing: dict[str, str]

    def arm(self, name: str) -> ArmResult:
        """Return an arm by its name."""
        return next(arm for arm in self.arms if arm.name == name)

    def contrast(self, metric: str, arm: str, against: str = BASE, *, grouped: bool = False) -> Contrast | None:
        """Return how an arm compares in a metric, if both sides have runs.

        Args:
            metric: Key of the metric.
            arm: The arm.
            against: What it is compared with.
            grouped: Whether only the questions are meant on which the main arm gained most.
        """
        return next(
            (
                c
                for c in self.contrasts
                if (c.metric, c.arm, c.against) == (metric, arm, against) and (c.group is not None) == grouped
            ),
            None,
        )


def analyse_study(study: LoadedStudy, metrics: MetricsConfig, groups: dict[str, Subset]) -> StudyAnalysis:
    """Analyse a study.

    Args:
        study: Its runs.
        metrics: The declared metrics.
        groups: For a metric, the questions on which it is looked at once more.
    """
    arms = [name for name in study.config.arms if study.done(name)]
    values: dict[str, dict[str, tuple[float, ...]]] = {arm: {} for arm in arms}
    contrasts: list[Contrast] = []
    measured = [found.evaluation.base_model.metrics for found in study.results.values()]
    tasks: dict[str, list[str]] = {}
    for key, metric in metrics.metrics.items():
        if metric.task and metric.measure and measured and all(key in found for found in measured):
            tasks.setdefault(metric.task, []).append(key)
    for task, keys in tasks.items():
        answers = _Answers(study, arms, task)
        for key in keys:
            metric = metrics.metrics[key]
            if not answers.measurable(metric):
                continue
            whole = answers.values(metric)
            for arm in arms:
                values[arm][key] = tuple(float(whole[place]) for place in answers.places[arm])
        for key, group, resampled, observed in answers.resampled({k: metrics.metrics[k] for k in keys}, groups):
            contrasts += _contrasts(key, group, observed, resampled, answers.places, study.main, metrics)
    level = metrics.significance_level
    return StudyAnalysis(
        main=study.main,
        arms=tuple(
            ArmResult(
                name=name,
                label=arm.label,
                role=arm.role,
                purpose=arm.purpose.strip(),
                seeds=tuple(run.experiment.seed for run in study.done(name)),
                planned=len(arm.seeds),
                metrics={key: _over_seeds(found, level) for key, found in values.get(name, {}).items()},
            )
            for name, arm in study.config.arms.items()
        ),
        contrasts=tuple(contrasts),
        missing=study.missing,
    )


def _over_seeds(values: tuple[float, ...], level: float) -> ArmMetric:
    return ArmMetric(values, float(np.mean(values)), t_interval(np.array(values), level))


class _Answers:
    """The answers of the base model and of all runs to the questions of one task; the base model comes first."""

    def __init__(self, study: LoadedStudy, arms: list[str], task: str) -> None:
        self.runs = [run.name for arm in arms for run in study.done(arm)]
        self.rows: list[Predictions] = []
        self.candidates = None
        for name in self.runs:
            found = study.results[name]
            if found.predictions is not None:
                self.rows.append(found.predictions.task(task))
            self.candidates = self.candidates or found.evaluation.candidates(task)
        self.places = {arm: [1 + self.runs.index(run.name) for run in study.done(arm)] for arm in arms}
        self.places[BASE] = [0]

    def measurable(self, metric: MetricConfig) -> bool:
        return all(len(r) and available(r, metric) for r in self.rows)

    def columns(self, metric: MetricConfig) -> FloatArray:
        """Return a value per model and question, of shape (models, questions)."""
        tuned = [per_question(rows, "finetuned", metric, self.candidates) for rows in self.rows]
        return np.stack([per_question(self.rows[0], "base", metric, self.candidates), *tuned])

    def values(self, metric: MetricConfig) -> FloatArray:
        """Return the metric of every model, of shape (models,)."""
        if metric.measure not in OF_COUNTS:
            return np.asarray(self.columns(metric).mean(axis=1))
        return np.asarray(of_counts(counted(*self.codes), metric.measure)[0])

    @cached_property
    def codes(self) -> tuple[npt.NDArray[np.int64], int]:
        """Codes of the references and of each model's answers, and the number of labels."""
        first = self.rows[0].table
        answers = [first["base_answer"], *(rows.table["finetuned_answer"] for rows in self.rows)]
        labels, codes = answer_codes([first["reference"], *answers])
        return codes, len(labels)

    @cached_property
    def counts(self) -> AnswerCounts:
        """How often each model gives each answer, for any weights of the questions."""
        return AnswerCounts(*self.codes)

    def resampled(
        self, metrics: dict[str, MetricConfig], groups: dict[str, Subset]
    ) -> Iterator[tuple[str, Subset | None, FloatArray, FloatArray]]:
        """Draw questions with replacement, the same for every model and every metric of the task.

        Yields:
            Metric, group of questions (None: all), values of shape (resamples, models), and what was observed, of shape (models,).
        """
        parts: list[tuple[str, Subset | None, _Mean | Measure]] = []
        for key, metric in metrics.items():
            if not self.measurable(metric) or metric.measure is None:
                continue
            if metric.measure in OF_COUNTS:
                parts.append((key, None, metric.measure))
                continue
            columns = self.columns(metric)
            parts.append((key, None, _Mean(columns, np.ones(columns.shape[1]))))
            if key in groups:
                codes, labels = self.rows[0].group(groups[key].by)
                inside = (codes == labels.index(groups[key].value)).astype(np.float64)
                parts.append((key, groups[key], _Mean(columns, inside)))
        questions = len(self.rows[0]) if self.rows else 0
        size = max(1, min(COUNT_RESAMPLES, _BATCH_ELEMENTS // max(1, questions)))
        drawn: list[list[FloatArray]] = [[] for _ in parts]
        rng = np.random.default_rng(SEED)
        for start in range(0, COUNT_RESAMPLES if parts else 0, size):
            count = min(size, COUNT_RESAMPLES - start)
            chosen = rng.integers(0, questions, size=(count, questions))
            chosen += np.arange(count)[:, None] * questions
            weights = np.bincount(chosen.ravel(), minlength=count * questions).reshape(count, questions)
            for into, values in zip(drawn, self._computed(parts, weights), strict=True):
                into.append(values)
        observed = self._computed(parts, np.ones((1, questions), dtype=np.int64)) if parts else []
        for (key, group, _), into, values in zip(parts, drawn, observed, strict=True):
            yield key, group, np.concatenate(into), values[0]

    def _computed(
        self, parts: list[tuple[str, Subset | None, _Mean | Measure]], weights: npt.NDArray[np.int64]
    ) -> list[FloatArray]:
        """Compute every metric for weights of the questions; what is counted is counted once for all measures of counts."""
        counts = any(not isinstance(of, _Mean) for _, _, of in parts)
        tables = self.counts.tables(_summed(weights, self.counts.columns)) if counts else np.zeros((0, 0, 0))
        return [of(weights) if isinstance(of, _Mean) else of_counts(tables, of) for _, _, of in parts]


class _Mean:
    """The weighted mean of values over some questions."""

    def __init__(self, values: FloatArray, inside: FloatArray) -> None:
        columns = np.vstack([values * inside, inside]).T
        whole = np.array_equal(columns, np.round(columns))
        self.columns = columns.astype(np.float32 if whole else np.float64)  # sums of whole numbers are exact in both

    def __call__(self, weights: npt.NDArray[np.int64]) -> FloatArray:
        summed = _summed(weights, self.columns).astype(np.float64)
        return np.asarray(summed[:, :-1] / np.maximum(summed[:, -1:], 1))


def _summed(weights: npt.NDArray[np.int64], columns: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Sum columns over weighted questions, in the columns' own precision."""
    return np.asarray(weights.astype(columns.dtype) @ columns)


def _contrasts(
    key: str,
    group: Subset | None,
    observed: FloatArray,
    resampled: FloatArray,
    places: dict[str, list[int]],
    main: str,
    metrics: MetricsConfig,
) -> Iterator[Contrast]:
    """Compare every arm with the base model, and every other arm with the main one.

    Which of an arm's seeds are drawn depends on its name alone, so that no interval changes because a run of another arm is done.
    """
    level = metrics.significance_level
    means = {}
    for name, columns in places.items():
        rng = np.random.default_rng([SEED, *name.encode()])
        drawn = rng.integers(0, len(columns), size=(len(resampled), len(columns)))
        means[name] = np.take_along_axis(resampled[:, columns], drawn, axis=1).mean(axis=1)
    for name in places:
        for against in (BASE, main):
            if name in (BASE, against) or against not in places:
                continue
            seeds = (len(places[name]), 0 if against == BASE else len(places[against]))
            difference = float(observed[places[name]].mean() - observed[places[against]].mean())
            interval, claim = None, "too few seeds"
            if seeds[0] >= LEAST_SEEDS and (against == BASE or seeds[1] >= LEAST_SEEDS):
                low, high = np.quantile(means[name] - means[against], [level / 2, 1 - level / 2])
                interval = Interval(float(low), float(high))
                claim = "higher" if low > 0 else "lower" if high < 0 else "no difference"
            yield Contrast(key, name, against, difference, interval, seeds, claim, group)  # type: ignore[arg-type]
