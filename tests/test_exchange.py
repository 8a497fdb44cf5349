"""What goes out for others: the questions as a benchmark, the Hub's own evaluation results, and the answers as a file."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from gen.site import site_files
from src.documents.build import Documents
from src.documents.context import Context, RepoNames
from src.exchange.benchmark import BENCHMARK, benchmark_file, benchmark_tasks
from src.hub.eval_results import entries
from src.record.load import Record

NAMES = RepoNames("someone/model", "someone/data", "someone/base", "someone")


@pytest.mark.slow
def test_too_many_answers_are_not_offered_as_a_file(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    files = site_files(documents)
    assert "assets/data/answers.csv" in files and "answers.csv" in files["examples.md"].decode()
    monkeypatch.setattr("src.documents.downloads.DOWNLOAD_ROWS", 10)
    monkeypatch.setattr("src.documents.explorer.ROWS", 30)
    monkeypatch.setattr("src.documents.pages.EXPLORER_ROWS", 30)
    files = site_files(Documents(replace(documents.context)))
    assert "assets/data/answers.csv" not in files
    assert "too many for a file of this site" in files["examples.md"].decode()
    questions = len(documents.context.record.loaded.question_texts())
    every = -(-questions // 30)
    shown = json.loads(files["assets/data/examples.json"])
    assert shown["rows"] == len(shown["outcome"]) == -(-questions // every) < questions
    assert f"one question in {every}" in files["examples.md"].decode()


def test_the_benchmark_is_the_tasks_whose_questions_are_in_the_dataset(record: Record) -> None:
    assert benchmark_tasks(record) == ["letter_count", "letter_position", "spelling"]
    declared = yaml.safe_load(benchmark_file(record)[BENCHMARK])
    assert set(declared) == {"name", "description", "tasks"}
    for task in declared["tasks"]:
        assert (record.data / task["config"] / f"{task['split']}.parquet").is_file()


def test_one_value_a_task_and_no_distance_for_the_hub(record: Record) -> None:
    context = Context(record, NAMES)
    for role, section in (("base", record.results.base_model), ("model", record.results.finetuned_model)):
        found = entries(context, role, "a" * 40)
        values = {entry.task_id: entry.value for entry in found}
        assert len(found) == len(values) == len(benchmark_tasks(record))
        assert values["letter_count"] == round(section.metrics["letter_count_accuracy"], 6)
        assert values["spelling"] == round(section.metrics["character_level_accuracy"], 6)
        assert {entry.dataset_revision for entry in found} == {"a" * 40}
        assert {entry.source_url for entry in found} == {record.project.site_url}
        notes = {entry.task_id: entry.notes for entry in found}
        assert notes["letter_count"] == "1-shot, log-likelihood choice, Letter count accuracy"
    assert not entries(Context(record, RepoNames("model", "data", None, None)), "model", None)
