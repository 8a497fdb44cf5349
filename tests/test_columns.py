"""A project's own columns: kept with their types, named by breakdowns, filters of the examples page, and refused where they cannot be used."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from src.analysis.analyse import analyse
from src.documents.explorer import explorer_json
from src.figures.catalog import catalog
from src.record.config import Grouping, MetricConfig, MetricsConfig
from src.record.errors import InputError
from src.record.files import load_yaml
from src.record.load import Record, load_record
from src.record.measures import available
from src.record.predictions import Predictions, calibrated, read_predictions, write_predictions
from src.record.splits import read_splits

METRICS = """
metrics:
  exact:
    label: Exact
    definition: Share that is right.
    direction: higher
    unit: proportion
    task: t
    measure: exact_match
    breakdowns: [subject, {column: parts, of: length, label: Parts of the text}, {column: shown, label: 'Was it shown?'}]
  f1:
    label: F1
    definition: Overlap.
    direction: higher
    unit: proportion
    task: t
    measure: value
    value: f1
"""


def rows(count: int = 40) -> list[dict[str, Any]]:
    return [
        {
            "id": f"q{i}", "task": "t", "prompt": f"Solved. Yes\nIs text number {i} right?", "reference": "Yes",
            "base_answer": "No" if i % 2 else "Yes", "base_correct": not i % 2,
            "finetuned_answer": "Yes", "finetuned_correct": True,
            "subject": ("law", "physics")[i % 2], "parts": ["a"] * (i % 3), "shown": i % 4 == 0, "year": 1900 + i % 7,
            "weight": float("nan") if i == 3 else i / 7, "text": f"text number {i}", "nothing": None,
            "base_f1": i / 100, "finetuned_f1": i / 50,
        }
        for i in range(count)
    ]  # fmt: skip


def write(path: Path, table: pa.Table | None = None) -> Predictions:
    write_predictions(path, rows() if table is None else table)
    return read_predictions(path)


@pytest.fixture
def metrics(tmp_path: Path) -> MetricsConfig:
    (tmp_path / "metrics.yaml").write_text(METRICS)
    return load_yaml(tmp_path / "metrics.yaml", MetricsConfig)


def test_own_columns_keep_their_types(tmp_path: Path) -> None:
    found = write(tmp_path / "predictions.parquet")
    assert found.own_columns == ["subject", "parts", "shown", "year", "weight", "text", "nothing"]
    types = {name: str(found.table.schema.field(name).type) for name in found.own_columns}
    assert types == {
        "subject": "string", "parts": "list<item: string>", "shown": "bool", "year": "int64", "weight": "double",
        "text": "string", "nothing": "string",
    }  # fmt: skip
    assert found.table["weight"][3].as_py() is None  # not a number is no value
    assert found.table["base_score"].null_count == len(found)
    assert not found.has("base_score")
    assert [r["text"] for r in found.table.to_pylist()] == [r["text"] for r in rows()]


def test_groups_are_values_or_lengths(tmp_path: Path) -> None:
    found = write(tmp_path / "predictions.parquet")
    codes, values = found.group(Grouping(column="parts", of="length"))
    assert [values[c] for c in codes] == [i % 3 for i in range(40)]
    codes, values = found.group(Grouping(column="text", of="length"))
    assert [values[c] for c in codes] == [len(r["text"]) for r in rows()]
    codes, _ = found.group(Grouping(column="nothing"))
    assert set(codes) == {-1}


def a_project(minimal: Path, table: pa.Table | None = None, metrics: str = METRICS) -> Record:
    """Make the minimal record one of the task `t`."""
    folder = minimal / "results/tiny"
    written = write_predictions(
        folder / "predictions.parquet", pa.Table.from_pylist(rows()) if table is None else table
    )
    f1 = np.mean([i / 100 for i in range(40)])
    results = {
        "base_model": {"metrics": {"exact": 0.5, "f1": f1}},
        "finetuned_model": {"metrics": {"exact": 1.0, "f1": 2 * f1}},
        "predictions": written,
    }
    (folder / "evaluation_results.json").write_text(json.dumps(results))
    (minimal / "configs/metrics.yaml").write_text(metrics)
    (minimal / "configs/criteria.yaml").unlink()
    return load_record(minimal)


def test_breakdowns_and_charts_are_labelled_as_declared(minimal: Path) -> None:
    analysis = analyse(a_project(minimal))
    by = {b.by.key: b for b in analysis.breakdowns}
    assert {key: b.by.name for key, b in by.items()} == {
        "subject": "Subject", "parts_length": "Parts of the text", "shown": "Was it shown?",
    }  # fmt: skip
    assert [(g.value, g.questions, g.base) for g in by["subject"].groups] == [("law", 20, 1.0), ("physics", 20, 0.0)]
    charts = {chart.name: chart for chart in catalog(analysis, None)}
    chart = charts["exact-by-parts-length"]
    assert chart.title == "Exact by parts of the text"
    assert chart.header[0] == "Parts of the text"


def test_a_metrics_own_values_get_a_paired_test(minimal: Path) -> None:
    analysis = analyse(a_project(minimal))
    exact, f1 = analysis.metric("exact"), analysis.metric("f1")
    assert exact.test == "exact McNemar"
    assert f1.test == "paired permutation"
    assert f1.p_value is not None
    assert f1.p_value < 0.001
    assert f1.questions == 40


def unpacked(column: dict[str, Any], count: int) -> list[Any]:
    raw = base64.b64decode(column["codes"])
    codes = np.frombuffer(raw, f"<u{len(raw) // count}")
    return [column["values"][c] if c < len(column["values"]) else None for c in codes]


def test_the_examples_page_gets_every_answer_back(tmp_path: Path, metrics: MetricsConfig) -> None:
    found = write(tmp_path / "predictions.parquet")
    data = json.loads(explorer_json(found, metrics))
    own = {column["name"]: column for column in data["own"]}
    assert {name: column["kind"] for name, column in own.items()} == {
        "subject": "filter", "parts": "list", "parts_length": "filter", "shown": "filter", "year": "filter",
        "weight": "filter", "text": "filter",
    }  # fmt: skip
    assert own["shown"]["label"] == "Was it shown?"
    assert unpacked(own["year"], 40) == [r["year"] for r in rows()]
    assert unpacked(own["parts"], 40) == ["\n".join(r["parts"]) for r in rows()]
    assert unpacked(own["weight"], 40)[3] is None
    assert unpacked(data["columns"]["question"], 40) == [r["prompt"].split("\n")[1] for r in rows()]


def test_what_a_question_repeats_is_left_out_and_put_back(record: Record) -> None:
    assert record.predictions is not None
    data = json.loads(explorer_json(record.predictions, record.metrics))
    count = len(record.predictions)
    own = [unpacked(column, count) for column in data["own"]]
    packed = unpacked(data["columns"]["question"], count)
    whole = [
        "".join(own[ord(c) - 0xE000][i] if "\ue000" <= c <= "\uf8ff" else c for c in q) for i, q in enumerate(packed)
    ]
    assert whole == [p.strip().rsplit("\n", 1)[-1] for p in record.predictions.complete.table["prompt"].to_pylist()]
    assert len(set(packed)) < len(set(whole))


Change = Callable[[pa.Table], pa.Table]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.append_column("when", pa.array([0] * 40, pa.date32())), ["column when", "date32"]),
        (lambda t: t.append_column("a b", pa.array([0] * 40)), ["column a b"]),
        (lambda t: t.append_column("nested", pa.array([[[1]]] * 40)), ["column nested", "list"]),
        (lambda t: t.append_column("base_bleu", pa.array(["x"] * 40)), ["base_bleu", "number"]),
        (lambda t: t.append_column("subject", pa.array(["x"] * 40)), ["column subject"]),
    ],
)  # fmt: skip
def test_columns_that_cannot_be_used_are_refused(tmp_path: Path, change: Change, says: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        write(tmp_path / "predictions.parquet", change(pa.Table.from_pylist(rows())))
    for part in says:
        assert part in str(refused.value)
    assert not (tmp_path / "predictions.parquet").exists()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("subject,", "subjekt,", ["metrics.exact.breakdowns[0].column", "subjekt", "subject, parts"]),
        ("of: length, label: Parts of the text", "label: Parts", ["metrics.exact.breakdowns[1].of", "list"]),
        ("{column: shown,", "{column: shown, of: length,", ["metrics.exact.breakdowns[2].of", "bool"]),
    ],
)
def test_breakdowns_by_what_is_not_there_are_refused(minimal: Path, old: str, new: str, says: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        a_project(minimal, metrics=METRICS.replace(old, new))
    for part in says:
        assert part in str(refused.value)


def test_several_references_count_as_right(tmp_path: Path) -> None:
    answers = [
        {"id": "a", "task": "t", "prompt": "p", "reference": "x", "references": ["x", "y"]},
        {"id": "b", "task": "t", "prompt": "p", "reference": "x", "references": None},
    ]
    given = [
        row | {f"{m}_{k}": v for m in ("base", "finetuned") for k, v in (("answer", "y"), ("correct", right))}
        for row, right in zip(answers, (True, False), strict=True)
    ]
    found = write(tmp_path / "predictions.parquet", pa.Table.from_pylist(given))
    assert found.column("base_correct").tolist() == [True, False]
    given[1]["base_correct"] = True
    with pytest.raises(InputError, match="base_correct, id b"):
        write(tmp_path / "predictions.parquet", pa.Table.from_pylist(given))


@pytest.mark.parametrize("name", ["year", "task", "prompt"])
def test_a_name_that_comes_twice_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "predictions.parquet"
    write_predictions(path, rows())
    table = pq.read_table(path)
    twice = pa.Table.from_arrays([*table.columns, table[name]], names=[*table.column_names, name])
    pq.write_table(twice, path)
    with pytest.raises(InputError, match="each name once"):
        read_predictions(path)


SPLIT = pa.table(
    {
        "word": pa.array(["an", "ant", "ant"], pa.large_string()),
        "parts": [["a", "n"], ["ant"], None],
        "style": pa.array(["a", "b", "b"]).dictionary_encode(),
        "template": [{"of": 1}] * 3,  # a column of that name need not hold texts
    }
)


def counted(folder: Path, table: pa.Table, *what: dict[str, Any]) -> dict[str, list[tuple[str, int]]]:
    (folder / "words").mkdir(exist_ok=True)
    pq.write_table(table, folder / "words/train.parquet")
    (split,) = read_splits(folder, [Grouping.model_validate(by) for by in what], Path("configs/project.yaml"))
    return split.counts


def test_a_dataset_is_counted_by_values_and_lengths(tmp_path: Path) -> None:
    by_length = [{"column": name, "of": "length", "label": name} for name in ("word", "parts", "style", "elsewhere")]
    assert counted(tmp_path, SPLIT, {"column": "style", "label": "styles"}, *by_length) == {
        "styles": [("a", 1), ("b", 2)],
        "word": [("2", 1), ("3", 2)],
        "parts": [("1", 1), ("2", 1)],
        "style": [("1", 3)],
    }


@pytest.mark.parametrize(
    ("column", "of", "says"),
    [("parts", "value", "list"), ("template", "value", "struct"), ("template", "length", "struct")],
)
def test_a_dataset_that_cannot_be_counted_so_is_refused(tmp_path: Path, column: str, of: str, says: str) -> None:
    with pytest.raises(InputError, match=rf"^configs/project.yaml: dataset_counts\[0\].of: found {of} of.*{says}"):
        counted(tmp_path, SPLIT, {"column": column, "of": of})


def test_a_dataset_with_two_columns_of_one_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="column word: found that name twice"):
        counted(tmp_path, SPLIT.append_column("word", SPLIT["style"]))


def test_a_dataset_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no rows"):
        counted(tmp_path, SPLIT.slice(0, 0))


# What stays in the file.


def scored(count: int = 200) -> list[dict[str, Any]]:
    """Questions of three tasks in turn: of two and three candidates, and without scores."""
    random = np.random.default_rng(0)
    found = []
    for i, row in enumerate(rows(count)):
        length = (2, 3, 0)[i % 3]
        scores = {
            f"{model}_{kind}": random.normal(size=length).tolist() if length else None
            for model in ("base", "finetuned")
            for kind in ("scores", "neutral_scores")
        }
        found.append(row | {"task": f"t{length}", "base_prompt": f"for one {i}"} | scores)
    return found


def test_what_stays_in_the_file_is_read_for_the_rows_that_ask(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    write_predictions(path, scored())
    found = read_predictions(path)
    assert not {"prompt", "base_prompt", "base_scores"} & set(found.table.column_names)
    stored = pq.read_table(path)
    assert found.complete.table.select(stored.column_names).equals(stored)
    of_task = found.task("t3").reading("prompt", "base_prompt")
    assert of_task.table["prompt"].to_pylist() == [r["prompt"] for r in scored() if r["task"] == "t3"]
    assert "base_scores" not in of_task.table.column_names
    by = Grouping(column="prompt", of="length")
    codes, values = found.task("t2").group(by)
    assert [values[c] for c in codes] == [len(r["prompt"]) for r in scored() if r["task"] == "t2"]
    write_predictions(path, [row | {"id": f"other {row['id']}"} for row in scored()])
    with pytest.raises(InputError, match="other predictions than before"):
        found.reading("prompt")


def test_scores_of_another_number_of_candidates_are_refused(tmp_path: Path) -> None:
    given = scored()
    given[1]["finetuned_scores"] = [0.5]
    write_predictions(tmp_path / "predictions.parquet", given)
    with pytest.raises(InputError, match=f"finetuned_scores, id {given[1]['id']}: found 1 scores, expected 3"):
        read_predictions(tmp_path / "predictions.parquet")


def test_the_calibrated_answer_is_the_one_whose_score_rises_most(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    write_predictions(path, scored())
    found = read_predictions(path)
    for model in ("base", "finetuned"):
        for row in found.complete.table.to_pylist():
            pairs = zip(row[f"{model}_scores"] or (), row[f"{model}_neutral_scores"] or (), strict=True)
            gains = [known - neutral for known, neutral in pairs]
            assert row[calibrated(model)] == (gains.index(max(gains)) if gains else None)
    metric = MetricConfig(label="m", definition="m.", direction="higher", unit="number", measure="calibrated_accuracy")
    assert [available(found.task(f"t{length}"), metric) for length in (0, 2, 3)] == [False, True, True]
    write_predictions(path, [row | ({"base_scores": [0.5, None]} if row["id"] == "q3" else {}) for row in scored()])
    found = read_predictions(path)  # a score that is missing is no score that rises
    assert [available(found.task(f"t{length}"), metric) for length in (0, 2, 3)] == [False, False, True]
