"""Turn a record into numbers that documents can show."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from operator import itemgetter
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from src.record.config import Grouping, MetricConfig
from src.record.load import Record
from src.record.measures import (
    OF_CHOICES,
    OF_COUNTS,
    AnswerCounts,
    answer_codes,
    available,
    of_counts,
    per_question,
    right_or_wrong,
)
from src.record.predictions import MODELS, Predictions, frequencies

from .mistakes import ErrorProfile, error_profile
from .statistics import (
    FloatArray,
    Interval,
    bootstrap_mean,
    distinct_counts,
    holm,
    mcnemar,
    paired_permutation,
    percentile_interval,
    resample_counts,
    wilson,
)
from .study import StudyAnalysis, Subset, analyse_study

Verdict = Literal["improved", "worse", "no difference", "not tested"]

PREFERENCE_FREE = OF_COUNTS | OF_CHOICES
"""Measures that do not reward a preference for one answer: two of counts, and the one that takes the preference away."""

CONSTANT_SHARE = 0.99
"""Smallest share of the questions for which an answer counts as constant."""

MIN_GROUP = 5
"""Smallest group of questions that a breakdown shows."""


@dataclass(frozen=True)
class Baseline:
    """What a trivial answer would score on the same questions."""

    label: str
    value: float
    how: str


@dataclass(frozen=True)
class Constant:
    """An answer that a model gives to nearly every question of a task.

    Attributes:
        answer: The answer.
        share: The share of the questions that it is given to.
    """

    answer: str
    share: float


@dataclass(frozen=True)
class MetricResult:
    """One metric of both models, and what the difference is worth.

    Attributes:
        change: Fine-tuned minus base, in the metric's own unit.
        relative: The change as a share of the base's value; None where that is zero, or next to it.
        questions: Number of questions; None where the record does not say.
        test: Name of the test; None where predictions are missing.
        p_value: Two-sided, not corrected.
        p_adjusted: After Holm's correction over the primary metrics; None for the others.
        verdict: What the test says; `not tested` without predictions.
        base_constant: The answer that the base model gives to nearly every question, if it does and the metric is the share of right
            answers; `finetuned_constant` likewise.
        missing: Why something is left out, or None.
    """

    key: str
    config: MetricConfig
    base: float
    finetuned: float
    change: float
    relative: float | None
    better: bool
    questions: int | None = None
    base_interval: Interval | None = None
    finetuned_interval: Interval | None = None
    change_interval: Interval | None = None
    test: str | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    verdict: Verdict = "not tested"
    baselines: tuple[Baseline, ...] = ()
    base_constant: Constant | None = None
    finetuned_constant: Constant | None = None
    missing: str | None = None

    def baseline(self, label: str) -> Baseline | None:
        """Return a baseline by its label, if it is known."""
        return next((baseline for baseline in self.baselines if baseline.label == label), None)

    @property
    def against_majority(self) -> Literal["above", "below", "no difference"] | None:
        """Where the fine-tuned model's interval lies against the majority class; None if one of them is not known."""
        majority = self.baseline("majority class")
        if majority is None or self.finetuned_interval is None:
            return None
        if self.finetuned_interval.low > majority.value:
            return "above"
        return "below" if self.finetuned_interval.high < majority.value else "no difference"

    @property
    def p_shown(self) -> float | None:
        """The p-value that the verdict stands on."""
        return self.p_value if self.p_adjusted is None else self.p_adjusted


@dataclass(frozen=True)
class Group:
    """One row of a breakdown."""

    value: Any
    questions: int
    base: float
    finetuned: float
    base_interval: Interval | None
    finetuned_interval: Interval | None

    @property
    def change(self) -> float:
        """Fine-tuned minus base."""
        return self.finetuned - self.base


@dataclass(frozen=True)
class Breakdown:
    """A metric by a property of the questions."""

    metric: str
    by: Grouping
    groups: tuple[Group, ...]
    left_out: int

    def concentration(self, direction: str) -> tuple[Group, float] | None:
        """Return the group that gained most and its share of all that was gained, each group weighted by its questions.

        Args:
            direction: Which way is better, `higher` or `lower`.

        Returns:
            None where no group gained.
        """
        sign = 1 if direction == "higher" else -1
        gains = [(max(0.0, sign * group.change) * group.questions, group) for group in self.groups]
        total = sum(gain for gain, _ in gains)
        if not total:
            return None
        most, group = max(gains, key=lambda pair: pair[0])
        return group, most / total

    def without(self, left_out: Group) -> Group | None:
        """Return all groups but one as a single group, without intervals; None if there are no others."""
        others = [group for group in self.groups if group is not left_out]
        questions = sum(group.questions for group in others)
        if not questions:
            return None
        base, finetuned = (
            sum(getattr(group, model) * group.questions for group in others) / questions for model in MODELS
        )
        return Group(None, questions, base, finetuned, None, None)


