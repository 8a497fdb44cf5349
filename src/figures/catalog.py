"""Which charts a record gives, with their words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from src.analysis.analyse import Analysis, Breakdown, Confusion, MetricResult
from src.analysis.statistics import Interval
from src.analysis.study import StudyAnalysis
from src.cache import cached
from src.record.config import MetricConfig
from src.record.schemas import TrainingLog
from src.record.study import LoadedStudy
from src.record.wording import midsentence

from . import charts, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Chart:
    """A chart and what is said about it.

    Attributes:
        name: File name without ending.
        title: What it shows.
        caption: What to see in it.
        alt: The same for those who cannot see it.
        header: Column names of its table.
        rows: The numbers drawn, as text.
        draw: Draws it in a scheme.
        size: Width and height in points.
        data: What the drawing depends on, for the cache.
    """

    name: str
    title: str
    caption: str
    alt: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    draw: Callable[[style.Scheme], Figure]
    size: tuple[int, int]
    data: str


LARGEST_CONFUSION = 30
"""Most different answers that are drawn against each other."""


def catalog(analysis: Analysis, log: TrainingLog | None, study: LoadedStudy | None = None) -> list[Chart]:
    """List the charts that the record has the data for."""
    found: list[Chart] = []
    if analysis.study is not None and study is not None:
        found += _arms(analysis, analysis.study)
        courses = list(_courses(analysis.study, study))
        if courses:
            found.append(_course(courses))
    if any(m.config.bounded for m in (*analysis.primary, *analysis.others)):
        found.append(_metrics(analysis))
    found += [_breakdown(b, analysis.metric(b.metric).config) for b in analysis.breakdowns]
    found += [_confusion(c) for c in analysis.confusions if _can_be_drawn(c)]
    if log is not None and log.log:
        found.append(_training(log))
    return found


def _arms(analysis: Analysis, study: StudyAnalysis) -> Iterator[Chart]:
    """Draw what belongs together side by side: a primary metric's measures, its other conditions, and the secondary metrics."""
    compared = {key for arm in study.arms for key in arm.metrics}
    for primary in analysis.primary:
        measures = [m for m in (primary, *analysis.beside(primary.key)) if m.key in compared]
        if measures:
            yield _study(study, primary.key, f"{primary.config.label} of every arm", _labelled(measures))
        conditions = [m for m in analysis.variants(primary.key) if m.key in compared]
        if conditions and primary.key in compared:
            panels = [(primary, "asked directly"), *((m, m.config.variant or m.config.label) for m in conditions)]
            title = f"{primary.config.label} of every arm under other conditions"
            yield _study(study, f"{primary.key}-conditions", title, panels)
    others = [m for m in analysis.others if m.key in compared]
    if others:
        yield _study(study, "others", "Secondary metrics of every arm", _labelled(others))


def _labelled(results: Sequence[MetricResult]) -> list[charts.Panel]:
    return [(m, m.config.label) for m in results]


def _study(study: StudyAnalysis, name: str, title: str, panels: Sequence[charts.Panel]) -> Chart:
    def row(label: str, model: str, seeds: str, values: Sequence[float], mean: float, span: str) -> tuple[str, ...]:
        return label, model, seeds, f"{mean:.3f}", span, ", ".join(f"{value:.3f}" for value in values)

    arms = [arm for arm in study.arms if arm.seeds]
    rows, said, cut = [], [], False
    for result, label in panels:
        rows.append(row(label, "Base model", "none", (result.base,), result.base, "not applicable"))
        means = [f"base model {result.base:.3f}"]
        for arm in arms:
            found = arm.metrics[result.key]
            span = found.interval
            cut |= bool(result.config.bounded and span and (span.low < 0 or span.high > 1))
            seeds = ", ".join(str(seed) for seed in arm.seeds)
            rows.append(row(label, arm.label, seeds, found.values, found.mean, _span(found.interval)))
            means.append(f"{arm.label} {found.mean:.3f}")
        said.append(f"{label}: {', '.join(means)}")
    return Chart(
        name=f"study-{name}".replace("_", "-"),
        title=title,
        caption=f"{title}: a circle for each seed, the mean of each arm with its t interval over seeds where there are two or more,"
        f" and the base model as a line.{' Intervals of metrics between 0 and 1 are cut at these bounds.' if cut else ''}",
        alt=f"Means over seeds. {'. '.join(said)}.",
        header=("Metric", "Arm", "Seeds", "Mean", "Interval", "Values"),
        rows=tuple(rows),
        draw=partial(charts.study_chart, arms, panels),
        size=_points(charts.study_size(len(arms), len(panels))),
        data=repr((arms, panels)),
    )


