"""The charts that a record has the data for, with their words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from src.analysis.analyse import Analysis, Breakdown, MetricResult
from src.analysis.statistics import Interval
from src.analysis.study import ArmMetric, ArmResult, StudyAnalysis
from src.cache import cached
from src.record.config import MetricConfig
from src.record.schemas import TrainingLog
from src.record.study import LoadedStudy
from src.record.wording import midsentence

from . import charts, style
from .charts import NARROW, WIDE, Course

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Chart:
    """A chart and what is said about it.

    Attributes:
        title: Its message; what it shows where the author wrote none.
        caption: How to read it.
        alt: Its content for those who cannot see it; the title precedes it.
        header: Column names of its table.
        rows: The numbers drawn, as text.
        draw: Draws it in a scheme and at a width in inches.
        height: In inches, of the wide variant.
        data: What the drawing depends on, for the cache.
    """

    name: str
    title: str
    caption: str
    alt: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    draw: Callable[[style.Scheme, float], Figure]
    height: float
    data: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the wide variant, in points."""
        return round(72 * WIDE), round(72 * self.height)


def catalog(analysis: Analysis, log: TrainingLog | None, study: LoadedStudy | None = None) -> list[Chart]:
    """List the charts that the record has the data for."""
    found: list[Chart] = []
    if analysis.study is not None and study is not None:
        found += _runs(analysis, analysis.study)
        courses = list(_courses(analysis.study, study))
        if courses:
            found.append(_course(courses))
    main = {m.key for m in analysis.main}
    shown = [
        m for m in analysis.primary_first if m.base is not None and m.config.unit == "proportion" and m.key in main
    ]
    if shown:
        found.append(_metrics(shown, analysis))
    found += [_breakdown(b, analysis.metric(b.metric).config) for b in analysis.breakdowns]
    if log is not None and any(e.loss is not None or e.validation_loss is not None for e in log.log):
        found.append(_training(log))
    return found


def shown(number: float | None, metric: MetricConfig) -> str:
    """Write a value as charts' tables show it: per cent with one decimal, or three decimals."""
    if number is None:
        return ""
    factor = charts.scale(metric)
    return f"{factor * number:.{1 if factor == 100 else 3}f}".replace("-", "−")


def _span(interval: Interval | None, metric: MetricConfig) -> tuple[str, str]:
    return (shown(interval.low, metric), shown(interval.high, metric)) if interval else ("", "")


def _unit(metric: MetricConfig) -> str:
    return ", %" if metric.unit == "proportion" else ""


def _runs(analysis: Analysis, study: StudyAnalysis) -> Iterator[Chart]:
    for result in analysis.metrics:
        arms = [arm for arm in study.arms if result.key in arm.metrics or not arm.names]
        if any(arm.names for arm in arms):
            yield _arms(arms, result)


def _arms(arms: Sequence[ArmResult], result: MetricResult) -> Chart:
    metric = result.config
    rows = [("Base model", "", shown(result.before.value, metric), shown(result.before.control, metric))]
    phrases = [f"base model {shown(result.before.value, metric)}"]
    for arm in arms:
        if not arm.names:
            rows.append((arm.label, "not run yet", "", ""))
            phrases.append(f"{arm.label} not run yet")
            continue
        found: ArmMetric = arm.metrics[result.key]
        for name, run in zip(arm.names, found.runs, strict=True):
            rows.append((arm.label, name, shown(run.figures.value, metric), shown(run.figures.control, metric)))
        phrases.append(f"{arm.label} {', '.join(shown(value, metric) for value in found.values)}")
    return Chart(
        name=f"runs-{result.key}".replace("_", "-"),
        title=f"{metric.label}, by recipe",
        caption="Each dot is one run." + (f" Best guess: {result.run.shortcut.label}." if result.run.shortcut else ""),
        alt=f"{metric.label}{_unit(metric)}: {'; '.join(phrases)}.",
        header=("Recipe", "Run", f"Value{_unit(metric)}", f"Control{_unit(metric)}"),
        rows=tuple(rows),
        draw=partial(charts.runs_chart, arms, result),
        height=charts.runs_height(arms, WIDE),
        data=repr((arms, result)),
    )


def _courses(analysis: StudyAnalysis, study: LoadedStudy) -> Iterator[Course]:
    for number, arm in enumerate(analysis.arms):
        for run in study.done(arm.name):
            log = run.log.log if run.log else []
            points = [(e.step, e.validation_loss) for e in log if e.validation_loss is not None]
            if points:
                yield arm.label, number, points


def _course(courses: list[Course]) -> Chart:
    last = [(label, points[-1]) for label, _, points in courses]
    return Chart(
        name="study-course",
        title="Validation loss of every run",
        caption="Validation loss by optimizer step, a line per run. Recipes with other training text have other validation text, so "
        "heights compare within a recipe only.",
        alt="Last validation losses: " + "; ".join(f"{label} {loss:.2f}" for label, (_, loss) in last) + ".",
        header=("Recipe", "Step", "Validation loss"),
        rows=tuple((label, str(step), f"{loss:.4f}") for label, _, points in courses for step, loss in points),
        draw=partial(charts.course_chart, courses),
        height=charts.COURSE_HEIGHT[WIDE],
        data=repr(courses),
    )


