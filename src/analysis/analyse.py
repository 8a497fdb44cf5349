"""Turn a record into numbers that documents can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from src.record.answers import Answered
from src.record.config import Grouping, MetricConfig
from src.record.load import Record
from src.record.measures import available, per_question
from src.record.results import BASE, Run
from src.record.tables import FloatArray

from .evidence import (
    Baseline,
    Comparison,
    Figures,
    Verdict,
    baselines,
    check_stated,
    compare,
    compares,
    figures,
    interval,
    judge_all,
    right_or_wrong,
    stated,
)
from .statistics import Interval
from .study import StudyAnalysis, analyse_study, rows_of

SENTENCES = 6
"""Most metrics that documents say a sentence about each; more are left to the table."""

MANY = 20
"""Most metrics that a card or a chart shows."""

MIN_GROUP = 5
"""Smallest group of questions that a breakdown shows."""


@dataclass(frozen=True)
class MetricResult:
    """One metric of the base model and of the published run.

    Attributes:
        questions: Number of questions; None where the record does not say.
        base: The base model's figures; None where it was not evaluated.
        baselines: What chance and answers that ignore part of the question would score.
        missing: Why there is no interval and no test, or None.
        further: The figures of further models, by name; of those that have this metric.
    """

    key: str
    config: MetricConfig
    base: Figures | None
    run: Comparison
    questions: int | None = None
    baselines: tuple[Baseline, ...] = ()
    missing: str | None = None
    further: dict[str, Figures] = field(default_factory=dict)

    @property
    def before(self) -> Figures:
        """The base model's figures, of a metric that is compared."""
        if self.base is None:
            raise LookupError(f"{self.key}: the base model was not evaluated")
        return self.base

    @property
    def finetuned(self) -> Figures:
        """The published run's figures."""
        return self.run.figures

    @property
    def verdict(self) -> Verdict:
        """What the evidence allows to say of the published run."""
        return self.run.verdict


@dataclass(frozen=True)
class Group:
    """One row of a breakdown."""

    value: Any
    questions: int
    base: float
    finetuned: float
    base_interval: Interval | None
    finetuned_interval: Interval | None
    control: float | None

    @property
    def change(self) -> float:
        """Fine-tuned minus base."""
        return self.finetuned - self.base


@dataclass(frozen=True)
class Breakdown:
    """A metric by a property of the questions; `left_out` counts those in groups that are too small to be shown."""

    metric: str
    by: Grouping
    groups: tuple[Group, ...]
    left_out: int

    @property
    def differs(self) -> bool:
        """Whether the fine-tuned model differs between two groups by more than their intervals."""
        known = [group.finetuned_interval for group in self.groups if group.finetuned_interval]
        return bool(known) and max(i.low for i in known) > min(i.high for i in known)


@dataclass(frozen=True)
class Given:
    """A metric of a run where another metric of the same questions is right, and where it is wrong."""

    right: float
    wrong: float
    questions: tuple[int, int]


@dataclass(frozen=True)
class Examples:
    """The first questions of each outcome, in the order of the record.

    Attributes:
        counts: How many questions there are of each outcome: both right, fixed, broken, both wrong.
    """

    task: str
    counts: tuple[int, int, int, int]
    fixed: tuple[dict[str, Any], ...]
    broken: tuple[dict[str, Any], ...]
    wrong: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Choices:
    """What a model writes to the questions of a task, and what it would choose if the answers were listed.

    Attributes:
        model: `base`, or a run's name.
        answered: Share of what it writes that is one of the candidates.
        right: Share of what it writes that is right.
        chosen: Share of its choices that are right.
        example: The first question, what it wrote and what it would choose.
    """

    task: str
    model: str
    answered: float
    right: float
    chosen: float
    example: tuple[str, str, str]