Course = tuple[str, int, list[tuple[int, float]]]


def _courses(analysis: StudyAnalysis, study: LoadedStudy) -> Iterator[Course]:
    for number, arm in enumerate(analysis.arms):
        for run in study.done(arm.name):
            log = study.results[run.name].log
            points = [(e.step, e.validation_loss) for e in log.log if e.validation_loss is not None] if log else []
            if points:
                yield arm.label, number, points


def _course(courses: list[Course]) -> Chart:
    last = [(label, points[-1]) for label, _, points in courses]
    return Chart(
        name="study-course",
        title="Validation loss of every run",
        caption="Validation loss of every run by step. Each arm's loss is measured on texts written as that arm writes them, so only"
        " runs of one arm compare by it.",
        alt="Validation loss at the last step: " + "; ".join(f"{label} {loss:.2f}" for label, (_, loss) in last) + ".",
        header=("Arm", "Step", "Validation loss"),
        rows=tuple((label, str(step), f"{loss:.4f}") for label, _, points in courses for step, loss in points),
        draw=partial(charts.course_chart, courses),
        size=_points((charts.SIZE[0], 3.8)),
        data=repr(courses),
    )


def _points(inches: tuple[float, float]) -> tuple[int, int]:
    return round(72 * inches[0]), round(72 * inches[1])


def _span(interval: Interval | None) -> str:
    return f"{interval.low:.3f} to {interval.high:.3f}" if interval else "not measured"


def _metrics(analysis: Analysis) -> Chart:
    shown = tuple(m for m in (*analysis.primary, *analysis.others) if m.config.bounded)
    rows = tuple(
        (m.config.label, f"{m.base:.3f}", _span(m.base_interval), f"{m.finetuned:.3f}", _span(m.finetuned_interval))
        for m in shown
    )
    caption = "Both models, the fine-tuned one as published" if analysis.study else "Both models"
    if any(m.base_interval for m in analysis.metrics):
        caption += f", with {100 * (1 - analysis.level):g} % intervals"
    if any(m.baselines for m in analysis.metrics):
        caption += " and, for choices, what chance and the majority class would score"
    return Chart(
        name="metrics",
        title="Base model against fine-tuned model",
        caption=f"{caption}.",
        alt="; ".join(f"{label}: base {base}, fine-tuned {tuned}" for label, base, _, tuned, _ in rows),
        header=("Metric", "Base", "Interval", "Fine-tuned", "Interval"),
        rows=rows,
        draw=partial(charts.metrics_chart, shown),
        size=_points(charts.metrics_size(len(shown))),
        data=repr(shown),
    )


def _breakdown(breakdown: Breakdown, metric: MetricConfig) -> Chart:
    axis = midsentence(breakdown.by.name)
    first, last = breakdown.groups[0], breakdown.groups[-1]
    rows = tuple(
        (
            str(g.value),
            str(g.questions),
            f"{g.base:.3f}",
            _span(g.base_interval),
            f"{g.finetuned:.3f}",
            _span(g.finetuned_interval),
        )
        for g in breakdown.groups
    )
    return Chart(
        name=f"{breakdown.metric}-by-{breakdown.by.key}".replace("_", "-"),
        title=f"{metric.label} by {axis}",
        caption=(
            f"{metric.label} ({metric.direction} is better) by {axis}. The fine-tuned model goes from {first.finetuned:.2f} at"
            f" {first.value} to {last.finetuned:.2f} at {last.value}, the base model from {first.base:.2f} to {last.base:.2f}."
        ),
        alt=f"{metric.label} by {axis}: "
        + "; ".join(f"{g.value}: base {g.base:.2f}, fine-tuned {g.finetuned:.2f}" for g in breakdown.groups),
        header=(breakdown.by.name, "Questions", "Base", "Interval", "Fine-tuned", "Interval"),
        rows=rows,
        draw=partial(charts.breakdown_chart, breakdown, metric),
        size=_points(charts.SIZE),
        data=repr((breakdown, metric)),
    )


