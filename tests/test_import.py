"""Other tools' results become a record: real outputs of lm-evaluation-harness, and every way in which they can be read wrongly."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.analysis.analyse import analyse
from src.exchange.imported import write_record
from src.exchange.lm_eval import import_lm_eval
from src.record.errors import InputError
from src.record.load import load_record

from .conftest import REPO, Run

REAL = REPO / "tests/data/lm_eval"


@pytest.fixture
def minimal(minimal: Path) -> Path:
    """A project without words about another record, which an import would refuse."""
    shutil.rmtree(minimal / "docs/fragments")
    (minimal / "configs/criteria.yaml").unlink()
    return minimal


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Both real runs, to be changed."""
    for name in ("base", "tuned"):
        shutil.copytree(REAL / name, tmp_path / name)
    return tmp_path


def file_of(runs: Path, model: str, pattern: str) -> Path:
    return next((runs / model).rglob(pattern))


def edit(path: Path, change: Callable[[dict[str, Any]], None], line: int | None = None) -> None:
    """Change a JSON file, or some lines of a JSONL file."""
    if path.suffix == ".json":
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))
        return
    lines = path.read_text().splitlines()
    for i in range(len(lines)) if line is None else [line]:
        data = json.loads(lines[i])
        change(data)
        lines[i] = json.dumps(data)
    path.write_text("\n".join(lines) + "\n")


def edit_both(runs: Path, pattern: str, change: Callable[[dict[str, Any]], None], line: int | None = None) -> None:
    for model in ("base", "tuned"):
        edit(file_of(runs, model, pattern), change, line)


def read(runs: Path, wanted: str | None = "first-word") -> Any:
    return import_lm_eval(runs / "base", runs / "tuned", wanted)