@dataclass(frozen=True)
class Analysis:
    """Everything that documents say about results."""

    level: float
    metrics: tuple[MetricResult, ...]
    breakdowns: tuple[Breakdown, ...]
    examples: tuple[Examples, ...]
    choices: tuple[Choices, ...] = ()
    study: StudyAnalysis | None = None
    further: dict[str, str] = field(default_factory=dict)
    """Further models of the table: what readers call them, by name."""

    @property
    def compared(self) -> bool:
        """Whether there is a base model to compare with."""
        return any(m.base is not None for m in self.metrics)

    @property
    def intervals(self) -> bool:
        """Whether some value has an interval."""
        return any(
            f.interval for m in self.metrics for f in (m.base, m.finetuned, *m.further.values()) if f is not None
        )

    @property
    def tested(self) -> bool:
        """Whether some metric was tested, so that verdicts say something."""
        return any(m.verdict != "not tested" for m in self.metrics)

    @property
    def listed(self) -> tuple[str, ...]:
        """The project's own columns that hold lists, such as a text in its parts, which examples show; three at most."""
        rows = [row for e in self.examples for row in (*e.fixed, *e.broken, *e.wrong)]
        return tuple(dict.fromkeys(name for row in rows for name, value in row.items() if isinstance(value, list)))[:3]

    def metric(self, key: str) -> MetricResult:
        """Return a metric's result by its key."""
        return next(m for m in self.metrics if m.key == key)

    @property
    def primary(self) -> tuple[MetricResult, ...]:
        """The metrics that the question is about."""
        return tuple(m for m in self.metrics if m.config.primary)

    @property
    def in_sentences(self) -> tuple[MetricResult, ...]:
        """The metrics that documents say a sentence about: the primary ones, or all; none if a table is easier to read."""
        shown = self.primary or self.metrics
        return shown if len(shown) <= SENTENCES else ()

    @property
    def main(self) -> tuple[MetricResult, ...]:
        """The metrics of documents that have no room for all: all, or of more than `MANY` the primary ones, or the first."""
        return self.metrics if len(self.metrics) <= MANY else self.primary or self.metrics[:MANY]

    @property
    def primary_first(self) -> tuple[MetricResult, ...]:
        """All metrics, the primary ones first."""
        return (*self.primary, *(m for m in self.metrics if not m.config.primary))


def analyse(record: Record) -> Analysis:
    """Analyse a record: every declared metric that it has, in the order of the declaration."""
    level = record.metrics.significance_level
    measured = {
        k: config
        for k, config in record.metrics.metrics.items()
        if all(k in run.metrics for run in (record.loaded.base, record.loaded.published) if run is not None)
    }
    found = [_one_metric(record, key, config) for key, config in measured.items()]
    runs = judge_all({result.key: result.run for result, _ in found}, measured, level)
    metrics = [replace(result, run=runs[result.key]) for result, _ in found]
    compared = {key: run for key, run in runs.items() if run.p_value is not None}
    models = (BASE, record.run_name)
    shown = record.loaded.tasks if record.loaded.base is not None else []
    pairs = {task: tuple(record.answered(model, task) for model in models) for task in shown}
    tasks = {task: (base, tuned) for task, (base, tuned) in pairs.items() if base is not None and tuned is not None}
    known = {task: rows for task, rows in tasks.items() if all(r.has("correct") for r in rows)}
    questions = record.loaded.questions
    texts = (
        dict(zip(questions.table["id"].to_pylist(), record.loaded.question_texts(), strict=True)) if questions else {}
    )
    return Analysis(
        level=level,
        metrics=tuple(metrics),
        breakdowns=tuple(b for _, breakdowns in found for b in breakdowns if b.groups),
        examples=tuple(_examples(*rows, texts) for rows in known.values()),
        choices=tuple(_choices(record, tasks)),
        study=analyse_study(record, record.study, measured, compared) if record.study else None,
        further={run.name: run.model or run.name for run in record.loaded.others},
    )


def _one_metric(record: Record, key: str, config: MetricConfig) -> tuple[MetricResult, list[Breakdown]]:
    level = record.metrics.significance_level
    first, published = record.loaded.base, record.loaded.published
    further = {r.name: _own_figures(record, r, key, config) for r in record.loaded.others if key in r.metrics}
    if first is None:
        own = Comparison(_own_figures(record, published, key, config))
        rows = rows_of(record, published, config)
        missing = "The base model was not evaluated, so there is no comparison."
        questions = len(rows) if rows is not None else None
        return MetricResult(key, config, None, own, questions, missing=missing, further=further), []
    values = first.metrics[key], published.metrics[key]
    base, finetuned = (rows_of(record, run, config) for run in (first, published))
    if base is None or finetuned is None:
        reason = "It is not computed from answers on record, so there is no test."
        both = [_own_figures(record, run, key, config) for run in (first, published)]
        run = replace(stated(*values, config), figures=both[1])
        return MetricResult(key, config, both[0], run, missing=reason, further=further), []
    computed = per_question(base, config), per_question(finetuned, config)
    for section, value, actual in zip(("base_model", "finetuned_model"), values, computed, strict=True):
        check_stated(record.results_path, f"{section}.metrics.{key}", value, float(actual.mean()))
    result = MetricResult(
        key=key,
        config=config,
        base=figures(base, config, computed[0], level),
        run=compare(finetuned, config, level, computed),
        questions=len(base),
        baselines=baselines(base, config) if compares(config) else (),
        further=further,
    )
    return result, [_breakdown(key, config, (base, finetuned), by, computed, level) for by in config.breakdowns]


