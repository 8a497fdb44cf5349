"""What the runs of a study show together: each run by itself, and each arm over its runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.record.answers import Answered
from src.record.config import MetricConfig
from src.record.errors import InputError
from src.record.load import Record
from src.record.measures import available, needed, per_question
from src.record.results import BASE, Run
from src.record.study import LoadedStudy
from src.record.tables import FloatArray

from .evidence import Comparison, Verdict, check_stated, compare, judge_all
from .statistics import Interval, bootstrap_clusters, t_interval

CLUSTER = "token"
"""Column of the questions with what they are about; intervals of differences between arms draw its values, not single questions."""


@dataclass(frozen=True)
class ArmMetric:
    """One metric of one arm over its runs.

    Attributes:
        runs: Each run against the base model, in the order of the seeds.
        interval: Student's t interval for the mean over runs; None for fewer than three.
        lead: How far the mean of the main arm's runs is above this one's; None for the main arm itself, or without answers.
        lead_interval: Its bootstrap interval over what the questions are about.
    """

    arm: str
    metric: MetricConfig
    runs: tuple[Comparison, ...]
    mean: float
    interval: Interval | None
    lead: float | None = None
    lead_interval: Interval | None = None

    @property
    def values(self) -> tuple[float, ...]:
        """The value of each run."""
        return tuple(run.figures.value for run in self.runs)

    @property
    def controls(self) -> tuple[float, ...]:
        """The control of each run, where the questions have one."""
        return tuple(run.figures.control for run in self.runs if run.figures.control is not None)

    @property
    def answered(self) -> float:
        """The largest share of what a run wrote that is one of the candidates."""
        return max(run.figures.answered for run in self.runs if run.figures.answered is not None)

    @property
    def lowest(self) -> float:
        """The lowest value of a run."""
        return min(self.values)

    @property
    def highest(self) -> float:
        """The highest value of a run."""
        return max(self.values)

    @property
    def range(self) -> Interval:
        """The lowest and the highest value of a run."""
        return Interval(self.lowest, self.highest)

    @property
    def used(self) -> int:
        """In how many runs the answers depend on what is asked: above the control, and above every answer that ignores part of it."""
        if any(run.above_control is None for run in self.runs):
            raise TypeError("this metric has no control, so it says nothing about use")
        return sum(bool(run.above_control and run.above_shortcut is not False) for run in self.runs)

    @property
    def above_control(self) -> int:
        """In how many runs the answers are right more often than their control allows."""
        return sum(bool(run.above_control) for run in self.runs)

    @property
    def above_shortcut(self) -> int:
        """In how many runs the answers are right more often than the best answer that ignores part of the question."""
        return sum(bool(run.above_shortcut) for run in self.runs)

    @property
    def shortcut(self) -> float:
        """What the best answer that ignores part of the question scores."""
        return max(run.shortcut.value for run in self.runs if run.shortcut is not None)

    def count(self, verdict: Verdict) -> int:
        """Return in how many runs the verdict is this one."""
        return sum(run.verdict == verdict for run in self.runs)


@dataclass(frozen=True)
class ArmResult:
    """One arm of a study: its runs that are done, by seed and name, and the number of those that are declared."""

    name: str
    label: str
    role: str
    purpose: str
    seeds: tuple[int, ...]
    names: tuple[str, ...]
    planned: int
    metrics: dict[str, ArmMetric]


@dataclass(frozen=True)
class StudyAnalysis:
    """What a study shows: the published arm and its controls, arms of another question or budget, and runs that are not done."""

    main: str
    arms: tuple[ArmResult, ...]
    further: tuple[ArmResult, ...]
    missing: dict[str, str]

    @property
    def all_arms(self) -> tuple[ArmResult, ...]:
        """All arms, those of the comparison first."""
        return self.arms + self.further

    def arm(self, name: str) -> ArmResult:
        """Return an arm by its name."""
        return next(arm for arm in self.all_arms if arm.name == name)


def analyse_study(
    record: Record, study: LoadedStudy, measured: dict[str, MetricConfig], published: dict[str, Comparison]
) -> StudyAnalysis:
    """Analyse a study; the published run was compared already."""
    level = record.metrics.significance_level
    ahead = _leads(record, study, measured, level)
    others = {name: run for name, run in study.runs.items() if name != record.run_name}
    runs = {record.run_name: published} | {n: _compared(record, run, measured, level) for n, run in others.items()}
    arms = []
    for name, arm in study.config.arms.items():
        if arm.role == "start":
            continue
        done = study.done(name)
        found: dict[str, ArmMetric] = {}
        for key in measured:
            compared = tuple(runs[run.name][key] for run in done if key in runs[run.name])
            if compared and len(compared) == len(done):
                values = np.array([run.figures.value for run in compared])
                mean, interval = float(values.mean()), t_interval(values, level)
                leads = ahead.get((name, key), (None, None))
                found[key] = ArmMetric(arm.label, measured[key], compared, mean, interval, *leads)
        arms.append(
            ArmResult(
                name=name,
                label=arm.label,
                role=arm.role,
                purpose=arm.purpose.strip(),
                seeds=tuple(study.study.run(run.name).experiment.seed for run in done),
                names=tuple(run.name for run in done),
                planned=len(arm.seeds),
                metrics=found,
            )
        )
    shared, further = (tuple(arm for arm in arms if (arm.role == "further") == apart) for apart in (False, True))
    return StudyAnalysis(study.config.main, shared, further, study.missing)


def _leads(
    record: Record, study: LoadedStudy, measured: dict[str, MetricConfig], level: float
) -> dict[tuple[str, str], tuple[float, Interval | None]]:
    """Compare the main arm with each other one, question by question, both averaged over their runs."""
    found: dict[tuple[str, str], tuple[float, Interval | None]] = {}
    for key, config in measured.items():
        means: dict[str, FloatArray] = {}
        clusters = None
        for arm in study.config.arms:
            rows = [rows_of(record, run, config) for run in study.done(arm)]
            asked = [part for part in rows if part is not None and part.has(CLUSTER)]
            if not asked or len(asked) < len(rows):
                continue
            means[arm] = np.mean([per_question(part, config) for part in asked], axis=0)
            clusters = asked[0].texts(CLUSTER)
        others = [arm for arm in means if arm != study.config.main]
        if others and study.config.main in means and clusters is not None:
            differences = means[study.config.main] - np.array([means[arm] for arm in others])
            intervals = bootstrap_clusters(differences, clusters, level)
            for arm, difference, interval in zip(others, differences, intervals, strict=True):
                found[arm, key] = float(difference.mean()), interval
    return found


def _compared(record: Record, run: Run, measured: dict[str, MetricConfig], level: float) -> dict[str, Comparison]:
    """Compare a run with the base model in every metric, with Holm's correction over the primary ones."""
    found: dict[str, Comparison] = {}
    for key, config in measured.items():
        base, rows = (rows_of(record, of, config) for of in (record.runs[BASE], run))
        if base is None or rows is None:
            continue
        values = per_question(base, config), per_question(rows, config)
        if key in run.metrics:
            check_stated(run.place, f"metrics.{key}", run.metrics[key], float(values[1].mean()))
        found[key] = compare(rows, config, level, values, intervals=False)
    return judge_all(found, measured, level)


def rows_of(record: Record, run: Run, config: MetricConfig) -> Answered | None:
    """Return the answers that a metric of a run is computed from; None where it is not."""
    rows = record.answered(run.name, config.task)
    if rows is None:
        return None
    rows = rows.only(config.only)
    for column in needed(config):
        if 0 < (gaps := rows.gaps(column)) < len(rows):
            where = f"metrics: {gaps} of {len(rows)} questions of {rows.name} lack {column}"
            raise InputError(run.place, f"{where} for {run.name}. Fill it in.")
    return rows if available(rows, config) else None
