"""One function per chart: numbers in, a Matplotlib figure out."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from src.analysis.analyse import Breakdown, MetricResult
from src.analysis.statistics import Interval
from src.analysis.study import ArmResult
from src.record.config import MetricConfig
from src.record.schemas import TrainingLog

from .style import Scheme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE, NARROW = 7.2, 3.7
"""Widths in inches: for desktops and print, and for phones, where the same type is as large on the screen."""

LABEL_CHARACTERS = {WIDE: 30, NARROW: 17}
"""Characters of a row's label that fit on one line, by width."""

HEIGHT = 3.4
"""Height in inches of a chart that has no rows of its own."""

Course = tuple[str, int, list[tuple[int, float]]]
"""Label of a run's arm, the arm's number, and the run's steps with their losses."""

COURSE_HEIGHT = {WIDE: 4.8, NARROW: 6.2}
"""Heights in inches of the chart of all runs' training, by width: its legend names every recipe."""


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.subplots()


def scale(metric: MetricConfig) -> float:
    """Return the factor by which a metric's values are shown: 100 for a proportion, which is shown in per cent."""
    return 100.0 if metric.unit == "proportion" else 1.0


def _errors(values: Sequence[float], intervals: Sequence[Interval | None], factor: float) -> list[list[float]] | None:
    """Return how far each interval extends below and above its value, of shape (2, values); None if there is no interval.

    A value without an interval gets NaN, which draws nothing.
    """
    if not any(intervals):
        return None  # no bars in the legend either
    pairs = list(zip(values, intervals, strict=True))
    below = [math.nan if i is None else factor * max(0.0, v - i.low) for v, i in pairs]
    above = [math.nan if i is None else factor * max(0.0, i.high - v) for v, i in pairs]
    return [below, above]


def _wrapped(label: str, width: float) -> str:
    return textwrap.fill(label, LABEL_CHARACTERS[width])


def _legend(figure: Figure, width: float, place: Literal["outside upper center", "outside lower center"]) -> None:
    lines, labels = figure.axes[0].get_legend_handles_labels()
    entries = dict(zip(labels, lines, strict=True))
    longest = (
        max(map(len, entries), default=0) + 8
    )  # the sample and the space around it are as wide as eight characters
    fitting = min(4 if width == WIDE else 2, int(15 * width / longest))
    figure.legend(list(entries.values()), list(entries), loc=place, ncols=max(1, min(fitting, len(entries))))


def metrics_height(count: int) -> float:
    """Return the height of the chart of so many metrics, in inches."""
    return 1.4 + 0.75 * count


def metrics_chart(results: Sequence[MetricResult], scheme: Scheme, width: float = WIDE) -> Figure:
    """Draw both models in every metric between 0 and 1, with intervals and each model's control."""
    figure, axes = _figure(width, metrics_height(len(results)))
    upwards = list(results)[::-1]
    for name, color, marker, shift in (
        ("base model", scheme.base, "o", 0.12),
        ("fine-tuned model", scheme.finetuned, "D", -0.12),
    ):
        figures = [r.before if name == "base model" else r.finetuned for r in upwards]
        rows = [row + shift for row in range(len(upwards))]
        values = [f.value for f in figures]
        axes.errorbar(
            [100 * v for v in values], rows, xerr=_errors(values, [f.interval for f in figures], 100.0), fmt=marker, color=color,
            capsize=3, markersize=5, zorder=3, label=name,
        )  # fmt: skip
        controls = [(100 * f.control, row) for f, row in zip(figures, rows, strict=True) if f.control is not None]
        if controls:
            axes.plot(
                *zip(*controls, strict=True), linestyle="none", marker="|", markersize=14, markeredgewidth=1.6, color=scheme.accent,
                zorder=2, label="if asked otherwise",
            )  # fmt: skip
    axes.set_yticks(range(len(upwards)), [_wrapped(r.config.label, width) for r in upwards])
    axes.set_ylim(-0.6, len(upwards) - 0.4)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("%")
    axes.grid(visible=False, axis="y")
    _legend(figure, width, "outside lower center")
    return figure


def _row_heights(arms: Sequence[ArmResult], width: float) -> list[float]:
    """Return the height of each arm's row, in inches: room for the lines of its label."""
    lines = [len(_wrapped(arm.label, width).splitlines()) for arm in arms]
    return [max(0.34 if width == WIDE else 0.4, 0.12 + 0.155 * count) for count in lines]


def runs_height(arms: Sequence[ArmResult], width: float) -> float:
    """Return the height of a chart of the runs of some arms, in inches."""
    around = 1.3 if width == WIDE else 1.9  # the legend above and the name of the axis below
    return around + sum(_row_heights(arms, width))