@dataclass(frozen=True)
class Confusion:
    """What a model answered, by reference.

    Attributes:
        labels: The references and the answers, sorted.
        base: Counts of shape (references, answers).
        finetuned: The same for the fine-tuned model.
    """

    task: str
    labels: tuple[str, ...]
    base: tuple[tuple[int, ...], ...]
    finetuned: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Examples:
    """A few questions of each outcome, drawn by order of their id."""

    task: str
    fixed: tuple[dict[str, Any], ...]
    broken: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Analysis:
    """Everything that documents say about results."""

    level: float
    metrics: tuple[MetricResult, ...]
    breakdowns: tuple[Breakdown, ...]
    examples: tuple[Examples, ...]
    confusions: tuple[Confusion, ...]
    errors: tuple[ErrorProfile, ...] = ()
    study: StudyAnalysis | None = None

    @property
    def listed(self) -> tuple[str, ...]:
        """The project's own columns that hold lists, such as a text in its parts, which examples show; three at most."""
        rows = [row for e in self.examples for row in (*e.fixed, *e.broken)]
        return tuple(dict.fromkeys(name for row in rows for name, value in row.items() if isinstance(value, list)))[:3]

    def metric(self, key: str) -> MetricResult:
        """Return a metric's result by its key."""
        return next(m for m in self.metrics if m.key == key)

    def first_breakdown(self, key: str) -> Breakdown | None:
        """Return the first breakdown that a metric declares, if the record has the data for it."""
        return next((b for b in self.breakdowns if b.metric == key), None)

    def beside(self, key: str) -> tuple[MetricResult, ...]:
        """Return the other measures of a metric's task that do not reward a preference for one answer, to be shown beside it."""
        of = self.metric(key).config
        return tuple(
            m for m in self.metrics if m.config.task == of.task and of.task and m.config.measure in PREFERENCE_FREE
        )

    def is_beside(self, key: str) -> bool:
        """Tell whether a metric is such a measure of a primary metric's task."""
        return any(m.key == key for primary in self.primary for m in self.beside(primary.key))

    def variants(self, key: str) -> list[MetricResult]:
        """Return the metrics that ask the same as a metric under other conditions."""
        return [m for m in self.metrics if m.config.variant_of == key]

    @property
    def primary(self) -> tuple[MetricResult, ...]:
        """The metrics that the question is about."""
        return tuple(m for m in self.metrics if m.config.primary)

    @property
    def others(self) -> tuple[MetricResult, ...]:
        """The secondary metrics that ask something of their own: no other measure of a primary one's task, and no variant."""
        return tuple(m for m in self.secondary if not self.is_beside(m.key) and m.config.variant_of is None)

    @property
    def secondary(self) -> tuple[MetricResult, ...]:
        """The other metrics."""
        return tuple(m for m in self.metrics if not m.config.primary)


def analyse(record: Record) -> Analysis:
    """Analyse a record: every declared metric that it has, in the order of the declaration."""
    level = record.metrics.significance_level
    tasks = record.predictions.tasks if record.predictions else {}
    measured = {k: config for k, config in record.metrics.metrics.items() if k in record.results.base_model.metrics}
    tables = cache(lambda task: _resampled_tables(tasks[task]))  # the same for all measures of a task
    found = [_one_metric(record, key, config, tasks.get(config.task or ""), tables) for key, config in measured.items()]
    breakdowns = tuple(b for _, breakdowns in found for b in breakdowns if b.groups)
    return Analysis(
        level=level,
        metrics=_corrected([result for result, _ in found], level),
        breakdowns=breakdowns,
        examples=_examples(record.predictions) if record.predictions else (),
        confusions=tuple(
            _confusion(name, rows)
            for name, rows in tasks.items()
            if name in record.results.tasks and _is_count(record, name)
        ),
        errors=tuple(error_profile(name, rows, choice=_is_choice(record, name)) for name, rows in tasks.items()),
        study=analyse_study(record.study, record.metrics, _largest_gains(breakdowns, measured))
        if record.study
        else None,
    )


