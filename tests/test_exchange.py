"""What goes out for other tools: tasks of lm-evaluation-harness, and the Hub's own evaluation results."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jinja2
import pyarrow.parquet as pq
import pytest
import yaml

from gen.site import site_files
from src.documents.build import Documents
from src.documents.context import Context, RepoNames
from src.exchange.lm_eval_tasks import FOLDER, WRITTEN, group_name, harness_files, harness_tasks
from src.exchange.shared import benchmark_file, zipped
from src.hub.eval_results import entries
from src.record.load import Record, load_record

from .conftest import REPO, TINY, copy_tiny, run_in

NAMES = RepoNames("someone/model", "someone/data", "someone/base", "someone")


def test_the_tasks_ask_the_very_prompts(record: Record) -> None:
    """Rendered as lm-evaluation-harness renders them: Jinja, the description before the question."""
    tasks, left_out = harness_tasks(record)
    assert {"letter_count", "letter_position", "spelling"} <= {task.task for task in tasks}
    assert all(name.endswith(("_reworded", "_fixed")) for name in left_out)
    render = jinja2.Environment(undefined=jinja2.StrictUndefined)
    for task in tasks:
        config = yaml.safe_load(yaml.safe_dump(task.config))
        rows = pq.read_table(record.data / task.task / "test.parquet").to_pylist()
        text, before = render.from_string(config["doc_to_text"]), render.from_string(config["description"])
        target = render.from_string(config["doc_to_target"])
        asked = record.answered("base", task.task)
        assert asked is not None
        assert [before.render(row) + text.render(row) for row in rows] == asked.prompts()
        targets = [target.render(row) for row in rows]
        if config["output_type"] == "multiple_choice":
            choices = config["doc_to_choice"]
            as_read = [choices[int(t)] if t.isdigit() else t for t in targets]
            assert as_read == asked["reference"].to_pylist()
        else:
            ignored = config["metric_list"][0]["regexes_to_ignore"][0]
            assert [re.sub(ignored, "", t).lower() for t in targets] == asked["reference"].to_pylist()


def test_the_tasks_read_the_hub_or_a_folder(record: Record) -> None:
    there = harness_files(record, "someone/data", "someone/base")
    assert yaml.safe_load(there[f"{FOLDER}/_dataset_yaml"]) == {"dataset_path": "someone/data"}
    assert b"pretrained=someone/base" in there[f"{FOLDER}/README.md"]
    here = harness_files(record, None, None)
    assert (TINY / yaml.safe_load(here[f"{FOLDER}/_dataset_yaml"])["dataset_path"]).is_dir()
    group = yaml.safe_load(here[f"{FOLDER}/_group.yaml"])
    made = {
        yaml.safe_load(content)["task"]
        for name, content in here.items()
        if name.endswith(".yaml") and "_group" not in name
    }
    assert set(group["task"]) == made


COMMITTED = pytest.param(REPO, 100, id="committed", marks=pytest.mark.committed)


@pytest.mark.nightly
@pytest.mark.parametrize(("root", "limit"), [pytest.param(TINY, 5, id="tiny"), COMMITTED])
def test_lm_eval_gives_the_same_answers(root: Path, limit: int, tmp_path: Path) -> None:
    if root == TINY:  # its dataset has no card yet, which names the configurations
        root = copy_tiny(tmp_path / "project")
        done = run_in(root, "-m", "src.render")
        assert done.returncode == 0, done.stderr
    record = load_record(root)
    for name, content in harness_files(record, None, None).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    command = [
        sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={record.experiment.base_model},dtype=float32,peft={record.experiment.checkpoint}",
        "--include_path", str(tmp_path / FOLDER), "--tasks", group_name(record), "--limit", str(limit), "--log_samples",
        "--output_path", str(tmp_path / "out"), "--batch_size", "64", "--device", "cpu",
    ]  # fmt: skip
    own = {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(tmp_path / "datasets"),
    }  # it asks no questions kept from another run
    done = subprocess.run(
        command, cwd=root, env=os.environ | own, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for task in harness_tasks(record)[0]:
        path = next((tmp_path / "out").rglob(f"samples_{task.name}_*.jsonl"))
        samples = [json.loads(line) for line in path.read_text().splitlines()]
        answers = record.answered(record.run_name, task.task)
        assert answers is not None
        rows = answers.answers.to_pylist()[:limit]
        assert len(samples) == min(limit, len(rows)) > 0
        for sample, row in zip(samples, rows, strict=True):
            assert sample["doc"]["id"] == row["id"]
            if record.results.tasks[task.task].candidates:
                assert re.sub(WRITTEN, "", sample["filtered_resps"][0])[:64] == row["answer"]
            else:
                found = re.sub("[^a-z]", "", sample["filtered_resps"][0].lower())[:64]
                assert found == row["answer"]


@pytest.mark.slow
def test_too_many_answers_are_not_offered_as_a_file(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    files = site_files(documents)
    assert "assets/data/answers.csv" in files and "answers.csv" in files["examples.md"].decode()
    monkeypatch.setattr("src.documents.downloads.DOWNLOAD_ROWS", 10)
    files = site_files(Documents(replace(documents.context)))
    assert "assets/data/answers.csv" not in files
    assert "too many for a file of this site" in files["examples.md"].decode()


def test_the_benchmark_is_declared(record: Record) -> None:
    content = benchmark_file(record)
    assert content is not None
    declared = yaml.safe_load(content)
    assert set(declared) == {"name", "description", "tasks"}
    for task in declared["tasks"]:
        assert (record.data / task["config"] / f"{task['split']}.parquet").is_file()


def test_the_same_files_give_the_same_archive(record: Record) -> None:
    files = harness_files(record, None, None)
    assert zipped(files) == zipped(dict(reversed(files.items())))


def test_one_value_a_task_and_no_distance_for_the_hub(record: Record) -> None:
    context = Context(record, NAMES)
    for role, section in (("base", record.results.base_model), ("model", record.results.finetuned_model)):
        found = entries(context, role, "a" * 40)
        assert len(found) == len({entry.task_id for entry in found}) == len(harness_tasks(record)[0])
        values = {entry.task_id: entry.value for entry in found}
        assert values["letter_count"] == round(section.metrics["letter_count_accuracy"], 6)
        assert values["spelling"] == round(section.metrics["character_level_accuracy"], 6)
        assert {entry.dataset_revision for entry in found} == {"a" * 40}
        assert {entry.source_url for entry in found} == {record.project.site_url}
        notes = {entry.task_id: entry.notes for entry in found}
        assert notes["letter_count"] == "1-shot, log-likelihood choice, Letter count accuracy"
    assert not entries(Context(record, RepoNames("model", "data", None, None)), "model", None)
