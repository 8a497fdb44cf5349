"""The documents: complete, in step with the record, and safe against hostile text."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import markdown
import pytest
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from src.analysis.analyse import MetricResult
from src.analysis.evidence import Baseline, Comparison, Figures
from src.documents import formatting
from src.documents.build import build
from src.documents.completeness import REQUIRED, completeness, headings, without_empty
from src.documents.context import Context
from src.documents.pages import site_pages
from src.documents.renderer import Renderer
from src.figures import style
from src.figures.charts import NARROW, WIDE, breakdown_chart, course_chart, metrics_chart, runs_chart
from src.record.config import MetricConfig

from .records import HOSTILE, hostile_answers


def test_a_heading_inside_a_fence_is_none_and_a_text_may_have_none() -> None:
    assert without_empty("Words.\n", (), (), "") == "Words."
    text = "## A\n\nWords.\n\n```\n## B\n```\n"
    assert completeness(text, ("A", "B"), ()).missing == ("B",)
    assert without_empty(text, (), (), "") == text.strip()


def test_a_hostile_answer_is_text_on_every_page_and_card(project: Path) -> None:
    hostile_answers(project, HOSTILE)
    documents = build(project, project / ".cache")
    pages, _, _ = site_pages(documents, pdf=True)
    assert "&#60;script&#62;window.pwned" in pages["examples.md"]
    texts = {**pages, "card": documents.model_card.text, "README": documents.readme.text}
    for name, text in texts.items():
        shown = re.sub(r"\A---.*?\n---\n", "", text, flags=re.DOTALL)
        assert not re.search(r"<script|<img src=x|\]\(javascript|[\x00\x1b\u200b\u202e\u2066]", shown), name


@given(st.sampled_from([" _a_ ", *HOSTILE]) | st.text(max_size=300))
def test_any_text_stays_in_its_cell_as_text(anything: str) -> None:
    safe = formatting.text(anything)
    assert len(safe) < 6 * formatting.TEXT_LIMIT + 10
    html = markdown.markdown(
        f"| a |\n| --- |\n| x{safe}x |\n", extensions=["tables", "attr_list", "md_in_html", "pymdownx.superfences"]
    )
    assert set(re.findall(r"<\s*/?\s*([a-z0-9]+)", html)) <= {"table", "thead", "tbody", "tr", "th", "td"}, html
    assert html.count("<td>") == 1
    assert not re.search(r"[\x00-\x08\x1b\u200b\u202a-\u202e\u2066-\u2069]", html)


PROPORTION = MetricConfig(label="Accuracy", definition="d", direction="higher", unit="proportion", primary=True)


def result(verdict: str, base: float = 0.1, finetuned: float = 0.5, **more: object) -> MetricResult:
    change = finetuned - base
    figures = Figures(finetuned, control=0.31, answered=0.2)
    run = Comparison(figures, change, change / base, change > 0, test="exact McNemar", p_value=0.6, verdict=verdict)  # type: ignore[arg-type]
    return MetricResult("m", PROPORTION, Figures(base), replace(run, **more), 1000)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (result("not tested"), "Better, but not tested: it is not computed from the answers on record."),
        (result("not tested", 0.4, 0.4), "Unchanged, and not tested: it is not computed from the answers on record."),
        (result("does not answer"), "does not answer: 20% of its answers"),
        (result("no evidence of use", above_control=False), "50.0% are right, and 31.0% would be if"),
        (
            result("no better than a guess", above_control=True, shortcut=Baseline("the first letter", 0.49)),
            "50.0% are right, and 49.0% would be with the first letter.",
        ),
    ],
)
def test_a_verdict_is_said_with_its_reason(context: Context, outcome: MetricResult, words: str) -> None:
    changed = Context(context.record, context.names, context.cache)
    changed.__dict__["analysis"] = replace(context.analysis, metrics=(outcome,), study=None, breakdowns=())
    changed.__dict__["written_by_author"] = lambda name: False
    text = " ".join(Renderer(changed, "hub").render("parts/finding.md").split())
    assert words in text


def test_formats() -> None:
    sizes = {2400: "43.2%", 120: "43%", None: "43.2%"}  # no finer than one question's weight
    assert {size: formatting.value(0.43219, PROPORTION, size) for size in sizes} == sizes
    assert formatting.value(0.0, PROPORTION, 50) == "0%"
    assert [formatting.percent(share) for share in (0.0, 0.0999, None)] == ["0%", "10%", "not measured"]
    assert formatting.p_value(0.00001) == "<\N{NO-BREAK SPACE}0.001"


def test_the_minimal_record_gives_a_card(minimal: Path) -> None:
    """Two dictionaries of metrics and a short config are enough; what they lack is left out."""
    text = build(minimal, None).model_card.text
    assert {title for _, title, _ in headings(text)} >= set(REQUIRED["model_card"])
    assert "0.0% before, 43.0% after. Better, but not tested" in text
    assert "25.0% before, 21.0% after. Worse, but not tested" in text
    assert "No training log is on record." in text
    assert "Control" not in text and "Cohen's kappa" not in text and "<details>\n<summary>Controls" not in text
    assert "n.d.}" not in text
    data = ModelCard(text).data
    assert data.datasets is None
    assert [(r.dataset_config, r.dataset_split) for r in data.eval_results] == [(None, None)] * 4
    assert "tiny-letters" not in {r.dataset_type for r in data.eval_results}
    assert not re.search(r"\bp (=|<)", text)


@pytest.mark.slow
def test_dark_charts_are_what_would_be_drawn_in_the_dark_scheme(context: Context) -> None:
    kinds = {chart.draw.func: chart for chart in context.charts.values()}  # type: ignore[attr-defined]
    assert len(kinds) == 5, sorted(kind.__name__ for kind in kinds)
    for chart in kinds.values():
        with style.styled(style.DARK):
            drawn = style.save_svg(chart.draw(style.DARK, WIDE))
        both = (drawn, context.rendered(chart, "dark.svg"))
        colors = [re.findall(rb"#[0-9a-f]{6}(?=[;\"])", svg) for svg in both]
        assert colors[0] == colors[1], chart.name
        shapes = [re.sub(rb"#?m[0-9a-f]{10}|#[0-9a-f]{6}", b"", svg) for svg in both]
        assert shapes[0] == shapes[1], chart.name


def test_each_models_values_are_drawn_under_its_name(context: Context) -> None:
    """Metrics and groups: neither model is drawn in the place of the other."""

    def drawn(figure: Figure, axis: int) -> dict[str, list[float]]:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        return {
            label: [float(number) for number in handle.lines[0].get_data()[axis]]
            for handle, label in zip(handles, labels, strict=True)
            if isinstance(handle, ErrorbarContainer)
        }

    shown = [metric for metric in context.analysis.metrics if metric.config.bounded]
    assert drawn(metrics_chart(shown, style.LIGHT), 0) == {
        "base model": pytest.approx([100 * m.base.value for m in reversed(shown)]),
        "fine-tuned model": pytest.approx([100 * m.finetuned.value for m in reversed(shown)]),
    }
    for found in context.analysis.breakdowns:
        metric = context.analysis.metric(found.metric).config
        factor = 100 if metric.unit == "proportion" else 1
        assert drawn(breakdown_chart(found, metric, style.LIGHT), 1) == {
            "base model": pytest.approx([factor * group.base for group in found.groups]),
            "fine-tuned model": pytest.approx([factor * group.finetuned for group in found.groups]),
        }


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_recipe_has_a_row_with_room_for_its_name(context: Context, width: float) -> None:
    study = context.analysis.study
    assert study is not None
    name = "Questions about all of the tokens, at the learning rate of the others"
    arms = [replace(study.arms[0], label=name)] * 3 + [*study.arms]
    with style.styled(style.LIGHT):
        figure = runs_chart(arms, context.analysis.metrics[0], style.LIGHT, width)
        FigureCanvasAgg(figure).draw()
        axes = figure.axes[0]
        boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
        dots = next(line for line in axes.lines if line.get_label() == "a run").get_xydata()
    assert all(above.y0 > below.y1 for above, below in pairwise(boxes)), "in the order of the recipes, and apart"
    key = context.analysis.metrics[0].key
    at = [place for place, arm in zip(axes.get_yticks(), arms, strict=True) for _ in arm.metrics[key].runs]
    wanted = [100 * value for arm in arms for value in arm.metrics[key].values]
    assert [tuple(dot) for dot in dots] == [pytest.approx(pair) for pair in zip(wanted, at, strict=True)]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_legend_lies_inside_its_chart(width: float) -> None:
    courses = [(f"Spelling and letter skills, {steps},000 steps", steps, [(1, 2.0), (2, 1.0)]) for steps in range(9)]
    with style.styled(style.LIGHT):
        figure = course_chart(courses, style.LIGHT, width)
        FigureCanvasAgg(figure).draw()
        box = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1


def test_charts_draw_labels_as_they_are_written_and_name_letters_without_a_font() -> None:
    labels = ["中 ok", r"Cost: $5_{max} to $1^k", "$x_{1"]
    with style.styled(style.LIGHT):
        figure = Figure()
        axes = figure.subplots()
        axes.set_yticks(range(3), labels)
        axes.plot([0, 1], [0, 1], label="文")
        legend = axes.legend()
        style.save_svg(figure)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["‹U+4E2D› ok", *labels[1:]]
    assert [text.get_text() for text in legend.get_texts()] == ["‹U+6587›"]
    assert not any(label.get_parse_math() for label in axes.get_yticklabels())