def _largest_gains(breakdowns: tuple[Breakdown, ...], metrics: dict[str, MetricConfig]) -> dict[str, Subset]:
    """Return for each primary metric the group of its first breakdown in which most was gained."""
    found: dict[str, Subset] = {}
    for breakdown in breakdowns:
        most = breakdown.concentration(metrics[breakdown.metric].direction)
        if most and len(breakdown.groups) > 1 and metrics[breakdown.metric].primary:
            found.setdefault(breakdown.metric, Subset(breakdown.by, most[0].value))
    return found


def _one_metric(
    record: Record, key: str, config: MetricConfig, rows: Predictions | None, tables: Callable[[str], FloatArray]
) -> tuple[MetricResult, list[Breakdown]]:
    result = _stated(record, key, config)
    if rows is None or not available(rows, config):
        return result, []
    level = record.metrics.significance_level
    if config.measure in OF_COUNTS:
        return _by_interval(result, rows, tables(config.task or ""), level), []
    candidates = record.results.candidates(config.task)
    values = (
        per_question(rows, "base", config, candidates),
        per_question(rows, "finetuned", config, candidates),
    )
    breakdowns = [_breakdown(key, config, rows, by, *values, level) for by in config.breakdowns]
    tested = _tested(result, record, rows, *values, level)
    if candidates and config.measure == "exact_match":
        tested = replace(tested, base_constant=_constant(rows, "base"), finetuned_constant=_constant(rows, "finetuned"))
    return tested, breakdowns


def _constant(rows: Predictions, model: str) -> Constant | None:
    """Return the answer that a model gives to nearly every question, if it does."""
    answer, times = max(frequencies(rows.table[f"{model}_answer"]).items(), key=itemgetter(1))
    share = times / len(rows)
    return Constant(answer, share) if share >= CONSTANT_SHARE else None


def _is_choice(record: Record, task: str) -> bool:
    return task in record.results.tasks and record.results.tasks[task].candidates is not None


def _is_count(record: Record, task: str) -> bool:
    candidates = record.results.tasks[task].candidates
    return candidates is not None and all(c.isdecimal() for c in candidates)


def _stated(record: Record, key: str, config: MetricConfig) -> MetricResult:
    base, finetuned = record.results.base_model.metrics[key], record.results.finetuned_model.metrics[key]
    change = finetuned - base
    relative = change / abs(base) if base else math.inf
    return MetricResult(
        key=key,
        config=config,
        base=base,
        finetuned=finetuned,
        change=change,
        relative=relative if math.isfinite(relative) else None,
        better=change > 0 if config.direction == "higher" else change < 0,
        missing="It is not computed from answers on record, so there is no interval and no test.",
    )


def _tested(
    result: MetricResult, record: Record, rows: Predictions, base: FloatArray, finetuned: FloatArray, level: float
) -> MetricResult:
    exact = right_or_wrong(result.config, base, finetuned)
    return replace(
        result,
        questions=len(rows),
        base_interval=_interval(base, exact, level),
        finetuned_interval=_interval(finetuned, exact, level),
        change_interval=bootstrap_mean(finetuned - base, level),
        test="exact McNemar" if exact else "paired permutation",
        p_value=mcnemar(base, finetuned) if exact else paired_permutation(base, finetuned),
        baselines=_baselines(record, rows) if result.config.measure == "exact_match" else (),
        missing=None,
    )


def _resampled_tables(rows: Predictions) -> FloatArray:
    """Count references and both models' answers in every resample of a task's questions."""
    labels, codes = answer_codes([rows.table[name] for name in ("reference", "base_answer", "finetuned_answer")])
    shape = (len(labels),) * len(codes)
    distinct, counts = distinct_counts(np.ravel_multi_index(tuple(codes), shape))
    of = AnswerCounts(np.stack(np.unravel_index(distinct, shape)), len(labels))
    return np.concatenate([of.tables(weights @ of.columns) for weights in resample_counts(counts)])


def _by_interval(result: MetricResult, rows: Predictions, tables: FloatArray, level: float) -> MetricResult:
    """Judge a measure of counts, for which there is no test, by where the interval of its change lies."""
    base, finetuned = of_counts(tables, result.config.measure or "kappa").T
    change = percentile_interval(finetuned - base, level)
    better, worse = (
        (change.low > 0, change.high < 0) if result.config.direction == "higher" else (change.high < 0, change.low > 0)
    )
    return replace(
        result,
        questions=len(rows),
        base_interval=percentile_interval(base, level),
        finetuned_interval=percentile_interval(finetuned, level),
        change_interval=change,
        verdict="improved" if better else "worse" if worse else "no difference",
        missing=None,
    )