def runs_chart(arms: Sequence[ArmResult], result: MetricResult, scheme: Scheme, width: float = WIDE) -> Figure:
    """Draw one metric of every arm: a dot per run with its control, the base model, and the best answer that ignores part of the question."""
    factor = scale(result.config)
    figure, axes = _figure(width, runs_height(arms, width))
    heights = _row_heights(arms, width)
    places = [sum(heights[:row]) + height / 2 for row, height in enumerate(heights)]  # inches from the top
    axes.axvline(factor * result.before.value, color=scheme.base, linewidth=1.8, label="base model")
    shortcut = result.run.shortcut
    if shortcut is not None:
        axes.axvline(factor * shortcut.value, color=scheme.accent, linestyle="--", linewidth=1.4, label="best guess")
    runs = [
        (place, run)
        for place, arm in zip(places, arms, strict=True)
        if arm.names
        for run in arm.metrics[result.key].runs
    ]
    for place, arm in zip(places, arms, strict=True):
        if not arm.names:
            axes.text(0.02, place, "not run yet", transform=axes.get_yaxis_transform(), va="center", color=scheme.base)
    controls = [(factor * f.figures.control, place) for place, f in runs if f.figures.control is not None]
    if controls:
        axes.plot(
            *zip(*controls, strict=True), linestyle="none", marker="|", markersize=15, markeredgewidth=1.6, color=scheme.accent,
            label="if asked otherwise",
        )  # fmt: skip
    dots = [(factor * found.figures.value, place) for place, found in runs]
    axes.plot(
        *zip(*dots, strict=True), linestyle="none", marker="o", markersize=7, color=scheme.finetuned, alpha=0.8, zorder=3,
        label="a run",
    )  # fmt: skip
    axes.set_yticks(places, [_wrapped(arm.label, width) for arm in arms])
    axes.set_ylim(sum(heights) + 0.04, -0.04)
    if result.config.bounded:
        axes.set_xlim(-0.02 * factor, 1.02 * factor)
    axes.set_xlabel(f"{_wrapped(result.config.label, width)}{', %' if factor == 100 else ''}")
    axes.grid(visible=False, axis="y")
    _legend(figure, width, "outside upper center")
    return figure


def course_chart(courses: Sequence[Course], scheme: Scheme, width: float = WIDE) -> Figure:
    """Draw the validation loss by step of every run; the runs of an arm share color and line style."""
    figure, axes = _figure(width, COURSE_HEIGHT[width])
    colors = (scheme.finetuned, scheme.accent, scheme.base, scheme.text)
    styles = ("-", "--", ":")
    named: set[str] = set()
    for label, arm, points in courses:
        axes.plot(
            *zip(*points, strict=True), color=colors[arm % len(colors)], linestyle=styles[arm // len(colors) % len(styles)],
            linewidth=1.3, label=None if label in named else label,
        )  # fmt: skip
        named.add(label)
    axes.set_xlabel("Optimizer step")
    axes.set_ylabel("Validation loss (nats per token)")
    trained = [loss for _, _, points in courses for _, loss in points[1:]]  # before, losses are many times as high
    axes.set_ylim(0, 1.1 * max(trained, default=1.0))
    _legend(figure, width, "outside upper center")
    return figure


def breakdown_chart(breakdown: Breakdown, metric: MetricConfig, scheme: Scheme, width: float = WIDE) -> Figure:
    """Draw one metric by a property of the questions: both models with intervals, and the fine-tuned model's control."""
    factor = scale(metric)
    figure, axes = _figure(width, HEIGHT)
    groups = breakdown.groups
    # A line between names would say that one comes before the other.
    ordered = all(isinstance(group.value, int | float) and not isinstance(group.value, bool) for group in groups)
    line, dashed = ("-", "--") if ordered else ("none", "none")
    for name, color, marker, shift in (
        ("base model", scheme.base, "o", -0.06),
        ("fine-tuned model", scheme.finetuned, "D", 0.06),
    ):
        base = name == "base model"
        values = [g.base if base else g.finetuned for g in groups]
        intervals = [g.base_interval if base else g.finetuned_interval for g in groups]
        axes.errorbar(
            [place + shift for place in range(len(groups))], [factor * v for v in values], yerr=_errors(values, intervals, factor),
            color=color, linestyle=line, marker=marker, markersize=5, capsize=2, elinewidth=1, label=name,
        )  # fmt: skip
    controls = [(place, factor * g.control) for place, g in enumerate(groups) if g.control is not None]
    if controls:
        axes.plot(
            *zip(*controls, strict=True), linestyle=dashed, marker="_", markersize=14, linewidth=1.2, color=scheme.accent,
            label="if asked otherwise",
        )  # fmt: skip
    axes.set_xticks(range(len(groups)), [str(g.value)[:12] for g in groups])
    axes.set_xlabel(breakdown.by.name)
    axes.set_ylabel(f"{_wrapped(metric.label, width)}{', %' if factor == 100 else ''}")
    if metric.bounded:
        axes.set_ylim(-0.02 * factor, 1.02 * factor)
    axes.grid(visible=False, axis="x")
    _legend(figure, width, "outside upper center")
    return figure


def training_chart(log: TrainingLog, scheme: Scheme, width: float = WIDE) -> Figure:
    """Draw training loss and validation loss by step."""
    figure, axes = _figure(width, HEIGHT)
    training = [(e.step, e.loss) for e in log.log if e.loss is not None]
    validation = [(e.step, e.validation_loss) for e in log.log if e.validation_loss is not None]
    if training:
        axes.plot(*zip(*training, strict=True), color=scheme.base, linewidth=1.2, label="training loss")
    if validation:
        axes.plot(
            *zip(*validation, strict=True), color=scheme.finetuned, marker="D", markersize=4, label="validation loss"
        )
    if log.best_step is not None:
        axes.axvline(log.best_step, color=scheme.accent, linestyle="--", linewidth=1.2, label="checkpoint kept")
    axes.set_xlabel("Optimizer step")
    axes.set_ylabel("Cross-entropy (nats per token)" if log.config else "Loss")  # another Trainer's may be any loss
    if all(loss >= 0 for _, loss in training + validation):
        axes.set_ylim(bottom=0)
    _legend(figure, width, "outside upper center")
    return figure
