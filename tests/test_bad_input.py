"""Bad input gets one clear line, exit code 2, and leaves nothing half-written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from src.documents.context import RepoNames
from src.record.files import sha256_file
from src.record.load import load_record

from .conftest import invoke, refuses, run_in, succeeds
from .publishing import change_project
from .records import edit_json, edit_text, set_column, without_study
from .test_report import RECEIPT

RESULTS = "results/tiny/evaluation_results.json"
QUESTIONS = "results/tiny/questions.parquet"
BASE = "results/tiny/answers/base.parquet"
TUNED = "results/tiny/answers/spelling-1.parquet"
RUN = "results/tiny/runs/form-only-2.json"
RUN_ANSWERS = "results/tiny/answers/form-only-2.parquet"
CONFIG = "configs/experiments/tiny.yaml"
CHECKPOINT = "checkpoints/best_model"
ADAPTER = f"{CHECKPOINT}/adapter_config.json"
BASE_CONFIG = "models/tiny/config.json"


def table(path: str, change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], object]:
    """Change questions or answers and state their new hash, so that only the content is at fault."""

    def spoil(root: Path) -> None:
        before = sha256_file(root / path)
        pq.write_table(change(pq.read_table(root / path)), root / path)
        edit_text(root / (RUN if path == RUN_ANSWERS else RESULTS), (before, sha256_file(root / path)))

    return spoil


def other_bytes(path: str) -> Callable[[Path], object]:
    """Store the same rows in another way, so that only the hash is at fault."""
    return lambda root: pq.write_table(pq.read_table(root / path), root / path, compression="gzip")


def other_weights(root: Path) -> object:
    """Put an adapter that was not evaluated in the place of the one that was."""
    other = root / "checkpoints/stage-1/no-hints-1/adapter_model.safetensors"
    return shutil.copy(other, root / CHECKPOINT / other.name)


def append(path: str, text: str) -> Callable[[Path], object]:
    return lambda root: (root / path).write_text((root / path).read_text() + text)


def replace(path: str, old: str, new: str) -> Callable[[Path], object]:
    return lambda root: edit_text(root / path, (old, new))


def remove(path: str) -> Callable[[Path], object]:
    return lambda root: (root / path).unlink()


def changed(path: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    return lambda root: edit_json(root / path, change)


def metric(section: str, key: str, value: Any) -> Callable[[Path], object]:
    return changed(RESULTS, lambda d: d[section]["metrics"].update({key: value}))


def flip_first_verdict(table: pa.Table) -> pa.Table:
    correct = table["correct"].to_pylist()
    return set_column(table, "correct", [not correct[0], *correct[1:]])


def odd_first_control(table: pa.Table, share: float | None) -> pa.Table:
    """Change the share of an answer of the first question's control, or leave that control out."""
    first, *others = table["control"].to_pylist()
    return set_column(table, "control", [[first[0] | {"share": share}] if share else None, *others])


