"""The charts."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from src.analysis.analyse import Breakdown, Confusion, MetricResult
from src.analysis.statistics import Interval
from src.analysis.study import ArmResult
from src.record.config import MetricConfig
from src.record.schemas import TrainingLog

from .style import Scheme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (7.2, 3.4)
"""Width and height of most charts, in inches."""

COLUMNS = 2
"""Panels side by side."""

PANEL_LABEL = 36
"""Characters of a panel's label that fit on one line."""

BASELINE_STYLES = (":", "--")
"""Lines of a metric's baselines, in their order."""

Panel = tuple[MetricResult, str]
"""A metric, and what its panel is labelled."""


def metrics_size(count: int) -> tuple[float, float]:
    """Return width and height of the chart of so many metrics, in inches."""
    return SIZE[0], 1.3 + 0.75 * count


def _figure(size: tuple[float, float]) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=size)


def _errors(values: Sequence[float], intervals: Sequence[Interval | None]) -> list[list[float]] | None:
    """Return how far each interval reaches below and above its value, of shape (2, values); None if there is no interval.

    A value without an interval gets NaN, which draws nothing.
    """
    if not any(intervals):
        return None  # no bars in the legend either
    below = [math.nan if i is None else max(0.0, v - i.low) for v, i in zip(values, intervals, strict=True)]
    above = [math.nan if i is None else max(0.0, i.high - v) for v, i in zip(values, intervals, strict=True)]
    return [below, above]


def metrics_chart(results: Sequence[MetricResult], scheme: Scheme) -> Figure:
    """Base against fine-tuned for every metric between 0 and 1, with intervals and baselines.

    Args:
        results: The metrics, in order from top to bottom.
        scheme: Colours.
    """
    shown = [r for r in results if r.config.bounded]
    figure = _figure(metrics_size(len(shown)))
    axes = figure.subplots()
    rows, upwards = range(len(shown)), shown[::-1]
    base, finetuned = [r.base for r in upwards], [r.finetuned for r in upwards]
    axes.hlines(rows, base, finetuned, color=scheme.faint, linewidth=3, zorder=1)
    for values, intervals, color, marker, label in (
        (base, [r.base_interval for r in upwards], scheme.base, "o", "base model"),
        (finetuned, [r.finetuned_interval for r in upwards], scheme.finetuned, "D", "fine-tuned model"),
    ):
        errors = _errors(values, intervals)
        axes.errorbar(values, rows, xerr=errors, fmt=marker, color=color, capsize=3, zorder=3, label=label)
    for number, style in enumerate(BASELINE_STYLES):
        found = [(r.baselines[number].value, row) for row, r in enumerate(upwards) if len(r.baselines) > number]
        places, at = [value for value, _ in found], [row for _, row in found]
        low, high = [row - 0.3 for row in at], [row + 0.3 for row in at]
        axes.vlines(places, low, high, linestyle=style, color=scheme.accent, linewidth=1.6, zorder=2)
    if any(r.baselines for r in shown):
        for style, label in zip(BASELINE_STYLES, ("chance", "majority class"), strict=True):
            axes.plot([], [], linestyle=style, color=scheme.accent, label=label)
    axes.set_yticks(rows, [f"{r.config.label}\n({r.config.direction} is better)" for r in upwards])
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.set_xlim(-0.02, 1.02)
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def study_size(arms: int, panels: int) -> tuple[float, float]:
    """Return width and height of a chart of so many arms in so many panels, in inches."""
    return SIZE[0], 0.5 + math.ceil(panels / COLUMNS) * (0.85 + 0.3 * arms)