def _can_be_drawn(confusion: Confusion) -> bool:
    """Tell whether the answers are few and all numbers: others are a model's free text, and belong in no caption."""
    labels = confusion.labels
    return len(labels) <= LARGEST_CONFUSION and all(label.isdecimal() and len(label) < 6 for label in labels)


def _confusion(confusion: Confusion) -> Chart:
    task = confusion.task.replace("_", " ")
    rows = tuple(
        (confusion.labels[i], model, *(str(n) for n in counts[i]))
        for model, counts in (("base", confusion.base), ("fine-tuned", confusion.finetuned))
        for i in range(len(confusion.labels))
        if sum(counts[i])
    )
    said = []
    for model, counts in (("base model", confusion.base), ("fine-tuned model", confusion.finetuned)):
        totals = [sum(row[i] for row in counts) for i in range(len(confusion.labels))]
        most = max(range(len(totals)), key=totals.__getitem__)
        said.append(
            f"the {model} answers {confusion.labels[most]} most often, in {totals[most]:,} of {sum(totals):,} cases"
        )
    return Chart(
        name=f"confusion-{confusion.task}".replace("_", "-"),
        title=f"What was answered: {task}",
        caption=f"What was answered in the task {task}, by right answer: {'; '.join(said)}. Outlined fields are right answers.",
        alt=f"Answers by right answer, {task}: {'; '.join(said)}.",
        header=("Right answer", "Model", *confusion.labels),
        rows=rows,
        draw=partial(charts.confusion_chart, confusion),
        size=_points(charts.SIZE),
        data=repr(confusion),
    )


def _training(log: TrainingLog) -> Chart:
    validation = [(e.step, e.validation_loss) for e in log.log if e.validation_loss is not None]
    caption = "Loss on the training text by step"
    if validation:
        caption += f"; the validation loss goes from {validation[0][1]:.2f} at step {validation[0][0]} to {validation[-1][1]:.2f} at step {validation[-1][0]}"
    return Chart(
        name="training",
        title="Training and validation loss",
        caption=f"{caption}. The two are measured on different texts, so their heights do not compare.",
        alt=f"{caption}.",
        header=("Step", "Validation loss"),
        rows=tuple((str(step), f"{loss:.4f}") for step, loss in validation),
        draw=partial(charts.training_chart, log),
        size=_points(charts.SIZE),
        data=log.model_dump_json(include={"log", "best_step"}),
    )


_CHARTS = Path(charts.__file__).read_text(encoding="utf-8")


def _code() -> str:
    return style.fingerprint() + _CHARTS


def render(chart: Chart, kind: str, cache_folder: Path | None) -> bytes:
    """Render a chart, or take it from the cache.

    Args:
        chart: What to draw.
        kind: `light.svg`, `dark.svg` or `png`.
        cache_folder: The cache; None to always draw.

    Returns:
        The file's bytes.
    """
    if kind == "dark.svg":
        return style.recoloured(render(chart, "light.svg", cache_folder), style.LIGHT, style.DARK)
    return cached(cache_folder, kind, (kind, *drawn_from(chart)), lambda: _draw(chart, kind))


def drawn_from(chart: Chart) -> tuple[str, ...]:
    """Return all that a chart's drawing follows from: its name and data, and the code and the fonts that draw it."""
    return chart.name, chart.data, _code()


def _draw(chart: Chart, kind: str) -> bytes:
    with style.styled(style.LIGHT):
        figure = chart.draw(style.LIGHT)
        return style.save_png(figure) if kind == "png" else style.save_svg(figure)
