"""A project's own columns: kept with their types, named by breakdowns, filters of the examples page, and refused where they cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from src.analysis.analyse import analyse
from src.documents.explorer import explorer_json
from src.figures.catalog import catalog
from src.record.answers import read_answers, write_answers
from src.record.errors import InputError
from src.record.load import Record, load_record
from src.record.questions import read_questions, write_questions
from src.record.schemas import Task

from .records import edit_text, example, rewrite

METRICS = """
metrics:
  exact:
    label: Exact
    definition: Share that is right.
    direction: higher
    unit: proportion
    task: translation
    measure: exact_match
    breakdowns: [subject, {column: parts, of: length, label: Parts of the text}, {column: shown, label: 'Was it shown?'}]
"""


TASK = Task(questions=40, method="m", template="{prompt}", fields={"prompt": {"column": "prompt"}})


def rows() -> list[dict[str, Any]]:
    """Questions, with columns of the project's own."""
    return [
        {
            "id": f"q{i}", "task": "translation", "prompt": f"Solved. Yes\nIs text number {i} right?", "reference": "Yes",
            "subject": ("law", "physics")[i % 2], "parts": ["a"] * (i % 3), "shown": i % 4 == 0, "year": 1900 + i % 7,
            "weight": float("nan") if i == 3 else i / 7, "text": f"text number {i}", "nothing": None,
        }
        for i in range(40)
    ]  # fmt: skip


def answers(model: str) -> list[dict[str, Any]]:
    """The base model is right every other time, the fine-tuned model always."""
    right = [model == "finetuned" or i % 2 == 0 for i in range(40)]
    return [{"id": f"q{i}", "answer": "Yes" if ok else "No", "correct": ok} for i, ok in enumerate(right)]


def a_project(root: Path) -> Record:
    """Make the guide's example one of these questions and metrics."""
    example(root)
    (root / "configs/metrics.yaml").write_text(METRICS)
    (root / "configs/criteria.yaml").unlink()
    rewrite(root, *map(pa.Table.from_pylist, (rows(), answers("base"), answers("finetuned"))), name="translation")
    return load_record(root)


def test_breakdowns_and_charts_are_labeled_as_declared(tmp_path: Path) -> None:
    analysis = analyse(a_project(tmp_path))
    by = {b.by.key: b for b in analysis.breakdowns}
    assert {key: b.by.name for key, b in by.items()} == {
        "subject": "Subject", "parts_length": "Parts of the text", "shown": "Was it shown?",
    }  # fmt: skip
    assert [(g.value, g.questions, g.base) for g in by["subject"].groups] == [("law", 20, 1.0), ("physics", 20, 0.0)]
    assert [(g.value, g.questions) for g in by["parts_length"].groups] == [(0, 14), (1, 13), (2, 13)]
    charts = {chart.name: chart for chart in catalog(analysis, None)}
    chart = charts["exact-by-parts-length"]
    assert chart.title == "Exact by parts of the text"
    assert chart.header[0] == "Parts of the text"
    edit_text(tmp_path / "configs/metrics.yaml", ("[subject,", "[subjekt,"))
    with pytest.raises(InputError, match=r"no column subjekt; did you mean subject\?"):
        analyse(load_record(tmp_path))


def unpacked(column: dict[str, Any], count: int) -> list[Any]:
    assert len(column["codes"]) == count
    return [column["values"][c] if c < len(column["values"]) else None for c in column["codes"]]


def test_the_examples_page_gets_every_answer_back(tmp_path: Path) -> None:
    record = a_project(tmp_path)
    data = json.loads(explorer_json(record.loaded, record.metrics))
    own = {column["name"]: column for column in data["own"]}
    assert {name: column["kind"] for name, column in own.items()} == {
        "subject": "filter", "parts": "list", "parts_length": "filter", "shown": "filter", "year": "filter",
        "weight": "filter", "text": "filter",
    }  # fmt: skip
    assert own["shown"]["label"] == "Was it shown?"
    assert unpacked(own["year"], 40) == [r["year"] for r in rows()]
    assert unpacked(own["text"], 40) == [r["text"] for r in rows()]
    assert unpacked(own["parts"], 40) == ["\n".join(r["parts"]) for r in rows()]
    assert unpacked(own["weight"], 40)[3] is None
    assert unpacked(data["columns"]["reference"], 40) == ["Yes"] * 40
    assert unpacked(data["columns"]["base"], 40) == [a["answer"] for a in answers("base")]


def test_every_question_is_there_as_it_was_asked(record: Record) -> None:
    data = json.loads(explorer_json(record.loaded, record.metrics))
    texts = record.loaded.question_texts()
    assert unpacked(data["columns"]["question"], len(texts)) == texts


def test_several_references_count_as_right(tmp_path: Path) -> None:
    asked = [{"id": "q0", "references": ["x", "y"]}, {"id": "q1", "references": None}]
    shared = {"task": "translation", "reference": "x"}
    write_questions(tmp_path / "questions.parquet", pa.Table.from_pylist([question | shared for question in asked]))
    questions = read_questions(tmp_path / "questions.parquet")

    def judged(correct: bool) -> None:
        given = [{"id": "q0", "answer": "y", "correct": True}, {"id": "q1", "answer": "y", "correct": correct}]
        write_answers(tmp_path / "answers.parquet", pa.Table.from_pylist(given))
        read_answers(tmp_path / "answers.parquet", questions, {"translation": TASK})

    judged(False)
    with pytest.raises(InputError, match="correct, id q1"):
        judged(True)