CASES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "an adapter of another base model": (
        changed(ADAPTER, lambda d: d.update(base_model_name_or_path="openai-community/gpt2")),
        [CONFIG, "base_model", "openai-community/gpt2", "adapter_config.json"],
    ),
    "key written twice": (append(CONFIG, "\nseed: 2\n"), [CONFIG, "seed"]),
    "a key of another name": (
        replace("configs/project.yaml", "limitations:", "limitation:"),
        ["configs/project.yaml", "limitation: Extra inputs are not permitted; did you mean limitations?"],
    ),
    "another license under the same name": (
        replace("configs/project.yaml", "license: mit", "license: llama3.1"),
        ["configs/project.yaml: license_name", "llama3.1"],
    ),
    "missing results": (remove(RESULTS), [RESULTS]),
    "key written twice in JSON": (
        replace(RESULTS, '"base_model": {', '"base_model": {}, "base_model": {'),
        [RESULTS, "base_model: the key is written twice"],
    ),
    "undeclared metric": (metric("base_model", "rouge", 0.5), [RESULTS, "base_model.metrics.rouge"]),
    "NaN": (metric("base_model", "letter_count_accuracy", float("nan")), [RESULTS]),
    "accuracy over 1": (metric("base_model", "letter_count_accuracy", 43.2), [RESULTS]),
    "a metric of one model only": (
        changed(RESULTS, lambda d: d["base_model"]["metrics"].pop("levenshtein_distance")),
        [RESULTS, "levenshtein_distance"],
    ),
    "changed answers": (other_bytes(TUNED), [TUNED]),
    "changed questions": (other_bytes(QUESTIONS), [QUESTIONS]),
    "answers to other questions": (table(TUNED, lambda t: t.take(list(range(len(t)))[::-1])), [TUNED, "id"]),
    "a metric that the answers do not give": (
        metric("finetuned_model", "letter_count_accuracy", 0.999),
        [RESULTS, "finetuned_model.metrics"],
    ),
    "a verdict that the answer contradicts": (table(BASE, flip_first_verdict), [BASE, "correct, id"]),
    "a path out of the folder": (
        changed(RESULTS, lambda d: d["questions"].update(file="../../x.parquet")),
        [RESULTS, "questions.file"],
    ),
    "a control whose shares do not sum to one": (
        table(QUESTIONS, lambda t: odd_first_control(t, 0.2)),
        [QUESTIONS, "control, id"],
    ),
    "a question without the control that the others have": (
        table(QUESTIONS, lambda t: odd_first_control(t, None)),
        [QUESTIONS, "control: missing for some questions of letter_count"],
    ),
    "a metric of a task that is not there": (
        replace("configs/metrics.yaml", "task: letter_count\n", "task: leter_count\n"),
        ["configs/metrics.yaml", "letter_count_accuracy.task", "leter_count", "did you mean letter_count?"],
    ),
    "another adapter than evaluated": (other_weights, ["adapter_model.safetensors"]),
    "other data than evaluated": (other_bytes("data/spelling/test.parquet"), ["spelling/test.parquet"]),
    "missing license": (remove("LICENSE"), ["LICENSE"]),
    "a learning rate that was not trained": (
        replace(CONFIG, "learning_rate: 2.0e-3", "learning_rate: 0.5"),
        [CONFIG, "training_config.learning_rate"],
    ),
    "an adapter's config that says something else": (
        changed(ADAPTER, lambda d: d.update(lora_alpha=1)),
        [CONFIG, "lora_config.alpha", "adapter_config.json"],
    ),
    "another base model than evaluated": (changed(BASE_CONFIG, lambda d: d.update(eos_token_id=1)), [BASE_CONFIG]),
    "a log of another adapter": (
        lambda root: edit_log(root, lambda d: d["hashes"]["adapter"].update({"adapter_model.safetensors": "0" * 64})),
        ["training_log.json", "hashes.adapter.adapter_model.safetensors"],
    ),
    "a study of another experiment": (
        lambda root: change_project(root, experiment=shutil.copy(root / CONFIG, root / "other.yaml").name),
        ["configs/project.yaml", "study: configs/studies/toy.yaml is about"],
    ),
    "another number of questions than on record": (
        changed(RESULTS, lambda d: d["tasks"]["letter_count"].update(questions=7)),
        [RESULTS, "tasks.letter_count.questions: 7"],
    ),
    "a study's adapter that was not evaluated": (
        lambda root: shutil.copytree(root / CHECKPOINT, root / "checkpoints/toy/spelling-2"),
        ["checkpoints/toy/spelling-2"],
    ),
    "a study's run of another budget": (
        changed(RUN, lambda d: d["config"]["training_config"].update(max_steps=7)),
        ["configs/studies/toy.yaml", "training_config.max_steps", "7"],
    ),
    "a study's run on another base model": (
        changed(RUN, lambda d: d["hashes"]["base"].update({"model.safetensors": "0" * 64})),
        [RUN, "hashes.base"],
    ),
    "a study's run whose metric is not what its answers give": (
        changed(RUN, lambda d: d["metrics"].update(letter_count_accuracy=0.999)),
        ["form-only-2.json", "letter_count_accuracy"],
    ),
    "a study's run that answered other questions": (table(RUN_ANSWERS, lambda t: t.slice(1)), [RUN_ANSWERS]),
    "a study that leaves out a run that was evaluated": (
        lambda root: shutil.copy(root / "results/tiny/runs/other-1.json", root / "results/tiny/runs/other-2.json"),
        ["results/tiny/runs/other-2.json", "does not declare"],
    ),
}


