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
import yaml

from src.documents.context import RepoNames
from src.record.config import ExperimentConfig
from src.record.files import sha256_file
from src.record.load import load_record

from .conftest import TINY, Run, invoke
from .records import edit_json, set_column, without_study

RESULTS = "results/tiny/evaluation_results.json"
QUESTIONS = "results/tiny/questions.parquet"
BASE = "results/tiny/answers/base.parquet"
TUNED = "results/tiny/answers/spelling-1.parquet"
RUN = "results/tiny/runs/form-only-2.json"
RUN_ANSWERS = "results/tiny/answers/form-only-2.parquet"
CONFIG = "configs/experiments/tiny.yaml"
CHECKPOINT = "checkpoints/best_model"


def edit_table(root: Path, path: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change questions or answers and state their new hash, so that only the content is at fault."""
    pq.write_table(change(pq.read_table(root / path)), root / path)
    digest = sha256_file(root / path)
    if path == RUN_ANSWERS:
        edit_json(root / RUN, lambda d: d["answers"].update(sha256=digest))
        return
    key = {QUESTIONS: None, BASE: "base", TUNED: "finetuned"}[path]
    edit_json(root / RESULTS, lambda d: (d["answers"][key] if key else d["questions"]).update(sha256=digest))


def unannounced(path: str, column: str) -> Callable[[Path], object]:
    """Change a column's values, all of the right kind, without the new hash."""

    def spoil(root: Path) -> None:
        table = pq.read_table(root / path)
        values = [value and value[::-1] for value in table[column].to_pylist()]
        pq.write_table(set_column(table, column, values), root / path)

    return spoil


def append(path: str, text: str) -> Callable[[Path], object]:
    return lambda root: (root / path).write_text((root / path).read_text() + text)


def write(path: str, text: str) -> Callable[[Path], object]:
    return lambda root: (root / path).write_text(text)


def replace(path: str, old: str, new: str) -> Callable[[Path], object]:
    def spoil(root: Path) -> None:
        text = (root / path).read_text()
        assert old in text
        (root / path).write_text(text.replace(old, new))

    return spoil


def remove(path: str) -> Callable[[Path], object]:
    return lambda root: (root / path).unlink()


def metric(section: str, key: str, value: Any) -> Callable[[Path], object]:
    return lambda root: edit_json(root / RESULTS, lambda d: d[section]["metrics"].update({key: value}))


def first_answers_wrong(table: pa.Table) -> pa.Table:
    """Turn right answers into wrong ones, consistently within the rows."""
    answers, correct = table["answer"].to_pylist(), table["correct"].to_pylist()
    for i in [i for i, right in enumerate(correct) if right][:5]:
        answers[i], correct[i] = "9" if answers[i] != "9" else "8", False
    return set_column(set_column(table, "answer", answers), "correct", correct)


def flip_first_verdict(table: pa.Table) -> pa.Table:
    correct = table["correct"].to_pylist()
    return set_column(table, "correct", [not correct[0], *correct[1:]])


def forget_first_verdict(table: pa.Table) -> pa.Table:
    return set_column(table, "correct", [None, *table["correct"].to_pylist()[1:]])


def odd_first_control(table: pa.Table, share: float | None) -> pa.Table:
    """Change the share of an answer of the first question's control, or leave that control out."""
    first, *others = table["control"].to_pylist()
    return set_column(table, "control", [[first[0] | {"share": share}] if share else None, *others])


CASES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "missing project config": (remove("configs/project.yaml"), ["configs/project.yaml"]),
    "an adapter of another base model": (
        lambda root: edit_json(
            root / CHECKPOINT / "adapter_config.json",
            lambda d: d.update(base_model_name_or_path="openai-community/gpt2"),
        ),
        [CONFIG, "base_model", "openai-community/gpt2", "adapter_config.json"],
    ),
    "config nested without end": (append(CONFIG, "\na: " + "[" * 2000), [CONFIG]),
    "key written twice": (append(CONFIG, "\nseed: 2\n"), [CONFIG, "seed"]),
    "a bibliography with a lone backslash": (
        append("docs/references.bib", "\n@misc{odd, author = {A. B}, title = {T\\}, year = {2020}}\n"),
        ["docs/references.bib", "odd"],
    ),
    "a key of another name": (
        replace("configs/project.yaml", "limitations:", "limitation:"),
        ["configs/project.yaml", "limitation: Extra inputs are not permitted; did you mean limitations?"],
    ),
    "a name that the Hub does not allow": (
        replace("configs/project.yaml", "model_repo: tiny-lora", "model_repo: me/tiny-lora"),
        ["configs/project.yaml: model_repo"],
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
    "results nested without end": (write(RESULTS, "[" * 200_000), [RESULTS]),
    "undeclared metric": (metric("base_model", "rouge", 0.5), [RESULTS, "base_model.metrics.rouge"]),
    "NaN": (metric("base_model", "letter_count_accuracy", float("nan")), [RESULTS]),
    "accuracy over 1": (metric("base_model", "letter_count_accuracy", 43.2), [RESULTS]),
    "missing answers": (remove(BASE), [BASE]),
    "changed answers": (
        lambda root: (root / TUNED).write_bytes((root / TUNED).read_bytes() + b"x"),
        [TUNED],
    ),
    "changed questions": (unannounced(QUESTIONS, "word"), [QUESTIONS]),
    "questions without a column": (
        lambda root: edit_table(root, QUESTIONS, lambda t: t.drop_columns(["reference"])),
        [QUESTIONS, "reference"],
    ),
    "answers to other questions": (
        lambda root: edit_table(root, TUNED, lambda t: t.take(list(range(len(t)))[::-1])),
        [TUNED, "id"],
    ),
    "answers that do not give the metric": (
        lambda root: edit_table(root, TUNED, first_answers_wrong),
        [RESULTS, "finetuned_model.metrics"],
    ),
    "a verdict that the answer contradicts": (
        lambda root: edit_table(root, BASE, flip_first_verdict),
        [BASE, "correct, id"],
    ),
    "metric of one model only": (
        lambda root: edit_json(root / RESULTS, lambda d: d["base_model"]["metrics"].pop("levenshtein_distance")),
        [RESULTS, "levenshtein_distance"],
    ),
    "an unknown verdict where a metric needs it": (
        lambda root: edit_table(root, BASE, forget_first_verdict),
        [RESULTS, "letter_count lack correct"],
    ),
    "a path out of the folder": (
        lambda root: edit_json(root / RESULTS, lambda d: d["questions"].update(file="../../x.parquet")),
        [RESULTS, "questions.file"],
    ),
    "a control whose shares do not sum to one": (
        lambda root: edit_table(root, QUESTIONS, lambda t: odd_first_control(t, 0.2)),
        [QUESTIONS, "control, id"],
    ),
    "a question without the control that the others have": (
        lambda root: edit_table(root, QUESTIONS, lambda t: odd_first_control(t, None)),
        [QUESTIONS, "control: missing for some questions of letter_count"],
    ),
    "a shortcut without its column": (
        lambda root: edit_json(root / RESULTS, lambda d: d["tasks"]["letter_count"]["shortcuts"].update(x="nowhere")),
        [RESULTS, "shortcuts.x", "nowhere"],
    ),
    "a metric limited to a column that is not there": (
        replace("configs/metrics.yaml", "only: {column: position", "only: {column: nowhere"),
        ["configs/metrics.yaml", "metrics.letter_position_beyond_first_accuracy", "nowhere"],
    ),
    "a metric of a task that is not there": (
        replace("configs/metrics.yaml", "task: letter_count\n", "task: leter_count\n"),
        ["configs/metrics.yaml", "letter_count_accuracy.task", "leter_count", "did you mean letter_count?"],
    ),
    "a measure that is not there": (
        replace("configs/metrics.yaml", "measure: character_accuracy", "measure: rouge"),
        ["configs/metrics.yaml", "measure", "rouge"],
    ),
    "another adapter than evaluated": (
        lambda root: flip_last_byte(root / CHECKPOINT / "adapter_model.safetensors"),
        ["adapter_model.safetensors"],
    ),
    "other data than evaluated": (
        lambda root: flip_last_byte(root / "data/spelling/test.parquet", offset=60),
        ["spelling/test.parquet"],
    ),
    "missing license": (remove("LICENSE"), ["LICENSE"]),
    "a rank that was not trained": (
        replace(CONFIG, "r: 8", "r: 4"),
        [CONFIG, "lora_config.r"],
    ),
    "a learning rate that was not trained": (
        replace(CONFIG, "learning_rate: 2.0e-3", "learning_rate: 0.5"),
        [CONFIG, "training_config.learning_rate"],
    ),
    "an adapter's config that says something else": (
        lambda root: edit_json(root / CHECKPOINT / "adapter_config.json", lambda d: d.update(lora_alpha=1)),
        [CONFIG, "lora_config.alpha", "adapter_config.json"],
    ),
    "a base model with code of its own": (
        lambda root: edit_base(root, lambda d: d.update(auto_map={"AutoModelForCausalLM": "evil.Model"})),
        ["models/tiny/config.json"],
    ),
    "a log of another adapter": (
        lambda root: edit_log(root, lambda d: d["hashes"]["adapter"].update({"adapter_model.safetensors": "0" * 64})),
        ["training_log.json", "hashes.adapter.adapter_model.safetensors"],
    ),
    "a log of another training": (
        lambda root: edit_log(root, lambda d: d["config"]["training_config"].update(max_steps=7)),
        [CONFIG, "training_config.max_steps", "7"],
    ),
    "a study's run of another budget": (
        lambda root: edit_json(root / RUN, lambda d: d["config"]["training_config"].update(max_steps=7)),
        ["configs/studies/toy.yaml", "training_config.max_steps", "7"],
    ),
    "a study's run on another base model": (
        lambda root: edit_json(root / RUN, lambda d: d["hashes"]["base"].update({"model.safetensors": "0" * 64})),
        [RUN, "hashes.base"],
    ),
    "a study's run whose metric is not what its answers give": (
        lambda root: edit_json(root / RUN, lambda d: d["metrics"].update(letter_count_accuracy=0.999)),
        ["form-only-2.json", "letter_count_accuracy"],
    ),
    "a study's run that answered other questions": (
        lambda root: edit_table(root, RUN_ANSWERS, lambda t: t.slice(1)),
        [RUN_ANSWERS],
    ),
    "a study that leaves out a run that was evaluated": (
        lambda root: shutil.copy(root / "results/tiny/runs/other-1.json", root / "results/tiny/runs/other-2.json"),
        ["results/tiny/runs/other-2.json", "does not declare"],
    ),
    "a study without its published run": (
        lambda root: edit_json(root / RESULTS, lambda d: d.pop("answers")),
        [RESULTS, "answers", "spelling-1"],
    ),
    "a published run that is not declared": (
        replace("configs/studies/toy.yaml", "also_published: {no-hints-1", "also_published: {no-hints-9"),
        ["configs/studies/toy.yaml", "no-hints-9; did you mean no-hints-1?"],
    ),
}


def edit_base(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the base model's config."""
    edit_json(root / "models/tiny/config.json", change)


def edit_log(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the training log and state its new hash, so that only the content is at fault."""
    path = root / "results/tiny/training_log.json"
    edit_json(path, change)
    edit_json(root / RESULTS, lambda d: d["training_log"].update(sha256=sha256_file(path)))


def flip_last_byte(path: Path, offset: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[-offset] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", CASES)
def test_publish_refuses(name: str, project: Path) -> None:
    spoil, fragments = CASES[name]
    spoil(project)
    done = invoke(project, "publish", "--dry-run")
    assert done.returncode == 2, done.stderr
    *progress, error = done.stderr.strip().splitlines()
    assert progress in ([], ["collecting the files"]), done.stderr
    assert error.startswith("error: ")
    for fragment in fragments:
        assert fragment in error
    assert not (project / "dist").exists() or not any((project / "dist").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "key written twice",
        *(
            pytest.param(name, marks=pytest.mark.nightly)
            for name in ("NaN", "undeclared metric", "answers that do not give the metric")
        ),
    ],
)
def test_the_site_build_fails_with_the_same_line(name: str, project: Path, run: Run) -> None:
    spoil, fragments = CASES[name]
    spoil(project)
    line = invoke(project, "publish", "--dry-run").stderr.strip().removeprefix("error: ")
    done = run(project, "-m", "mkdocs", "build")
    assert done.returncode != 0
    output = done.stdout + done.stderr
    assert line.split(": ", 1)[1] in output
    assert "Traceback" not in output
    for fragment in fragments:
        assert fragment in output


@pytest.mark.experiment
@pytest.mark.parametrize("command", ["train", "evaluate", "dataset"])
@pytest.mark.parametrize(("old", "new"), [("seed:", "foo: 1\nseed:"), ("models/tiny", "models/nowhere")])
def test_experiment_commands_refuse(command: str, old: str, new: str, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    text = (TINY / CONFIG).read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))
    done = invoke(TINY, command, "--config", str(config))
    assert done.returncode == 2, done.stderr
    assert new.split(":")[0] in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_notes_may_change(project: Path) -> None:
    without_study(project)
    path = project / CONFIG
    settings = yaml.safe_load(path.read_text()) | {"note": "Another note."}
    path.write_text(yaml.safe_dump(settings))
    done = invoke(project, "publish", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "Another note." in (project / "dist/hub/model/README.md").read_text()


@pytest.mark.slow
def test_a_failed_bundle_leaves_the_last_one(project: Path) -> None:
    without_study(project)
    assert invoke(project, "publish", "--dry-run").returncode == 0
    before = sorted(p.relative_to(project) for p in (project / "dist").rglob("*"))
    (project / "LICENSE").unlink()
    assert invoke(project, "publish", "--dry-run").returncode == 2
    assert sorted(p.relative_to(project) for p in (project / "dist").rglob("*")) == before


def test_a_citation_is_escaped_for_latex(project: Path) -> None:
    path = project / "configs/project.yaml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith(("title", "authors"))]
    path.write_text("\n".join([*lines, "title: 100 % R&D of gpt_2", 'authors: ["O\'Neil & Söhne", 张伟]']) + "\n")
    done = invoke(project, "publish", "--dry-run")
    assert done.returncode == 0, done.stderr
    card = (project / "dist/hub/model/README.md").read_text()
    assert r"title = {100 \% R\&D of gpt\_2}," in card and r"author = {O'Neil \& Söhne and 张伟}," in card


def test_a_license_has_a_name_on_the_hub_in_any_script(project: Path) -> None:
    path = project / "configs/project.yaml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("license")]
    path.write_text("\n".join([*lines, "license: other", "license_name: 我的许可证"]) + "\n")
    (project / "LICENSE").write_text("我的许可证")
    done = invoke(project, "publish", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "license: other\nlicense_name: custom\n" in (project / "dist/hub/model/README.md").read_text()


def test_a_receipt_of_other_repositories_is_not_cited(project: Path) -> None:
    receipt = {
        "endpoint": "https://huggingface.co", "time": "2026-01-01T00:00:00Z", "results_sha256": "0" * 64, "checks": [],
        "repos": [
            {"role": "model", "repo_id": "somebody/another-model", "kind": "model", "commit": "0" * 40, "visibility": "public", "files": 1, "bytes": 1}
        ],
    }  # fmt: skip
    path = project / "results/tiny/publication.json"
    path.write_text(json.dumps(receipt))
    record = load_record(project)
    assert record.publication is None
    assert RepoNames.of(record).namespace is None
    receipt["repos"][0]["repo_id"] = "somebody/tiny-lora"
    path.write_text(json.dumps(receipt))
    assert RepoNames.of(load_record(project)).namespace == "somebody"


@pytest.mark.experiment
def test_training_without_data_names_the_file(project: Path) -> None:
    shutil.rmtree(project / "data/training")
    done = invoke(project, "train")
    assert done.returncode == 2
    assert done.stderr == "error: data/training/train.parquet: not found.\n"


def test_an_experiment_that_names_no_folders_has_its_own(project: Path) -> None:
    config = ExperimentConfig(experiment_name="mine")
    assert config.checkpoint == "checkpoints/mine"
    assert config.dataset_config.path == "data/mine"
    assert (
        ExperimentConfig.model_validate({"experiment_name": "x", "dataset_config": {}}).dataset_config.path == "data/x"
    )
