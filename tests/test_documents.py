"""The documents: complete, in step with the record, and safe against hostile text."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import markdown
import pyarrow as pa
import pytest
from huggingface_hub import DatasetCard, ModelCard
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from src.analysis.analyse import MetricResult
from src.analysis.evidence import Baseline, Comparison, Figures
from src.analysis.statistics import Interval
from src.documents import formatting
from src.documents.build import Documents, build
from src.documents.completeness import REQUIRED, completeness, headings, without_empty
from src.documents.context import Context, RepoNames
from src.documents.pages import site_pages
from src.documents.renderer import Renderer
from src.figures import style
from src.figures.charts import NARROW, WIDE, breakdown_chart, course_chart, metrics_chart, runs_chart
from src.record.config import MetricConfig
from src.record.load import load_record

from .conftest import TINY, invoke
from .make_golden import GOLDEN
from .records import rewrite, tables


@pytest.mark.slow
def test_render_check_sees_a_stale_readme(project: Path) -> None:
    (project / "README.md").write_text("old")
    done = invoke(project, "render", "--check")
    assert done.returncode == 1
    assert "README.md" in done.stderr
    assert (project / "README.md").read_text() == "old"
    assert invoke(project, "render").returncode == 0
    assert (project / "README.md").read_text() == (GOLDEN / "README.md").read_text()


@pytest.mark.parametrize("name", REQUIRED)
def test_a_document_has_every_section_and_none_empty(documents: Documents, name: str) -> None:
    document = documents.printed_report[0] if name == "report" else getattr(documents, name)
    assert document.completeness.sections == len(REQUIRED[name])
    assert not document.completeness.missing
    assert not document.completeness.empty
    body = re.sub(r"\A---.*?\n---\n", "", document.text, flags=re.DOTALL)
    assert "More Information Needed" not in body
    assert not re.search(r"\bNone\b(?!\.|:)", re.sub(r"```.*?```", "", body, flags=re.DOTALL))


def test_a_section_with_nothing_or_only_a_gap_counts_as_empty() -> None:
    text = "# Title\n\n## A\n\nWords.\n\n## B\n\nNot on record.\n\n## C\n\n### D\n\nWords.\n\n```\n## E\n```\n\n## F\n"
    found = completeness(text, ("A", "B", "C", "D", "E", "F"), ["Not on record."])
    assert found.empty == ("B", "F")
    assert found.missing == ("E",)  # inside a fence it is not a heading


def test_the_card_metadata_is_what_the_hub_reads(context: Context) -> None:
    named = Context(context.record, RepoNames.of(context.record, "someone"))
    card = ModelCard(Documents(named).model_card.text)
    data = card.data
    assert data.library_name == "peft"
    assert data.pipeline_tag == "text-generation"
    assert data.base_model == "someone/tiny"
    assert data.datasets == ["someone/tiny-letters"]
    assert data.license == "mit"
    assert data.language == "en"
    assert "lora" in data.tags
    results = {r.metric_name: r.metric_value for r in data.eval_results}
    assert results == {m.config.label: m.finetuned.value for m in context.analysis.metrics}


def test_the_card_names_no_data_that_are_not_published(context: Context) -> None:
    """Questions under another condition are those of the dataset; a record without a dataset names none."""
    published = {split.config for split in context.record.splits}
    stated = {r.metric_name: r.dataset_config for r in ModelCard(Documents(context).model_card.text).data.eval_results}
    assert set(stated.values()) <= published
    assert stated["Letter count, balanced"] == "letter_count"
    record = replace(context.record)
    record.__dict__["splits"] = []
    alone = ModelCard(Documents(Context(record, context.names, context.cache)).model_card.text).data
    assert alone.datasets is None
    assert {(r.dataset_config, r.dataset_split) for r in alone.eval_results} == {(None, None)}
    assert context.names.dataset not in {r.dataset_type for r in alone.eval_results}


def test_the_dataset_card_lists_every_file(documents: Documents, context: Context) -> None:
    assert documents.dataset_card is not None
    card = DatasetCard(documents.dataset_card.text)
    paths = {f["path"] for config in card.data.to_dict()["configs"] for f in config["data_files"]}
    ours = ("answers/", "questions/")
    assert {path for path in paths if not path.startswith(ours)} == {
        p.relative_to(TINY / "data").as_posix() for p in (TINY / "data").glob("*/*.parquet")
    }
    assert context.record.study is not None
    models = {"base", *(name.replace("-", "_") for name in context.record.study.runs)}
    assert {path for path in paths if path.startswith(ours)} == {
        "questions/test.parquet",
        *(f"answers/{model}.parquet" for model in models),
    }


def test_numbers_are_the_same_everywhere(documents: Documents) -> None:
    context = documents.context
    pages, _, _ = site_pages(documents, pdf=True)
    texts = [
        pages["results/index.md"].replace("\N{NO-BREAK SPACE}", " "),
        pages["model-card.md"].replace("\N{NO-BREAK SPACE}", " "),
        documents.model_card.text,
        documents.readme.text,
    ]
    shown = (context.analysis.primary + context.analysis.others)[:4]
    for m in shown:
        for text in texts:
            assert formatting.value(m.base.value, m.config, m.questions) in text
            assert formatting.value(m.finetuned.value, m.config, m.questions) in text


def test_the_finding_is_the_same_in_six_places(documents: Documents) -> None:
    """Word for word, apart from the marks that the site puts behind its claims."""
    pages, _, _ = site_pages(documents, pdf=True)
    said = " ".join(documents.finding.split())
    assert len(said) > 40
    hub = [documents.model_card.text, documents.readme.text, documents.printed_report[0].text, documents.final_report]
    for text in hub:
        assert said in " ".join(text.replace('\\"', '"').replace("\\n", " ").split())
    for page in ("index.md", "results/index.md"):
        plain = re.sub(r'<span class="claim-why".*?</span>|<button.*?</button>|<[^>]+>', " ", pages[page])
        assert said in " ".join(plain.replace("\N{NO-BREAK SPACE}", " ").split()), page


def test_a_hostile_answer_is_text_on_every_page_and_card(project: Path) -> None:
    questions, *both = tables(project)
    changed = []
    for table in both:
        rows = table.to_pylist()
        for row in rows:
            if not row["correct"]:
                row["answer"] = "<script>pwned()</script>|`[x](javascript:pwned())"
        changed.append(pa.Table.from_pylist(rows, schema=table.schema))
    rewrite(project, questions, *changed)
    documents = build(project, project / ".cache")
    pages, _, _ = site_pages(documents, pdf=True)
    assert "&#60;script&#62;pwned" in pages["examples.md"]
    texts = {**pages, "card": documents.model_card.text, "README": documents.readme.text}
    for name, text in texts.items():
        shown = re.sub(r"\A---.*?\n---\n", "", text, flags=re.DOTALL)
        assert not re.search(r"<script|\]\(javascript", shown), name


HOSTILE = [
    "<script>alert(1)</script>",
    "a | b | c",
    "`code` **bold** [x](javascript:alert(1)) ![i](http://x/y.png)",
    "\u202egnp.exe \u200b\x00\x1b[31m",
    "x" * 10_000,
    "{{ 7*7 }} {% raw %}",
    "line\nbreak\n# heading\n- item",
    "https://example.org www.example.org @everyone #1",
    "&lt;b&gt; &amp;#60;",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_shows_as_text(hostile: str) -> None:
    safe = formatting.text(hostile)
    assert len(safe) < 6 * formatting.TEXT_LIMIT + 10
    html = markdown.markdown(
        f"| a |\n| --- |\n| {safe} |\n", extensions=["tables", "attr_list", "md_in_html", "pymdownx.superfences"]
    )
    tags = set(re.findall(r"<\s*/?\s*([a-z0-9]+)", html))
    assert tags <= {"table", "thead", "tbody", "tr", "th", "td"}, html
    assert html.count("<td>") == 1
    assert not re.search(r"[\x00-\x08\x1b\u200b\u202a-\u202e\u2066-\u2069]", html)


@given(st.text(max_size=300))
def test_any_text_stays_in_its_cell(anything: str) -> None:
    html = markdown.markdown(f"| a |\n| --- |\n| x{formatting.text(anything)}x |\n", extensions=["tables"])
    assert set(re.findall(r"<\s*/?\s*([a-z0-9]+)", html)) <= {"table", "thead", "tbody", "tr", "th", "td"}
    assert html.count("<td>") == 1


PROPORTION = MetricConfig(label="Accuracy", definition="d", direction="higher", unit="proportion", primary=True)


def result(verdict: str, base: float = 0.1, finetuned: float = 0.5, **more: object) -> MetricResult:
    change = finetuned - base
    figures = Figures(finetuned, control=0.31, answered=0.2)
    run = Comparison(figures, change, change / base, change > 0, test="exact McNemar", p_value=0.6, verdict=verdict)  # type: ignore[arg-type]
    return MetricResult("m", PROPORTION, Figures(base), replace(run, **more), 1000)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (result("improved", p_value=1e-9), "A significant improvement (exact McNemar, p < 0.001)."),
        (result("worse", 0.5, 0.1, p_value=0.01), "Significantly worse (exact McNemar, p = 0.010)."),
        (result("no difference"), "No significant difference (exact McNemar, p = 0.600)."),
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


@pytest.mark.parametrize(
    ("number", "questions", "shown"),
    [(0.43219, 2400, "43.2%"), (0.43219, 120, "43%"), (0.43219, None, "43.2%"), (0.0, 50, "0%")],
)
def test_rounding_follows_the_sample(number: float, questions: int | None, shown: str) -> None:
    assert formatting.value(number, PROPORTION, questions) == shown


def test_formats() -> None:
    assert formatting.difference(-0.25, PROPORTION) == "−25.0 points"
    assert formatting.difference(0.0, PROPORTION) == "0.0 points"
    assert [formatting.percent(share) for share in (0.0, 0.041, 0.0999, 0.53, None)] == [
        "0%", "4.1%", "10%", "53%", "not measured",
    ]  # fmt: skip
    assert [formatting.relative(share) for share in (1.05, -0.426, 8.9, 67.65, None)] == [
        "+105%", "−43%", "+890%", "× 69", "not defined",
    ]  # fmt: skip
    assert formatting.p_value(0.00001) == "< 0.001"
    assert formatting.p_value(0.04049) == "0.040"
    assert formatting.p_value(None) == "not tested"
    assert formatting.midsentence("Letter count accuracy") == "letter count accuracy"
    assert formatting.midsentence("ROUGE-L") == "ROUGE-L"
    assert formatting.interval(Interval(0.1, 0.2), PROPORTION, 500) == "10.0 to 20.0%"
    assert formatting.interval(None, PROPORTION) == "not measured"
    assert formatting.duration(3725) == "1 h 02 min"


def test_sections_that_say_nothing_are_left_out() -> None:
    text = "# A\n\nIt is.\n\n## B\n\n### C\n\nUnknown.\n\n## D\n\n## E\n\nUnknown.\n\n```\n# no heading\n```"
    assert without_empty(text, ["Unknown."], ["D"], "Nothing.") == (
        "# A\n\nIt is.\n\n## D\n\nNothing.\n\n## E\n\nUnknown.\n\n```\n# no heading\n```"
    )


def test_the_minimal_record_gives_a_card(minimal: Path) -> None:
    """Two dictionaries of metrics and a short config are enough; what they lack is left out."""
    record = load_record(minimal)
    text = Documents(Context(record, RepoNames.of(record))).model_card.text
    assert {title for _, title, _ in headings(text)} >= set(REQUIRED["model_card"])
    assert "0.0% before, 43.0% after. Better, but not tested" in text
    assert "25.0% before, 21.0% after. Worse, but not tested" in text
    assert "No training log is on record." in text
    assert "Control" not in text and "Cohen's kappa" not in text and "<details>\n<summary>Controls" not in text
    assert "n.d.}" not in text
    assert len(ModelCard(text).data.eval_results) == 4
    assert not re.search(r"\bp (=|<)", text)


def test_an_undefined_name_in_a_fragment_is_an_error(context: Context) -> None:
    from jinja2 import UndefinedError

    renderer = Renderer(context, "hub")
    with pytest.raises(UndefinedError):
        renderer.env.from_string("{{ project.nothing_of_the_kind }}").render(project=context.record.project)


@pytest.mark.slow
def test_dark_charts_are_what_would_be_drawn_in_the_dark_scheme(context: Context) -> None:
    kinds = {chart.draw.func: chart for chart in context.charts.values()}  # type: ignore[attr-defined]
    assert len(kinds) == 6, sorted(kind.__name__ for kind in kinds)
    for chart in kinds.values():
        with style.styled(style.DARK):
            drawn = style.save_svg(chart.draw(style.DARK, WIDE))
        colors = [re.findall(rb"#[0-9a-f]{6}(?=[;\"])", svg) for svg in (drawn, context.rendered(chart, "dark.svg"))]
        assert colors[0] == colors[1], chart.name
        shapes = [
            re.sub(rb"#?m[0-9a-f]{10}|#[0-9a-f]{6}", b"", svg) for svg in (drawn, context.rendered(chart, "dark.svg"))
        ]
        assert shapes[0] == shapes[1], chart.name


def test_the_legend_has_bars_where_the_chart_has_intervals(context: Context) -> None:
    shown = [metric for metric in context.analysis.metrics if metric.config.bounded]
    bare = [
        replace(m, base=replace(m.base, interval=None), run=replace(m.run, figures=replace(m.finetuned, interval=None)))
        for m in shown
    ]
    for metrics, bars in ((shown, 2), (bare, 0)):
        handles, _ = metrics_chart(metrics, style.LIGHT).axes[0].get_legend_handles_labels()
        assert sum(isinstance(handle, ErrorbarContainer) and handle.has_xerr for handle in handles) == bars


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


METHODS = (
    "Data",
    "Models",
    "How the questions are asked",
    "Metrics",
    "Statistics and verdicts",
    "Threats to validity",
    "References",
)


def test_the_methods_page_has_every_section_and_none_empty(documents: Documents) -> None:
    pages, _, _ = site_pages(documents, pdf=True)
    found = completeness(pages["methodology.md"], METHODS, ())
    assert not found.missing
    assert not found.empty
    for limitation in documents.context.record.project.limitations:
        assert limitation in pages["methodology.md"].replace("\N{NO-BREAK SPACE}", " ")


def test_numbers_stay_with_their_units_on_the_site() -> None:
    text = "33.3% of 2 points, 3 seeds, `5%`\n```\n6 MB\n```\n7 MB, −0.8 to +0.4, from 2% to 3%."
    assert (
        formatting.unbroken(text)
        == "33.3% of 2\xa0points, 3 seeds, `5%`\n```\n6 MB\n```\n7\xa0MB, −0.8\xa0to\xa0+0.4, from 2% to 3%."
    )


def test_charts_draw_labels_as_they_are_written_and_name_letters_without_a_font() -> None:
    from matplotlib.figure import Figure

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