def study_chart(arms: Sequence[ArmResult], panels: Sequence[Panel], scheme: Scheme) -> Figure:
    """Metrics of every arm, a panel each: a circle for each seed, the mean with its t interval, the base model and the baselines.

    Args:
        arms: The arms that have runs.
        panels: The metrics, each with its panel's label.
        scheme: Colours.
    """
    figure = _figure(study_size(len(arms), len(panels)))
    rows, columns = math.ceil(len(panels) / COLUMNS), min(COLUMNS, len(panels))
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes, (result, label) in zip(grid, panels, strict=False):
        _study_panel(axes, arms, result, scheme)
        text = textwrap.fill(f"{label[0].upper()}{label[1:]}", PANEL_LABEL)
        axes.set_xlabel(f"{text}\n({result.config.direction} is better)", fontsize=8)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    grid[0].set_yticks(range(len(arms)), [arm.label for arm in reversed(arms)])
    grid[0].set_ylim(-0.6, len(arms) - 0.4)
    entries = {label: line for axes in grid for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside upper center", ncols=5)
    return figure


def _study_panel(axes: Axes, arms: Sequence[ArmResult], result: MetricResult, scheme: Scheme) -> None:
    axes.axvline(result.base, color=scheme.base, linewidth=1.6, label="base model")
    for baseline, style in zip(result.baselines, BASELINE_STYLES, strict=False):
        axes.axvline(baseline.value, linestyle=style, color=scheme.accent, linewidth=1.4, label=baseline.label)
    found = [arm.metrics[result.key] for arm in reversed(arms)]
    seeds = [(value, row) for row, metric in enumerate(found) for value in metric.values]
    axes.plot(
        *zip(*seeds, strict=True),
        linestyle="none",
        marker="o",
        markersize=6,
        markerfacecolor="none",
        color=scheme.finetuned,
        label="one seed",
    )
    means = [metric.mean for metric in found]
    axes.errorbar(
        means,
        range(len(means)),
        xerr=_errors(means, [metric.interval for metric in found]),
        fmt="D",
        markersize=4,
        color=scheme.text,
        capsize=3,
        zorder=3,
        label="mean over seeds",
    )
    if result.config.bounded:
        low, high = axes.get_xlim()
        axes.set_xlim(max(-0.02, low), min(1.02, high))
    axes.locator_params(axis="x", nbins=5)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(visible=False, axis="y")


def course_chart(courses: Sequence[tuple[str, int, Sequence[tuple[int, float]]]], scheme: Scheme) -> Figure:
    """Validation loss by step of every run; runs of one arm share a line style.

    Args:
        courses: Label of the arm, its number, and steps with losses, for each run.
        scheme: Colours.
    """
    figure = _figure((SIZE[0], 3.8))
    axes = figure.subplots()
    colors = (scheme.finetuned, scheme.accent, scheme.base, scheme.text)
    styles = ("-", "--", ":")
    named: set[str] = set()
    for label, arm, points in courses:
        axes.plot(
            *zip(*points, strict=True),
            color=colors[arm % len(colors)],
            linestyle=styles[arm // len(colors) % len(styles)],
            linewidth=1.3,
            label=None if label in named else label,
        )
        named.add(label)
    axes.set_xlabel("Optimiser step")
    axes.set_ylabel("Validation loss (nats per token)")
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def breakdown_chart(breakdown: Breakdown, metric: MetricConfig, scheme: Scheme) -> Figure:
    """One metric by a property of the questions, both models with intervals.

    Args:
        breakdown: The groups.
        metric: The metric's declaration.
        scheme: Colours.
    """
    figure = _figure(SIZE)
    axes: Axes = figure.subplots()
    labels = [str(g.value) for g in breakdown.groups]
    places = range(len(labels))
    for values, intervals, color, marker, label, shift in (
        (
            [g.base for g in breakdown.groups],
            [g.base_interval for g in breakdown.groups],
            scheme.base,
            "o",
            "base model",
            -0.06,
        ),
        (
            [g.finetuned for g in breakdown.groups],
            [g.finetuned_interval for g in breakdown.groups],
            scheme.finetuned,
            "D",
            "fine-tuned model",
            0.06,
        ),
    ):
        x = [p + shift for p in places]
        errors = _errors(values, intervals)
        axes.errorbar(
            x, values, yerr=errors, color=color, marker=marker, markersize=5, capsize=2, elinewidth=1, label=label
        )
    axes.set_xticks(list(places), labels)
    axes.set_xlabel(breakdown.by.name)
    axes.set_ylabel(metric.label)
    if metric.bounded:
        axes.set_ylim(-0.02, 1.02)
    axes.grid(visible=False, axis="x")
    figure.legend(loc="outside upper right", ncols=2)
    return figure


def _square(x: float, y: float) -> list[tuple[float, float]]:
    return [(x - 0.5, y - 0.5), (x + 0.5, y - 0.5), (x + 0.5, y + 0.5), (x - 0.5, y + 0.5)]


def confusion_chart(confusion: Confusion, scheme: Scheme) -> Figure:
    """What was answered, by right answer, for both models side by side; the darker a field, the larger its share of the row.

    Args:
        confusion: Counts of both models.
        scheme: Colours.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba

    figure = _figure(SIZE)
    places = [i for i, row in enumerate(confusion.base) if sum(row)]
    for axes, counts, color, title in zip(
        figure.subplots(1, 2, sharey=True),
        (confusion.base, confusion.finetuned),
        (scheme.base, scheme.finetuned),
        ("base model", "fine-tuned model"),
        strict=True,
    ):
        fields = [(x, y, n / sum(counts[i])) for y, i in enumerate(places) for x, n in enumerate(counts[i]) if n]
        shades = [to_rgba(color, round(share, 3)) for _, _, share in fields]
        axes.add_collection(PolyCollection([_square(x, y) for x, y, _ in fields], facecolors=shades, linewidth=0))
        right = [_square(i, y) for y, i in enumerate(places)]
        axes.add_collection(PolyCollection(right, facecolors="none", edgecolors=scheme.accent, linewidth=1.2))
        axes.set_xlim(-0.5, len(confusion.labels) - 0.5)
        axes.set_ylim(len(places) - 0.5, -0.5)
        axes.set_xticks(range(len(confusion.labels)), [label[:8] for label in confusion.labels])
        axes.set_yticks(range(len(places)), [confusion.labels[i][:8] for i in places])
        axes.grid(visible=False)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("Answer")
    figure.axes[0].set_ylabel("Right answer")
    return figure


def training_chart(log: TrainingLog, scheme: Scheme) -> Figure:
    """Training loss and validation loss by step."""
    figure = _figure(SIZE)
    axes = figure.subplots()
    training = [(e.step, e.loss) for e in log.log if e.loss is not None]
    validation = [(e.step, e.validation_loss) for e in log.log if e.validation_loss is not None]
    if training:
        axes.plot(*zip(*training, strict=True), color=scheme.base, linewidth=1.2, label="training loss")
    if validation:
        axes.plot(
            *zip(*validation, strict=True), color=scheme.finetuned, marker="D", markersize=4, label="validation loss"
        )
    if log.best_step is not None:
        axes.axvline(
            log.best_step, color=scheme.accent, linestyle="--", linewidth=1.2, label="checkpoint that was kept"
        )
    axes.set_xlabel("Optimiser step")
    axes.set_ylabel("Cross-entropy (nats per token)")
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside upper right", ncols=3)
    return figure