def _interval(values: FloatArray, exact: bool, level: float) -> Interval | None:
    return wilson(int(values.sum()), len(values), level) if exact else bootstrap_mean(values, level)


def _baselines(record: Record, rows: Predictions) -> tuple[Baseline, ...]:
    task = record.results.tasks.get(rows.table["task"][0].as_py())
    if task is None or not task.candidates:
        return ()
    common, times = max(frequencies(rows.table["reference"]).items(), key=itemgetter(1))
    return (
        Baseline("chance", 1 / len(task.candidates), f"one of {len(task.candidates)} candidates, drawn at random"),
        Baseline("majority class", times / len(rows), f"always the most frequent reference, {common!r}"),
    )


def _corrected(results: list[MetricResult], level: float) -> tuple[MetricResult, ...]:
    """Apply Holm's correction over the primary metrics and reach the verdicts."""
    family = [r for r in results if r.config.primary and r.p_value is not None]
    adjusted = dict(zip([r.key for r in family], holm([r.p_value or 0.0 for r in family]), strict=True))
    return tuple(_judged(replace(r, p_adjusted=adjusted.get(r.key)), level) for r in results)


def _judged(result: MetricResult, level: float) -> MetricResult:
    p = result.p_shown
    if p is None:
        return result
    verdict: Verdict = "no difference"
    if p < level:
        verdict = "improved" if result.better else "worse"
    return replace(result, verdict=verdict)


def _breakdown(
    key: str,
    config: MetricConfig,
    rows: Predictions,
    by: Grouping,
    base: FloatArray,
    finetuned: FloatArray,
    level: float,
) -> Breakdown:
    codes, values = rows.group(by)
    exact = right_or_wrong(config, base, finetuned)
    groups, left_out = [], 0
    for code, value in sorted(enumerate(values), key=lambda pair: pair[1]):
        mask = codes == code
        n = int(mask.sum())
        if n < MIN_GROUP:
            left_out += n
            continue
        b, f = base[mask], finetuned[mask]
        groups.append(
            Group(value, n, float(b.mean()), float(f.mean()), _interval(b, exact, level), _interval(f, exact, level))
        )
    return Breakdown(key, by, tuple(groups), left_out)


def _examples(predictions: Predictions, limit: int = 3) -> tuple[Examples, ...]:
    columns = ["id", *predictions.own_columns, "prompt", "reference", "base_answer", "finetuned_answer"]
    picked: dict[tuple[str, str], pa.Table] = {}
    for task, rows in predictions.tasks.items():
        base, finetuned = rows.column("base_correct"), rows.column("finetuned_correct")
        for outcome, mask in (("fixed", ~base & finetuned), ("broken", base & ~finetuned)):
            picked[task, outcome] = rows.table.take(np.flatnonzero(mask)[:limit])
    few = Predictions(predictions.path, pa.concat_tables([predictions.table.slice(0, 0), *picked.values()]))
    shown = few.reading("prompt")  # once for all tasks
    rows = iter(shown.table.select(columns).to_pylist())
    found = {key: tuple(islice(rows, len(table))) for key, table in picked.items()}
    return tuple(Examples(task, found[task, "fixed"], found[task, "broken"]) for task in predictions.tasks)


def _confusion(task: str, rows: Predictions) -> Confusion:
    columns = ["reference", "base_answer", "finetuned_answer"]
    tables = {name: rows.table[name].combine_chunks().dictionary_encode() for name in columns}
    labels = sorted({label for encoded in tables.values() for label in encoded.dictionary.to_pylist()})
    place = {label: i for i, label in enumerate(labels)}

    def codes(name: str) -> Any:
        encoded = tables[name]
        return np.array([place[label] for label in encoded.dictionary.to_pylist()])[encoded.indices.to_numpy()]

    def table(model: str) -> tuple[tuple[int, ...], ...]:
        pairs = codes("reference") * len(labels) + codes(f"{model}_answer")
        counts = np.bincount(pairs, minlength=len(labels) ** 2).reshape(len(labels), len(labels))
        return tuple(tuple(int(n) for n in row) for row in counts)

    return Confusion(task, tuple(labels), table("base"), table("finetuned"))
