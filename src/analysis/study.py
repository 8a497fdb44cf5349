"""What the runs of a study show together: each run by itself, and each arm over its runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from src.record.config import MetricConfig, MetricsConfig
from src.record.measures import available, check_known, per_question
from src.record.results import Results
from src.record.study import LoadedRun, LoadedStudy

from .evidence import Comparison, Verdict, check_stated, compare, judge
from .statistics import Interval, holm, t_interval


@dataclass(frozen=True)
class ArmMetric:
    """One metric of one arm over its runs.

    Attributes:
        runs: Each run against the base model, in the order of the seeds.
        mean: Mean of their values.
        interval: Student's t interval for the mean over runs; None for fewer than three.
    """

    runs: tuple[Comparison, ...]
    mean: float
    interval: Interval | None

    @property
    def values(self) -> tuple[float, ...]:
        """The value of each run."""
        return tuple(run.figures.value for run in self.runs)

    @property
    def controls(self) -> tuple[float, ...]:
        """The control of each run, where the questions have one."""
        return tuple(run.figures.control for run in self.runs if run.figures.control is not None)

    @property
    def lowest(self) -> float:
        """The lowest value of a run."""
        return min(self.values)

    @property
    def highest(self) -> float:
        """The highest value of a run."""
        return max(self.values)

    @property
    def used(self) -> int:
        """In how many runs the answers depend on what is asked: above the control, and above every answer that ignores part of it."""
        return sum(run.above_control is not False and run.above_shortcut is not False for run in self.runs)

    @property
    def above_control(self) -> int:
        """In how many runs the answers are right more often than their control allows."""
        return sum(bool(run.above_control) for run in self.runs)

    def count(self, verdict: Verdict) -> int:
        """Return in how many runs the verdict is this one."""
        return sum(run.verdict == verdict for run in self.runs)


@dataclass(frozen=True)
class ArmResult:
    """One arm of a study.

    Attributes:
        seeds: Seeds of the runs that are done.
        names: Names of these runs.
        planned: Number of runs that are declared.
        metrics: Its metrics, by key.
    """

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
    """What a study shows."""

    main: str
    arms: tuple[ArmResult, ...]
    missing: dict[str, str]

    def arm(self, name: str) -> ArmResult:
        """Return an arm by its name."""
        return next(arm for arm in self.arms if arm.name == name)


def analyse_study(
    study: LoadedStudy, published: Results, metrics: MetricsConfig, measured: dict[str, MetricConfig]
) -> StudyAnalysis:
    """Analyse a study.

    Args:
        study: Its runs.
        published: The published run's results, which have the base model's answers.
        metrics: The declared metrics.
        measured: Those that are on record, by key.

    Raises:
        InputError: A run's stated metric is not the one that is computed from its answers.
    """
    level = metrics.significance_level
    runs = {name: _compared(run, published, measured, level) for name, run in study.runs.items()}
    arms = []
    for name, arm in study.config.arms.items():
        done = study.done(name)
        found: dict[str, ArmMetric] = {}
        for key in measured:
            compared = tuple(runs[run.run.name][key] for run in done if key in runs[run.run.name])
            if compared and len(compared) == len(done):
                values = np.array([run.figures.value for run in compared])
                found[key] = ArmMetric(compared, float(values.mean()), t_interval(values, level))
        arms.append(
            ArmResult(
                name=name,
                label=arm.label,
                role=arm.role,
                purpose=arm.purpose.strip(),
                seeds=tuple(run.run.experiment.seed for run in done),
                names=tuple(run.run.name for run in done),
                planned=len(arm.seeds),
                metrics=found,
            )
        )
    return StudyAnalysis(study.main, tuple(arms), study.missing)


def _compared(
    run: LoadedRun, published: Results, measured: dict[str, MetricConfig], level: float
) -> dict[str, Comparison]:
    """Compare a run with the base model in every metric, with Holm's correction over the primary ones."""
    found: dict[str, Comparison] = {}
    for key, config in measured.items():
        both = published.answered("base", config.task), published.answered_by(run.answers, config.task)
        base, rows = (part.only(config.only) if part else None for part in both)
        check_known(run.answers.path, f"metrics.{key}", run.run.name, rows, config)
        if base is None or rows is None or not (available(base, config) and available(rows, config)):
            continue
        values = per_question(base, config), per_question(rows, config)
        if key in run.metrics:
            check_stated(run.run.log, f"metrics.{key}", run.metrics[key], float(values[1].mean()))
        found[key] = compare(rows, config, level, values, intervals=False)
    family = [key for key in found if measured[key].primary]
    adjusted = dict(zip(family, holm([found[key].p_value or 0.0 for key in family]), strict=True))
    return {key: judge(replace(c, p_adjusted=adjusted.get(key)), level) for key, c in found.items()}