@pytest.mark.nightly
def test_real_results_become_a_site_and_a_report(minimal: Path, run: Run) -> None:
    for name in ("models", "checkpoints"):
        (minimal / name).symlink_to(REPO / name)  # what the harness really ran
    command = ["-m", "src.import_results", "lm-eval", str(REAL / "base"), str(REAL / "tuned"), "--name", "mine"]
    before = (minimal / "configs/metrics.yaml").read_text()
    done = run(minimal, *command)
    assert done.returncode == 2
    assert "first-word, whole" in done.stderr
    assert "--filter" in done.stderr
    assert (minimal / "configs/metrics.yaml").read_text() == before
    assert not (minimal / "results/mine").exists()
    done = run(minimal, *command, "--filter", "first-word")
    assert done.returncode == 0, done.stderr
    assert (minimal / "configs/metrics.yaml").read_text().startswith(before.rstrip())
    done = run(minimal, "-m", "mkdocs", "build", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (minimal / "site/results/index.html").read_text()
    assert "odd pick, acc" in page
    data = json.loads((minimal / "site/assets/data/examples.json").read_text())
    assert {"kind", "level", "word", "tokens"} <= {column["name"] for column in data["own"]}
    assert not any(text.startswith("Answer:") for text in data["columns"]["question"]["values"])
    assert "<b>bold</b>" not in (minimal / "site/examples/index.html").read_text()
    done = run(minimal, "-m", "src.publish", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "lm-evaluation-harness 0.4.13" in (minimal / "dist/hub/model/README.md").read_text()
    again = run(minimal, *command, "--filter", "first-word")
    assert again.returncode == 2
    assert "--replace" in again.stderr


def test_every_number_is_the_harness_own(minimal: Path) -> None:
    found = read(REAL)
    write_record(found, minimal, "mine", replace=False)
    record = load_record(minimal)
    for model, section in (("base", record.results.base_model), ("tuned", record.results.finetuned_model)):
        stated = json.loads(next((REAL / model).rglob("results_*.json")).read_text())["results"]
        for task, numbers in stated.items():
            for key, value in numbers.items():
                metric, _, chosen = key.partition(",")
                if chosen in ("none", "first-word") and not metric.endswith("_stderr"):
                    assert section.metrics[f"{task}_{metric}"] == pytest.approx(value, abs=1e-9), (task, metric)
    tests = {m.key: m.run.test for m in analyse(record).metrics}
    assert tests["odd_pick_acc"] == tests["odd_pick_acc_norm"] == "exact McNemar"
    assert tests["odd_read_word_perplexity"] is None
    assert tests["odd_next_perplexity"] is None
    assert record.results.source is not None
    assert record.results.source.settings["base"]["limit"] == 8
    assert record.results.source.settings["n_samples"]["spelling_and_letters_letter_count"]["original"] == 2400
    assert record.experiment.lora_config is None  # the adapter does not lie in this project


def test_scores_and_targets_are_read_as_they_are(minimal: Path) -> None:
    found = read(REAL)
    pick = next(task for task in found.tasks if task.name == "odd_pick")
    rows = [json.loads(line) for line in (REAL / "tasks/odd.jsonl").read_text().splitlines()]
    assert [answer.references[0] for answer in pick.base] == [row["choices"][row["label"]] for row in rows]
    assert all(len(answer.scores or ()) == 3 for answer in pick.base)  # acc_mutual_info asks each candidate twice
    write = next(task for task in found.tasks if task.name == "odd_write")
    assert write.base[0].references == ("mat", "Mat.")  # as the task states them
    assert write.base[1].references == ("in", "out")


def test_answers_are_joined_by_question_and_what_has_no_partner_is_said(runs: Path) -> None:
    path = file_of(runs, "tuned", "samples_odd_pick*")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(reversed(lines[2:])) + "\n")
    acc = sum(json.loads(line)["acc"] for line in lines[2:]) / 6
    edit(file_of(runs, "tuned", "results_*"), lambda d: d["results"]["odd_pick"].update({"acc,none": acc}))
    found = read(runs)
    pick = next(task for task in found.tasks if task.name == "odd_pick")
    assert (
        [answer.key for answer in pick.base] == [answer.key for answer in pick.tuned] == [str(i) for i in range(2, 8)]
    )
    assert any("odd_pick: 2 answers have no partner" in line for line in found.said)


def test_a_task_of_one_run_only_is_left_out_and_said(runs: Path) -> None:
    edit(file_of(runs, "tuned", "results_*"), lambda d: d["results"].pop("odd_pick"))
    found = read(runs)
    assert "odd_pick" not in {task.name for task in found.tasks}
    assert any("odd_pick" in line for line in found.said)


def test_metrics_alone_where_no_samples_were_logged(runs: Path, minimal: Path) -> None:
    for path in runs.rglob("samples_*"):
        path.unlink()
    write_record(read(runs), minimal, "mine", replace=False)
    assert not load_record(minimal).has_answers


def test_parts_of_another_shape_are_left_out(runs: Path) -> None:
    """A task whose numbers are none is of no use; settings that cannot be read are not there."""

    def change(d: dict[str, Any]) -> None:
        d["results"]["odd_pick"] = "none"
        d["configs"]["odd_write"]["metric_list"] = ["exact_match"]
        d["higher_is_better"]["odd_next"] = []

    for model in ("base", "tuned"):
        edit(file_of(runs, model, "results_*"), change)
    found = read(runs)
    names = {task.name for task in found.tasks}
    assert "odd_write" in names
    assert not {"odd_pick", "odd_next"} & names
    assert any("odd_next: left out: " in line and "(which way is better is not stated)" in line for line in found.said)


def test_model_args_as_text_and_the_adapter_only_in_peft(runs: Path) -> None:
    edit(
        file_of(runs, "tuned", "results_*"),
        lambda d: d["config"].update(model_args="pretrained=models/gpt2-mini,peft=checkpoints/best_model"),
    )
    found = read(runs)
    assert (found.base_model, found.adapter) == ("models/gpt2-mini", "checkpoints/best_model")


def set_target(value: str) -> Callable[[dict[str, Any]], None]:
    return lambda d: d.update(target=value)


CASES: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "one model only": (lambda r: shutil.rmtree(r / "tuned"), ["tuned", "no such file or folder"]),
    "the same model twice": (
        lambda r: (shutil.rmtree(r / "tuned"), shutil.copytree(r / "base", r / "tuned")),
        ["model_args", "another model"],
    ),
    "base and tuned exchanged": (
        lambda r: ((r / "base").rename(r / "x"), (r / "tuned").rename(r / "base"), (r / "x").rename(r / "tuned")),
        ["model_args", "best_model", "exchanged"],
    ),
    "two models in one folder": (
        lambda r: shutil.copy(file_of(r, "base", "results_*"), file_of(r, "tuned", "results_*").with_name("results_2.json")),
        ["results of 2 models", "gpt2-mini with best_model", "Name the file"],
    ),
    "no results": (lambda r: file_of(r, "base", "results_*").write_text("{}"), ["no results"]),
    "broken results": (lambda r: file_of(r, "base", "results_*").write_text("{"), ["no results", "not valid JSON"]),
    "results nested without end": (lambda r: file_of(r, "base", "results_*").write_text("[" * 200_000), ["no results"]),
    "samples without results": (lambda r: file_of(r, "base", "results_*").unlink(), ["6 files of samples without results"]),
    "no task in common": (
        lambda r: edit(file_of(r, "base", "results_*"), lambda d: d.update(results={"x": {"acc,none": 1.0}})),
        ["no task that can be imported"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_results_that_can_be_read_wrongly_are_refused(runs: Path, name: str) -> None:
    change, says = CASES[name]
    change(runs)
    with pytest.raises(InputError) as refused:
        read(runs)
    for part in says:
        assert part in str(refused.value)
    assert "\n" not in str(refused.value)


BAD_ROWS: dict[str, tuple[str, Callable[[Path], Any], list[str]]] = {
    "nested without end": (
        "odd_next",
        lambda r: file_of(r, "base", "samples_odd_next*").write_text('{"filter": ' + "[" * 200_000),
        ["line 1 of samples_odd_next", "cut short"],
    ),
    "no UTF-8": (
        "odd_next", lambda r: file_of(r, "base", "samples_odd_next*").write_bytes(bytes(range(256))), ["not UTF-8"],
    ),
    "half of a character": (
        "odd_next",
        lambda r: edit(file_of(r, "tuned", "samples_odd_next*"), lambda d: d["doc"].update(note="\ud800"), 3),
        ["line 4 of samples_odd_next"],
    ),
    "cut short": (
        "odd_next",
        lambda r: (p := file_of(r, "base", "samples_odd_next*")).write_text(p.read_text()[:-200]),
        ["line 8", "cut short"],
    ),
    "not an object": ("odd_next", lambda r: file_of(r, "base", "samples_odd_next*").write_text("[1]\n"), ["line 1", "not a sample"]),
    "a question twice": (
        "odd_pick", lambda r: (p := file_of(r, "base", "samples_odd_pick*")).write_text(p.read_text() * 2), ["doc_id 0 is duplicated"],
    ),
    "a likelihood that is not a number": (
        "odd_pick",
        lambda r: edit(file_of(r, "base", "samples_odd_pick*"), lambda d: d["filtered_resps"][0].__setitem__(0, "nan"), 0),
        ["a log-likelihood in line 1", "not a finite number"],
    ),
    "a value that is not a number": (
        "odd_pick", lambda r: edit(file_of(r, "base", "samples_odd_pick*"), lambda d: d.update(acc=float("nan")), 0), ["acc in line 1"],
    ),
    "a verdict of another run": (
        "odd_pick",
        lambda r: edit(file_of(r, "base", "samples_odd_pick*"), lambda d: d.update(acc=1 - d["acc"]), 2),
        ["acc of the base run is 0.8750 in its samples and 1.0000 in its results"],
    ),
    "several answers to a question": (
        "odd_write",
        lambda r: edit(file_of(r, "base", "samples_odd_write*"), lambda d: d.update(filtered_resps=[["a", "b"]], filter="first-word"), 0),
        ["2 answers to each question", "repeats"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_costs_its_tasks_answers_and_nothing_else(runs: Path, name: str) -> None:
    before = {task.name: len(task.base) for task in read(runs).tasks}
    task, change, says = BAD_ROWS[name]
    change(runs)
    found = read(runs)
    assert {t.name: len(t.base) for t in found.tasks} == before | {task: 0}
    [line] = [line for line in found.said if line.startswith(f"{task}: its answers are left out")]
    assert all(part in line for part in says)
    assert str(runs) not in "".join(found.said)  # it goes on record


OTHER_WAYS: dict[str, tuple[str, Callable[[Path], Any], list[str]]] = {
    "another version": (
        "odd_pick", lambda r: edit(file_of(r, "tuned", "results_*"), lambda d: d["versions"].update(odd_pick=2)), ["version 2"],
    ),
    "other solved examples": (
        "odd_pick", lambda r: edit(file_of(r, "tuned", "results_*"), lambda d: d["n-shot"].update(odd_pick=5)), ["solved examples 5"],
    ),
    "other prompts": (
        "odd_write",
        lambda r: edit(file_of(r, "tuned", "samples_odd_write*"), lambda d: d["arguments"]["gen_args_0"].update(arg_0="?"), 1),
        ["prompt or candidates of question"],
    ),
    "no question in common": (
        "odd_next",
        lambda r: edit(file_of(r, "tuned", "samples_odd_next*"), lambda d: d.update(doc_id=d["doc_id"] + 100, doc_hash=str(d["doc_id"]))),
        ["share no question"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_WAYS)
def test_a_task_that_was_evaluated_in_two_ways_is_left_out(runs: Path, name: str) -> None:
    before = {task.name for task in read(runs).tasks}
    task, change, says = OTHER_WAYS[name]
    change(runs)
    found = read(runs)
    assert {t.name for t in found.tasks} == before - {task}
    [line] = [line for line in found.said if line.startswith(f"{task}: left out: ")]
    assert all(part in line for part in says)


def test_targets_that_do_not_follow_are_no_references(runs: Path) -> None:
    """The verdict stays the harness'; what the right answer is, is then unknown."""
    edit_both(runs, "samples_odd_pick*", set_target("7"))
    pick = next(task for task in read(runs).tasks if task.name == "odd_pick")
    assert all(answer.correct is True for answer in pick.base)
    assert all(answer.references == () for answer in pick.base)
    assert pick.base[0].columns["target"] == "7"


def test_digits_that_are_candidates_are_read_as_acc_says(runs: Path) -> None:
    """With the candidates 1, 2, 3 the target 1 is the second as an index, and the first as text."""

    def digits(d: dict[str, Any]) -> None:
        for i in range(6):
            d["arguments"][f"gen_args_{i}"]["arg_1"] = f" {i % 3 + 1}"
        d["target"] = str(int(d["target"]) + 1)  # the text of the candidate that was the target

    edit_both(runs, "samples_odd_pick*", digits)
    pick = next(task for task in read(runs).tasks if task.name == "odd_pick")
    rows = [json.loads(line) for line in (REAL / "tasks/odd.jsonl").read_text().splitlines()]
    assert [answer.references[0] for answer in pick.base] == [str(row["label"] + 1) for row in rows]


def test_a_number_that_is_none_is_left_out_and_said(runs: Path) -> None:
    edit(file_of(runs, "base", "results_*"), lambda d: d["results"]["odd_pick"].update({"acc_norm,none": float("nan")}))
    found = read(runs)
    assert "acc_norm" not in [m.name for t in found.tasks for m in t.metrics]
    assert any("odd_pick: left out: acc_norm (not a number)" in line for line in found.said)


def test_the_verdict_is_the_harness_own_whatever_the_target_says(runs: Path, minimal: Path) -> None:
    for model in ("base", "tuned"):
        path = file_of(runs, model, "samples_odd_write*")
        edit(path, lambda d: d.update(exact_match=1.0 if d["filter"] == "first-word" else 0.0))
        edit(
            file_of(runs, model, "results_*"),
            lambda d: d["results"]["odd_write"].update({"exact_match,first-word": 1.0}),
        )
    write_record(read(runs), minimal, "mine", replace=False)
    rows = load_record(minimal).answered("base", "odd_write")
    assert rows is not None
    assert rows["correct"].to_pylist() == [True] * 8
    assert rows["answer"].to_pylist() != rows["reference"].to_pylist()


def test_hostile_names_stay_inside(runs: Path, minimal: Path) -> None:
    hostile = "../../<script>alert(1)</script>"
    for model in ("base", "tuned"):
        path = file_of(runs, model, "results_*")
        text = path.read_text().replace('"odd_next"', json.dumps(hostile))
        path.write_text(text)
    found = read(runs)
    assert "script_alert_1_script" in {task.name for task in found.tasks}
    write_record(found, minimal, "mine", replace=False)
    assert "<script>" not in (minimal / "configs/metrics.yaml").read_text()
    load_record(minimal)


@pytest.mark.nightly
def test_a_thousand_tasks(runs: Path, minimal: Path) -> None:
    def many(d: dict[str, Any]) -> None:
        for part in ("results", "higher_is_better", "configs", "versions", "n-shot"):
            d[part] |= {f"task_{i}": d[part]["odd_pick"] for i in range(1000)}

    edit_both(runs, "results_*", many)
    found = read(runs)
    assert len(found.tasks) == 1006
    write_record(found, minimal, "mine", replace=False)
    assert not any(m.primary for k, m in load_record(minimal).metrics.metrics.items() if k.startswith("task_"))


@pytest.mark.nightly
def test_ten_thousand_samples(runs: Path, minimal: Path) -> None:
    for model in ("base", "tuned"):
        path = file_of(runs, model, "samples_odd_pick*")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        with path.open("w") as out:
            for i in range(10_000):
                out.write(json.dumps(lines[i % 8] | {"doc_id": i}) + "\n")
    write_record(read(runs), minimal, "mine", replace=False)
    results = json.loads((minimal / "results/mine/evaluation_results.json").read_text())
    assert [task["questions"] for name, task in results["tasks"].items() if "odd_pick" in name] == [10_000]
