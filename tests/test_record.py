"""A record: its parts agree, and the numbers are computed from the answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from src.analysis.analyse import analyse
from src.documents.build import build
from src.documents.context import Context
from src.record.answers import SCHEMA as ANSWERS
from src.record.answers import Answered
from src.record.config import MetricConfig
from src.record.load import Record
from src.record.measures import per_question
from src.record.questions import SCHEMA as QUESTIONS

from .conftest import REPO, TINY, run_in
from .records import edit_text


def one_row(answer: str, reference: str, **more: object) -> Answered:
    own = {name: value for name, value in more.items() if name in ("word", "letter", "position")}
    question = {"id": "a", "task": "t", "reference": reference, **own}
    schema = pa.schema([*QUESTIONS, *((name, pa.array([value]).type) for name, value in own.items())])
    given = {
        "id": "a",
        "answer": answer,
        "correct": answer == reference,
        "score": -2.0,
        "own_words": more.get("own_words"),
    }
    return Answered(
        "t", None, pa.Table.from_pylist([question], schema=schema), pa.Table.from_pylist([given], schema=ANSWERS)
    )


def metric(measure: str) -> MetricConfig:
    return MetricConfig(label="m", definition="m.", direction="higher", unit="number", measure=measure)


@pytest.mark.parametrize(
    ("answer", "reference", "right", "characters", "distance"),
    [("straw", "straw", 1, 1, 0), ("strwa", "straw", 0, 3 / 5, 2 / 5), ("sitting", "kitten", 0, 4 / 7, 3 / 7), ("", "a", 0, 0, 1)],
)  # fmt: skip
def test_measures_are_what_they_say(
    answer: str, reference: str, right: float, characters: float, distance: float
) -> None:
    rows = one_row(answer, reference)
    wanted = {"exact_match": right, "character_accuracy": characters, "normalized_levenshtein": distance, "score": -2.0}
    for measure, value in wanted.items():
        assert per_question(rows, metric(measure))[0] == pytest.approx(value), measure


def test_what_a_program_reads_off_the_models_own_spelling() -> None:
    for spelled, letter_right, count_right in (("strawberry", 1, 1), ("starwbery", 0, 0), ("", 0, 0)):
        position = one_row("x", "r", word="strawberry", position=3, own_words=spelled)
        assert per_question(position, metric("position_read_off"))[0] == letter_right
        count = one_row("x", "3", word="strawberry", letter="r", own_words=spelled)
        assert per_question(count, metric("count_read_off"))[0] == count_right


def test_analysis_of_the_record(record: Record, context: Context) -> None:
    analysis = context.analysis
    assert {m.key for m in analysis.metrics} == set(record.results.base_model.metrics)
    for m in analysis.metrics:
        both = [(m.finetuned.interval, m.finetuned.value), (m.run.change_interval, m.run.change)]
        assert all(interval.low <= value <= interval.high for interval, value in both if interval is not None)
        assert m.run.p_value is not None and 0 < m.run.p_value <= 1
    for b in analysis.breakdowns:
        total = sum(g.questions for g in b.groups) + b.left_out
        metric = analysis.metric(b.metric)
        assert total == metric.questions
        if not b.left_out:
            mean = sum(g.finetuned * g.questions for g in b.groups) / total
            assert mean == pytest.approx(metric.finetuned.value)
    assert repr(analyse(record)) == repr(analysis)


def test_the_most_common_answer_is_counted_on_the_same_questions(record: Record, context: Context) -> None:
    rows = record.answered("base", "letter_position")
    assert rows is not None
    _, counts = np.unique(rows.texts("reference").astype(str), return_counts=True)
    baselines = {b.label: b.value for b in context.analysis.metric("letter_position_accuracy").baselines}
    assert baselines["the most common answer"] == pytest.approx(counts.max() / counts.sum())
    assert baselines["chance"] == pytest.approx(1 / 26)


@pytest.mark.slow
def test_neither_site_nor_publisher_nor_a_new_project_needs_torch(tmp_path: Path) -> None:
    """Nor is pandoc or Typst needed before the report is made as PDF."""
    program = (
        "import sys\nfrom pathlib import Path\nimport gen.site, src.hub.publish, src.publish\n"
        "from gen.reference import reference_pages\nfrom src.documents.build import build\n"
        "from src.starter.create import create\n"
        f"reference_pages()\ncreate(Path({str(tmp_path / 'mine')!r}), 'mine')\n"
        f"build(Path({str(TINY)!r}), None).model_card\n"
        "print({'torch', 'transformers', 'peft', 'datasets', 'pypandoc', 'typst'} & sys.modules.keys())"
    )
    done = run_in(REPO, "-c", program)
    assert done.stdout == "set()\n", done.stdout + done.stderr


def test_a_command_that_lacks_a_package_names_it() -> None:
    program = "import sys; sys.modules['torch'] = None; from src import cli, train; cli.run(train.train)"
    done = run_in(TINY, "-c", program)
    assert (done.returncode, done.stderr.partition(".")[0]) == (1, "error: torch is not installed")


def test_an_arm_of_another_question_has_a_table_of_its_own(project: Path) -> None:
    asked = "role: control\n    purpose: Each spelling"
    edit_text(project / "configs/studies/toy.yaml", (asked, asked.replace("control", "further")))
    made = build(project, None)
    study = made.context.analysis.study
    assert study is not None
    assert [arm.name for arm in study.arms] == ["spelling", "no-hints"]
    assert [arm.name for arm in study.further] == ["form-only"]
    chart = made.context.charts["runs-letter-count-accuracy"]
    assert {row[0] for row in chart.rows} == {"Base model", "Spelling, then answering", "Spelling only"}
    compared, further = made.model_card.text.split("Further recipes, and other numbers of steps")
    assert "| Wrong letters, then answering (" in further
    assert "| Wrong letters, then answering (" not in compared
