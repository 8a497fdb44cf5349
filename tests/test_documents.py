"""The documents: complete, in step with the record, and safe against hostile text."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import markdown
import pytest
from huggingface_hub import DatasetCard, ModelCard
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.container import ErrorbarContainer

from src.analysis.analyse import MetricResult
from src.analysis.statistics import Interval
from src.documents import formatting
from src.documents.build import Documents
from src.documents.cards import MODEL_CARD, model_card
from src.documents.compose import Section, compose
from src.documents.context import Context, RepoNames
from src.documents.pages import site_pages
from src.documents.renderer import Renderer
from src.figures import style
from src.figures.charts import metrics_chart
from src.record.config import MetricConfig
from src.record.errors import InputError
from src.record.load import load_record

from .conftest import TINY, invoke
from .make_golden import GOLDEN

# The sections of the Hub's annotated model card template.
TEMPLATE_SECTIONS = """
Model Details, Model Description, Model Sources, Uses, Direct Use, Downstream Use, Out-of-Scope Use, Bias, Risks, and Limitations,
Recommendations, How to Get Started with the Model, Training Details, Training Data, Training Procedure, Preprocessing,
Training Hyperparameters, Speeds, Sizes, Times, Evaluation, Testing Data, Factors & Metrics, Testing Data, Factors, Metrics, Results,
Summary, Model Examination, Environmental Impact, Technical Specifications, Model Architecture and Objective, Compute Infrastructure,
Hardware, Software, Citation, Glossary, More Information, Model Card Authors, Model Card Contact
"""


def headings(text: str) -> list[str]:
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)


@pytest.mark.slow
def test_render_check_sees_a_stale_readme(project: Path) -> None:
    (project / "README.md").write_text("old")
    done = invoke(project, "render", "--check")
    assert done.returncode == 1
    assert "README.md" in done.stderr
    assert (project / "README.md").read_text() == "old"
    assert invoke(project, "render").returncode == 0
    assert (project / "README.md").read_text() == (GOLDEN / "README.md").read_text()


def test_the_model_card_has_every_section_of_the_template_and_none_empty(documents: Documents) -> None:
    text = documents.model_card.text
    found = headings(text)
    wanted = " ".join(TEMPLATE_SECTIONS.split())
    for title in found:
        wanted = wanted.replace(title, "", 1)
    assert not wanted.replace(",", "").strip(), wanted
    body = re.sub(r"\A---.*?\n---\n", "", text, flags=re.DOTALL)
    lines = [line for line in re.sub(r"```.*?```", "text", body, flags=re.DOTALL).splitlines() if line.strip()]
    for line, following in zip(lines, [*lines[1:], "# end"], strict=True):
        if line.startswith("#") and following.startswith(
            "#"
        ):  # nothing between them: only a parent before its first part
            assert len(following.split(" ")[0]) > len(line.split(" ")[0]), f"{line} is empty"
    with pytest.raises(InputError, match="empty"):
        compose(Renderer(documents.context, "hub"), (Section("Nothing"),))
    assert "More Information Needed" not in text
    assert "None" not in re.sub(r"```.*?```", "", body, flags=re.DOTALL).replace("None.", "")


def test_the_card_metadata_is_what_the_hub_reads(context: Context) -> None:
    named = Context(context.record, RepoNames.of(context.record, "someone"))
    card = ModelCard(model_card(named).text)
    data = card.data
    assert data.library_name == "peft"
    assert data.pipeline_tag == "text-generation"
    assert data.base_model == "someone/tiny"
    assert data.datasets == ["someone/tiny-letters"]
    assert data.license == "mit"
    assert data.language == "en"
    assert "lora" in data.tags
    results = {r.metric_name: r.metric_value for r in data.eval_results}
    assert results == {m.config.label: m.finetuned for m in context.analysis.metrics}


def test_the_card_names_no_data_that_are_not_published(context: Context) -> None:
    """Questions under another condition are those of the dataset; a record without a dataset names none."""
    published = {split.config for split in context.record.splits}
    stated = {r.metric_name: r.dataset_config for r in ModelCard(model_card(context).text).data.eval_results}
    assert set(stated.values()) <= published
    assert stated["Letter count, letters shown"] == "letter_count"
    record = replace(context.record)
    record.__dict__["splits"] = []
    alone = ModelCard(model_card(Context(record, context.names, context.cache)).text).data
    assert alone.datasets is None
    assert {(r.dataset_config, r.dataset_split) for r in alone.eval_results} == {(None, None)}
    assert context.names.dataset not in {r.dataset_type for r in alone.eval_results}


def test_the_dataset_card_lists_every_file(documents: Documents, context: Context) -> None:
    assert documents.dataset_card is not None
    card = DatasetCard(documents.dataset_card.text)
    paths = {f["path"] for config in card.data.to_dict()["configs"] for f in config["data_files"]}
    assert {path for path in paths if not path.startswith("predictions/")} == {
        p.relative_to(TINY / "data").as_posix() for p in (TINY / "data").glob("*/*.parquet")
    }
    assert context.record.study is not None
    runs = {name.replace("-", "_") for name in context.record.study.results}
    assert {path for path in paths if path.startswith("predictions/")} == {f"predictions/{run}.parquet" for run in runs}


def test_numbers_are_the_same_everywhere(documents: Documents) -> None:
    context = documents.context
    pages = site_pages(documents, pdf=True)
    texts = [
        pages["results/index.md"].replace("\N{NO-BREAK SPACE}", " "),
        pages["model-card.md"].replace("\N{NO-BREAK SPACE}", " "),
        documents.model_card.text,
        documents.readme.text,
    ]
    for m in context.analysis.metrics:
        short = m not in (*context.analysis.primary, *context.analysis.others)
        for text in texts[: -1 if short else None]:
            assert formatting.value(m.base, m.config, m.questions) in text
            assert formatting.value(m.finetuned, m.config, m.questions) in text


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


def result(base: float, finetuned: float, **more: object) -> MetricResult:
    change = finetuned - base
    plain = MetricResult("m", PROPORTION, base, finetuned, change, change / base if base else None, change > 0)
    return replace(plain, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (
            result(0.1, 0.5, verdict="improved", p_value=1e-9, p_adjusted=2e-9, test="exact McNemar", questions=1000),
            "significant improvement",
        ),
        (
            result(0.5, 0.1, verdict="worse", p_value=1e-9, p_adjusted=2e-9, test="exact McNemar", questions=1000),
            "significantly **worse**",
        ),
        (
            result(
                0.5, 0.51, verdict="no difference", p_value=0.6, p_adjusted=0.6, test="exact McNemar", questions=1000
            ),
            "no significant difference",
        ),
        (result(0.0, 0.4), "nominally better; not tested"),
        (result(0.4, 0.4), "no change; not tested"),
    ],
)
def test_sentences_follow_from_the_numbers(context: Context, outcome: MetricResult, words: str) -> None:
    changed = replace(context.analysis, metrics=(outcome,))
    renderer = Renderer(context, "hub")
    text = renderer.env.get_template("shared/headline.md.j2").render(analysis=changed)
    assert words in text


@pytest.mark.parametrize(
    ("number", "questions", "shown"),
    [(0.43219, 2400, "43.2 %"), (0.43219, 120, "43 %"), (0.43219, None, "43.2 %"), (0.0, 50, "0 %")],
)
def test_rounding_follows_the_sample(number: float, questions: int | None, shown: str) -> None:
    assert formatting.value(number, PROPORTION, questions) == shown


def test_formats() -> None:
    assert formatting.change(result(0.5, 0.25)) == "−25.0 points"
    assert formatting.change(result(0.5, 0.5)) == "0.0 points"
    assert formatting.p_value(0.00001) == "< 0.001"
    assert formatting.p_value(0.04049) == "0.040"
    assert formatting.p_value(None) == "not tested"
    assert formatting.midsentence("Letter count accuracy") == "letter count accuracy"
    assert formatting.midsentence("ROUGE-L") == "ROUGE-L"
    assert formatting.interval(Interval(0.1, 0.2), PROPORTION, 500) == "10.0 to 20.0 %"
    assert formatting.interval(None, PROPORTION) == "not measured"
    assert formatting.duration(3725) == "1 h 02 min"


def test_the_minimal_record_gives_a_card(minimal: Path) -> None:
    record = load_record(minimal)
    text = model_card(Context(record, RepoNames.of(record))).text
    assert set(headings(text)) >= {s.title for s in MODEL_CARD}
    assert "0.0 % before, 43.0 % after" in text
    assert "nominally worse" in text
    assert "not measured" in text.lower()
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
    assert len(kinds) == 6
    for chart in kinds.values():
        with style.styled(style.DARK):
            drawn = style.save_svg(chart.draw(style.DARK))
        colours = [re.findall(rb"#[0-9a-f]{6}(?=[;\"])", svg) for svg in (drawn, context.rendered(chart, "dark.svg"))]
        assert colours[0] == colours[1], chart.name
        shapes = [
            re.sub(rb"#?m[0-9a-f]{10}|#[0-9a-f]{6}", b"", svg) for svg in (drawn, context.rendered(chart, "dark.svg"))
        ]
        assert shapes[0] == shapes[1], chart.name


def test_where_a_gain_lies_is_said_with_what_became_of_the_rest(context: Context) -> None:
    analysis = context.analysis
    (found,) = (b for b in analysis.breakdowns if (b.metric, b.by.key) == ("letter_position_accuracy", "position"))
    first, *rest = found.groups
    places = replace(found, groups=(replace(first, base=0.0, finetuned=0.9), *rest))
    improved = replace(analysis.metric(found.metric), verdict="improved")
    changed = replace(
        analysis,
        metrics=tuple(improved if m.key == found.metric else m for m in analysis.metrics),
        breakdowns=tuple(places if b is found else b for b in analysis.breakdowns),
    )
    questions = sum(g.questions for g in rest)
    base, finetuned = (sum(getattr(g, m) * g.questions for g in rest) / questions for m in ("base", "finetuned"))
    shown = [formatting.value(share, improved.config, questions) for share in (base, finetuned)]
    said = f"everywhere else together, from {shown[0]} to {shown[1]}."
    moved = Context(context.record, context.names, context.cache)
    moved.__dict__["analysis"] = changed
    for fragment in ("shared/headline", "site/finding", "report/limitations"):
        assert said in Renderer(moved, "hub").fragment(fragment), fragment
    same = replace(places, groups=tuple(replace(g, base=0.1, finetuned=0.2) for g in places.groups[:2]))
    same = replace(
        same, groups=(replace(same.groups[0], questions=9000), same.groups[1])
    )  # most questions, and so most of the gain
    said = Renderer(context, "hub").fragment("shared/concentrated", b=same, m=improved)
    assert not said
    lower = replace(context.analysis.metric("letter_position_accuracy"), verdict="no difference")
    changed = replace(context.analysis, metrics=(lower,), study=None)
    assert "nearly all" not in Renderer(context, "hub").env.get_template("shared/headline.md.j2").render(
        analysis=changed
    )


def test_sentences_fit_what_was_found(context: Context, documents: Documents) -> None:
    """A change that nothing was resampled for has no interval, and a count of none is left out."""
    renderer = Renderer(context, "hub")
    m = context.analysis.metric("letter_count_accuracy")
    future = renderer.env.get_template("report/future.md.j2")
    for bounds in (None, Interval(0.0, 0.0)):
        one = replace(context.analysis, metrics=(replace(m, verdict="no difference", change_interval=bounds),))
        said = future.render(analysis=one, record=context.record, project=context.project)
        assert "Ask more questions for letter count accuracy." in said
    untested = replace(context.analysis, metrics=(replace(m, verdict="not tested"),))
    said = future.render(analysis=untested, record=context.record, project=context.project)
    assert "Keep the predictions" not in said  # they are on record
    counted = renderer.env.get_template("report/criteria_count.md.j2")
    decided = [replace(c, outcome=o) for c, o in zip(documents.criteria, ("met", "not met"), strict=False)]
    assert counted.render(criteria=decided).strip() == "Of two success criteria, one is met and one is not met."
    alone = Context(context.record, RepoNames.of(context.record), context.cache)
    assert "None" not in Renderer(alone, "hub").fragment("try_it/space_card")


def test_a_control_that_does_better_than_the_recipe_is_named(context: Context) -> None:
    study = context.analysis.study
    assert study is not None
    control = study.contrast("letter_position_accuracy", "form-only", study.main)
    main = study.contrast("letter_position_accuracy", study.main)
    assert control is not None
    assert main is not None
    template = Renderer(context, "hub").env.get_template("site/finding.md.j2")

    def finding(claim: str) -> str:
        claims = {id(control): claim, id(main): "higher"}
        changed = tuple(replace(c, claim=claims.get(id(c), c.claim)) for c in study.contrasts)
        return template.render(analysis=replace(context.analysis, study=replace(study, contrasts=changed)))

    assert "A control does better than the recipe itself (“Form only”" in finding("higher")
    assert "does better" not in finding("no difference")


def test_only_a_share_of_right_answers_is_that_of_a_constant_one(context: Context) -> None:
    for metric in context.analysis.metrics:
        assert metric.base_constant is None or metric.config.measure == "exact_match", metric.key
    assert context.analysis.metric("letter_count_accuracy").base_constant is not None


def test_the_legend_has_bars_where_the_chart_has_intervals(context: Context) -> None:
    shown = [metric for metric in context.analysis.metrics if metric.config.bounded]
    bare = [replace(metric, base_interval=None, finetuned_interval=None) for metric in shown]
    for metrics, bars in ((shown, 2), (bare, 0)):
        handles, _ = metrics_chart(metrics, style.LIGHT).axes[0].get_legend_handles_labels()
        assert sum(isinstance(handle, ErrorbarContainer) and handle.has_xerr for handle in handles) == bars


def test_numbers_stay_with_their_units_on_the_site() -> None:
    text = "33.3 % of 2 points, 3 seeds, `5 %`\n```\n6 MB\n```\n7 MB, −0.8 to +0.4, from 2 % to 3 %."
    assert (
        formatting.unbroken(text)
        == "33.3\xa0% of 2\xa0points, 3 seeds, `5 %`\n```\n6 MB\n```\n7\xa0MB, −0.8\xa0to\xa0+0.4, from 2\xa0% to 3\xa0%."
    )
