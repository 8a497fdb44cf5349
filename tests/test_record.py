"""A record: its parts agree, and the numbers follow from the predictions."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.analysis.analyse import analyse
from src.documents.context import Context
from src.record.config import Measure, MetricConfig
from src.record.load import Record
from src.record.measures import OF_COUNTS, AnswerCounts, counted, per_question
from src.record.predictions import SCHEMA, Predictions

from .conftest import REPO, Run


def edit_distance(a: str, b: str) -> int:
    """Levenshtein 1966, by the textbook table."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def one_row(answer: str, reference: str) -> Predictions:
    row = {
        "id": "a", "task": "t", "prompt": "p",
        "reference": reference, "base_answer": answer, "base_correct": answer == reference, "base_score": -1.0,
        "finetuned_answer": answer, "finetuned_correct": answer == reference, "finetuned_score": -2.0,
    }  # fmt: skip
    return Predictions(Path("x"), pa.Table.from_pylist([row], schema=SCHEMA))


def metric(measure: Measure) -> MetricConfig:
    return MetricConfig(label="m", definition="m.", direction="higher", unit="number", measure=measure)


@given(answer=st.text("abcde", max_size=12), reference=st.text("abcde", min_size=1, max_size=12))
def test_measures_are_what_they_say(answer: str, reference: str) -> None:
    rows = one_row(answer, reference)
    longer = max(len(answer), len(reference))
    same = sum(x == y for x, y in zip(answer, reference, strict=False))
    assert per_question(rows, "base", metric("exact_match"))[0] == (answer == reference)
    assert per_question(rows, "base", metric("character_accuracy"))[0] == pytest.approx(same / longer)
    assert per_question(rows, "base", metric("normalized_levenshtein"))[0] == pytest.approx(
        edit_distance(answer, reference) / longer
    )
    assert per_question(rows, "finetuned", metric("score"))[0] == -2.0


@given(st.integers(1, 4), st.integers(1, 3), st.data())
def test_counting_once_is_resampling_with_weights_of_one(labels: int, models: int, data: st.DataObject) -> None:
    number = st.integers(0, labels - 1)
    codes = np.array(data.draw(st.lists(st.tuples(*[number] * (1 + models)), min_size=1, max_size=12))).T
    resampled = AnswerCounts(codes, labels)
    weights = np.ones((1, codes.shape[1]), dtype=np.float32)
    assert np.array_equal(counted(codes, labels), resampled.tables(weights @ resampled.columns))


def test_analysis_of_the_record(record: Record, context: Context) -> None:
    analysis = context.analysis
    assert {m.key for m in analysis.metrics} == set(record.results.base_model.metrics)
    for m in analysis.metrics:
        assert m.base_interval is not None
        assert m.base_interval.low <= m.base <= m.base_interval.high
        assert m.change_interval is not None
        assert m.change_interval.low <= m.change <= m.change_interval.high
        if m.test is None:
            assert m.config.measure in OF_COUNTS
        else:
            assert m.p_value is not None
            assert 0 < m.p_value <= 1
        assert (m.p_adjusted is not None) == m.config.primary
    for b in analysis.breakdowns:
        total = sum(g.questions for g in b.groups) + b.left_out
        metric = analysis.metric(b.metric)
        assert total == metric.questions
        if not b.left_out:
            mean = sum(g.finetuned * g.questions for g in b.groups) / total
            assert mean == pytest.approx(metric.finetuned)
    assert repr(analyse(record)) == repr(analysis)


def test_majority_class_is_counted_on_the_same_questions(record: Record, context: Context) -> None:
    assert record.predictions is not None
    references = record.predictions.task("letter_position").column("reference")
    _, counts = np.unique(references, return_counts=True)
    baselines = {b.label: b.value for b in context.analysis.metric("letter_position_accuracy").baselines}
    assert baselines["majority class"] == pytest.approx(counts.max() / counts.sum())
    assert baselines["chance"] == pytest.approx(1 / 26)


def test_relative_change_of_zero_is_none(minimal: Path) -> None:
    from src.record.load import load_record

    analysis = analyse(load_record(minimal))
    position = analysis.metric("letter_position_accuracy")
    assert position.base == 0
    assert position.relative is None
    assert position.verdict == "not tested"
    count = analysis.metric("letter_count_accuracy")
    assert not count.better
    assert analysis.metric("levenshtein_distance").better
    assert math.isclose(count.change, -0.04)


@pytest.mark.slow
def test_neither_site_nor_publisher_imports_torch(run: Run) -> None:
    program = (
        "import sys; sys.argv = ['publish', '--dry-run', '--help']\n"
        "import src.publish, src.hub.publish, gen.site\nfrom gen.reference import reference_pages\nreference_pages()\n"
        "from src.documents.build import build\nfrom pathlib import Path\n"
        "build(Path(), None).model_card\n"
        "bad = {'torch', 'transformers', 'peft', 'datasets'} & set(sys.modules)\nassert not bad, bad"
    )
    done = run(REPO, "-c", program)
    assert done.returncode == 0, done.stderr