def link_metrics(record: Record, run: Run, key: str, other: str) -> Given | None:
    """Average a metric of a run where another one is right, and where it is wrong; None where their answers are not the same."""
    config, divides = (record.metrics.metrics[name] for name in (key, other))
    rows = rows_of(record, run, config)
    if rows is None or config.task != divides.task or not available(rows, divides):
        return None
    values, right = per_question(rows, config), per_question(rows, divides) == 1
    if right.all() or not right.any():
        return None
    return Given(float(values[right].mean()), float(values[~right].mean()), (int(right.sum()), int((~right).sum())))


def _own_figures(record: Record, run: Run, key: str, config: MetricConfig) -> Figures:
    """Compute the figures of one run by itself."""
    value, level = run.metrics[key], record.metrics.significance_level
    rows = rows_of(record, run, config)
    if rows is None:
        return Figures(value)
    values = per_question(rows, config)
    check_stated(run.place, f"metrics.{key}", value, float(values.mean()))
    return figures(rows, config, values, level)


def _breakdown(
    key: str,
    config: MetricConfig,
    rows: tuple[Answered, Answered],
    by: Grouping,
    values: tuple[FloatArray, FloatArray],
    level: float,
) -> Breakdown:
    codes, labels = rows[0].group(by)
    exact = right_or_wrong(config, *values)
    shares = rows[1].control_shares() if config.measure == "exact_match" and rows[1].candidates else None
    groups, left_out = [], 0
    for code, value in sorted(enumerate(labels), key=lambda pair: pair[1]):
        mask = codes == code
        n = int(mask.sum())
        if n < MIN_GROUP:
            left_out += n
            continue
        base, finetuned = (part[mask] for part in values)
        groups.append(
            Group(
                value,
                n,
                float(base.mean()),
                float(finetuned.mean()),
                interval(base, exact, level),
                interval(finetuned, exact, level),
                None if shares is None else float(shares[mask].mean()),
            )
        )
    return Breakdown(key, by, tuple(groups), left_out)


EXAMPLES = 3
"""Questions shown of each kind."""


def _examples(base: Answered, finetuned: Answered, texts: Mapping[str, str]) -> Examples:
    before, after = (rows.column("correct").astype(bool) for rows in (base, finetuned))
    outcomes = (before & after, ~before & after, before & ~after, ~before & ~after)
    picked = []
    for mask in outcomes[1:]:
        first = np.zeros(len(mask), dtype=bool)
        first[np.flatnonzero(mask)[:EXAMPLES]] = True
        picked.append(tuple(_joined(base.where(first), finetuned.where(first), texts)))
    both_right, fixed, broken, both_wrong = (int(mask.sum()) for mask in outcomes)
    return Examples(base.name, (both_right, fixed, broken, both_wrong), *picked)


def _joined(base: Answered, finetuned: Answered, texts: Mapping[str, str]) -> list[dict[str, Any]]:
    """Put the questions of a task, their texts by id, their prompts and both models' answers into rows."""
    prompts = zip(base.prompts(), finetuned.prompts(), strict=True)
    answers = zip(base.answers.to_pylist(), finetuned.answers.to_pylist(), strict=True)
    rows = []
    for row, (before, after), (first, second) in zip(base.questions.to_pylist(), prompts, answers, strict=True):
        shown = {name: value for name, value in row.items() if not name.startswith("control") and name != "references"}
        rows.append(
            {
                **shown,
                "question": texts.get(row["id"], ""),
                "prompt": before,
                "finetuned_prompt": after,
                **{f"base_{name}": first[name] for name in ("answer", "correct", "chosen")},
                **{f"finetuned_{name}": second[name] for name in ("answer", "correct", "chosen")},
            }
        )
    return rows


def _choices(record: Record, tasks: dict[str, tuple[Answered, Answered]]) -> list[Choices]:
    """Compare what the models that are published write with what they would choose."""
    found = []
    for task, (base, finetuned) in tasks.items():
        models = {"base": base, record.run_name: finetuned}
        for name in record.study.config.also_published if record.study else ():
            rows = record.answered(name, task) if name in record.runs else None
            if rows is not None:
                models[name] = rows
        for model, rows in models.items():
            if not (rows.candidates and rows.has("answered") and rows.has("chosen")):
                continue
            prefix = len(rows.task.prefix) if rows.task else 0
            first = rows.where(np.arange(len(rows)) < 1)
            found.append(
                Choices(
                    task,
                    model,
                    answered=float(rows.column("answered").mean()),
                    right=float(rows.column("correct").mean()),
                    chosen=float((rows.texts("chosen") == rows.texts("reference")).mean()),
                    example=(first.prompts()[0][prefix:], first.texts("answer")[0] or "", first.texts("chosen")[0]),
                )
            )
    return found