def _metrics(results: Sequence[MetricResult], analysis: Analysis) -> Chart:
    rows = []
    for m in results:
        for model, figures in (("base", m.before), ("fine-tuned", m.finetuned)):
            value, control = shown(figures.value, m.config), shown(figures.control, m.config)
            rows.append((m.config.label, model, value, *_span(figures.interval, m.config), control))
    parts = []
    if any(m.before.interval for m in results):
        parts.append(f"with {100 * (1 - analysis.level):g}% intervals")
    if any(m.finetuned.control is not None for m in results):
        asked = "the accuracy that the same answers would have if the question had asked about something else"
        parts.append(f"each with its control, {asked}")
    return Chart(
        name="metrics",
        title="Base model and fine-tuned model",
        caption=f"Both models{', ' if parts else ''}{', and '.join(parts)}.",
        alt="; ".join(
            f"{m.config.label}: base {shown(m.before.value, m.config)}%, fine-tuned {shown(m.finetuned.value, m.config)}%"
            for m in results
        ),
        header=("Metric", "Model", "Value, %", "Low", "High", "Control, %"),
        rows=tuple(rows),
        draw=partial(charts.metrics_chart, results),
        height=charts.metrics_height(len(results)),
        data=repr(results),
    )


def _breakdown(breakdown: Breakdown, metric: MetricConfig) -> Chart:
    axis = midsentence(breakdown.by.name)
    control = any(g.control is not None for g in breakdown.groups)
    rows = []
    for g in breakdown.groups:
        base = shown(g.base, metric), *_span(g.base_interval, metric)
        tuned = shown(g.finetuned, metric), *_span(g.finetuned_interval, metric)
        rows.append((str(g.value), str(g.questions), *base, *tuned, *([shown(g.control, metric)] if control else [])))
    names = ("Base", "Base low", "Base high", "Fine-tuned", "Fine-tuned low", "Fine-tuned high")
    return Chart(
        name=f"{breakdown.metric}-by-{breakdown.by.key}".replace("_", "-"),
        title=f"{metric.label} by {axis}",
        caption=f"Both models with intervals{', and the control of the fine-tuned model' if control else ''}.",
        alt=f"{metric.label}{_unit(metric)} by {axis}: "
        + "; ".join(
            f"{g.value}: base {shown(g.base, metric)}, fine-tuned {shown(g.finetuned, metric)}"
            for g in breakdown.groups
        ),
        header=(breakdown.by.name, "Questions", *names, *(("Control",) if control else ())),
        rows=tuple(rows),
        draw=partial(charts.breakdown_chart, breakdown, metric),
        height=charts.HEIGHT,
        data=repr((breakdown, metric)),
    )


def _training(log: TrainingLog) -> Chart:
    training = [(e.step, e.loss) for e in log.log if e.loss is not None]
    validation = [(e.step, e.validation_loss) for e in log.log if e.validation_loss is not None]
    which = "Validation loss" if validation else "Training loss"
    shown = validation or training[:: len(training) // 50 + 1]  # a table that can be read
    phrases = "Loss on the training text by step" if training else "Loss by step"
    if len(validation) > 1:
        (start, before), (end, after) = validation[0], validation[-1]
        phrases += f"; the validation loss goes from {before:.2f} at step {start} to {after:.2f} at step {end}"
    caption = "Loss by optimizer step."
    if training and validation:
        caption = "Losses by optimizer step. The two are measured on different texts, so their heights do not compare."
    return Chart(
        name="training",
        title="Training and validation loss" if training and validation else which,
        caption=caption,
        alt=f"{phrases}.",
        header=("Step", which),
        rows=tuple((str(step), f"{loss:.4f}") for step, loss in shown),
        draw=partial(charts.training_chart, log),
        height=charts.HEIGHT,
        data=log.model_dump_json(include={"log", "best_step"}) + repr(log.config is None),
    )


_CHARTS = Path(charts.__file__).read_text(encoding="utf-8")

KINDS = ("light.svg", "dark.svg", "narrow.light.svg", "narrow.dark.svg")
"""What the site shows of each chart: both color schemes, each for desktops and for phones."""


def render(chart: Chart, kind: str, cache_folder: Path | None) -> bytes:
    """Render a chart as one of `KINDS` or as `png`, or take it from the cache."""
    if kind.endswith("dark.svg"):
        return style.darkened(render(chart, kind.replace("dark", "light"), cache_folder))
    return cached(cache_folder, kind, (kind, *drawn_from(chart)), lambda: _draw(chart, kind))


def drawn_from(chart: Chart) -> tuple[str, ...]:
    """Return everything that a chart's drawing depends on: its name and data, and the code and the fonts that draw it."""
    return chart.name, chart.data, style.fingerprint() + _CHARTS


def _draw(chart: Chart, kind: str) -> bytes:
    with style.styled(style.LIGHT):
        figure = chart.draw(style.LIGHT, NARROW if kind.startswith("narrow") else WIDE)
        return style.save_png(figure) if kind == "png" else style.save_svg(figure)