def edit_log(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the training log and state its new hash, so that only the content is at fault."""
    path = root / "results/tiny/training_log.json"
    edit_json(path, change)
    edit_json(root / RESULTS, lambda d: d["training_log"].update(sha256=sha256_file(path)))


@pytest.mark.parametrize("name", CASES)
def test_publish_refuses(name: str, project: Path) -> None:
    spoil, fragments = CASES[name]
    spoil(project)
    errors = refuses(project, "publish", "--dry-run")
    *progress, error = errors.strip().splitlines()
    assert progress in ([], ["collecting the files"]), errors
    assert error.startswith("error: ")
    for fragment in fragments:
        assert fragment in error
    assert not (project / "dist").exists() or not any((project / "dist").iterdir())


@pytest.mark.slow
def test_the_site_build_fails_with_the_same_line(project: Path) -> None:
    spoil, fragments = CASES["key written twice"]
    spoil(project)
    line = invoke(project, "publish", "--dry-run").stderr.strip().removeprefix("error: ")
    done = run_in(project, "-m", "mkdocs", "build")
    assert done.returncode != 0
    output = done.stdout + done.stderr
    assert all(part in output for part in (line.split(": ", 1)[1], *fragments))
    assert "Traceback" not in output


@pytest.mark.experiment
@pytest.mark.parametrize("command", ["train", "evaluate", "dataset"])
def test_experiment_commands_refuse(command: str, project: Path) -> None:
    append(CONFIG, "foo: 1\n")(project)
    assert f"{CONFIG}: foo" in refuses(project, command)  # the project names its experiment


def card_of(project: Path) -> str:
    succeeds(project, "publish", "--dry-run")
    return (project / "dist/hub/model/README.md").read_text()


@pytest.mark.slow
def test_a_failed_bundle_leaves_the_last_one(project: Path) -> None:
    without_study(project)
    replace(CONFIG, "A toy for tests.", "Another note.")(project)  # which may change
    succeeds(project, "publish", "--dry-run")
    before = sorted(p.relative_to(project) for p in (project / "dist").rglob("*"))
    (project / "LICENSE").unlink()
    assert invoke(project, "publish", "--dry-run").returncode == 2
    assert sorted(p.relative_to(project) for p in (project / "dist").rglob("*")) == before


def test_a_citation_is_escaped_for_latex(project: Path) -> None:
    change_project(project, title="100 % R&D of gpt_2", authors=["O'Neil & Söhne", "张伟"])
    card = card_of(project)
    assert r"title = {100 \% R\&D of gpt\_2}," in card and r"author = {O'Neil \& Söhne and 张伟}," in card


def test_a_license_has_a_name_on_the_hub_in_any_script(project: Path) -> None:
    change_project(project, license="other", license_name="我的许可证")
    (project / "LICENSE").write_text("我的许可证")
    assert "license: other\nlicense_name: custom\n" in card_of(project)


def test_a_receipt_of_other_repositories_is_not_cited(project: Path) -> None:
    other = RECEIPT["repos"][-1] | {"repo_id": "somebody/another-model"}
    receipt = RECEIPT | {"results_sha256": "0" * 64, "repos": [other]}
    path = project / "results/tiny/publication.json"
    path.write_text(json.dumps(receipt))
    record = load_record(project)
    assert record.publication is None
    assert RepoNames.of(record).namespace is None
    receipt["repos"][0]["repo_id"] = "somebody/tiny-lora"
    path.write_text(json.dumps(receipt))
    assert RepoNames.of(load_record(project)).namespace == "somebody"
