"""The experiment from books to results, from the command line, on a model that is tiny but real."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from src.experiment.decoding import PASS_TOKENS, Evaluator
from src.experiment.evaluate import EvalTask, Runner, few_shot_prefix, letters_of, written_answer
from src.experiment.models import load_adapter, load_base, load_tokenizer
from src.experiment.training_data import IGNORED, encode_examples, other_letters, pack
from src.record.answers import read_answers
from src.record.checkpoint import checkpoint_files, hash_files
from src.record.config import DatasetConfig, EvaluationConfig, ExperimentConfig
from src.record.errors import InputError
from src.record.questions import read_questions
from src.record.results import answered
from src.record.schemas import EvaluationResults

from .conftest import REPO, TINY, invoke, once, refuses, run_in, succeeds
from .make_tiny import corpus, words
from .records import edit_text

pytestmark = pytest.mark.slow

PRETRAIN = """\
name: tiny
vocab_size: 600
n_layer: 2
n_head: 2
n_embd: 32
context_length: 192
held_out_every: 3
max_steps: {steps}
batch_size: 4
warmup_steps: 2
"""
EXPERIMENT = """\
experiment_name: tiny
base_model: models/tiny
lora_config: {r: 4, alpha: 8, target_modules: [c_attn]}
training_config:
  learning_rate: 1.0e-2
  per_device_train_batch_size: 2
  max_steps: 6
  sequence_length: 64
  eval_steps: 3
  logging_steps: 1
checkpoint: checkpoints/best_model
dataset_config:
  path: data
  chains: 20
  test_questions: {letter_count: 12, letter_position: 12, spelling: 6, string_count: 6, string_position: 6}
  validation_questions: {letter_count: 9, letter_position: 9, spelling: 6, string_count: 6, string_position: 6}
evaluation_config: {few_shot: 1, max_new_tokens: 8, reworded: 4, fixed: [{word: cherry, letter: r, position: 3}]}
"""
EVALUATE = ("evaluate", "--config", "configs/tiny.yaml", "--metrics", str(TINY / "configs/metrics.yaml"))


def books(folder: Path) -> Path:
    """Write three small books and their list of sources."""
    folder.mkdir(parents=True)
    return corpus(folder, words(420))


@pytest.fixture
def tiny(session_folder: Path, tmp_path: Path) -> Path:
    """A folder in which the whole experiment has been run with the commands; a test may change it."""
    return Path(shutil.copytree(once(session_folder / "experiment", run_tiny), tmp_path / "tiny", symlinks=True))


def run_tiny(root: Path) -> None:
    """Run the whole experiment with the commands."""
    (root / "configs").mkdir(parents=True)
    (root / "data/words").mkdir(parents=True)
    (root / "data/words/words.txt").write_text((REPO / "data/words/words.txt").read_text())
    (root / "configs/pretrain.yaml").write_text(PRETRAIN.format(steps=8))
    (root / "configs/tiny.yaml").write_text(EXPERIMENT)
    sources = books(root / "corpus")
    common = ("--config", "configs/tiny.yaml")
    for name, *arguments in (
        ("pretrain", "--corpus", "corpus", "--sources", str(sources), "--config", "configs/pretrain.yaml"),
        ("dataset", *common),
        ("train", *common),
        EVALUATE,
    ):
        done = train(root, *arguments) if name == "train" else invoke(root, name, *arguments)
        assert done.returncode == 0, done.stderr[-3000:]


def train(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Train in a process of its own, as Weights & Biases keeps one run per process."""
    return run_in(root, "-m", "src.train", *arguments, WANDB_DIR=str(root / "runs"))


def test_the_whole_way_gives_a_record_with_its_settings_and_hashes(tiny: Path) -> None:
    results = json.loads((tiny / "results/tiny/evaluation_results.json").read_text())
    log = json.loads((tiny / "results/tiny/training_log.json").read_text())
    base = json.loads((tiny / "models/tiny/training.json").read_text())
    assert results["tasks"]["letter_count"]["questions"] == 12
    metrics = set(results["base_model"]["metrics"])
    assert {"letter_count_accuracy", "position_read_off", "letter_count_reworded"} <= metrics
    assert log["tracking"]["run_id"] and log["tracking"]["mode"] == "offline"
    assert any((tiny / "runs/wandb").glob(f"*{log['tracking']['run_id']}"))
    assert log["resources"]["steps"] == 6 and log["resources"]["energy_kwh"] > 0
    assert [e["step"] for e in log["log"]] == list(range(7))
    assert base["books"] == {"training": 2, "held_out": 1} and base["held_out_loss"] > 0
    assert log["config"] == results["config"]
    assert results["config"]["training_config"]["weight_decay"] == 0.0  # a default, stored all the same
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= results["hashes"]["base"].keys()
    assert log["hashes"]["base"] == results["hashes"]["base"]
    assert log["hashes"]["adapter"] == results["hashes"]["adapter"]
    assert results["hashes"]["adapter"] == hash_files(checkpoint_files(tiny / "checkpoints/best_model"))
    assert log["hashes"]["data"].items() <= results["hashes"]["data"].items()
    assert not list((tiny / "checkpoints").rglob("*.bin"))


def test_other_data_or_another_config_do_not_resume_a_run(tiny: Path) -> None:
    path = tiny / "data/training/train.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    assert "training/train.parquet" in refuses(tiny, "train", "--config", "configs/tiny.yaml")
    edit_text(tiny / "configs/tiny.yaml", ("r: 4, alpha: 8", "r: 2, alpha: 8"))
    assert "lora_config.r: 4 before, 2 now" in refuses(tiny, "train", "--config", "configs/tiny.yaml")
    assert list((tiny / "runs/tiny").glob("checkpoint-*"))


def test_a_training_that_diverges_keeps_what_was_there(tiny: Path) -> None:
    weights = tiny / "checkpoints/best_model/adapter_model.safetensors"
    before = weights.read_bytes(), (tiny / "results/tiny/training_log.json").read_bytes()
    changes = ("1.0e-2", "1.0e+30"), ("logging_steps: 1", "report_to: []")
    edit_text(tiny / "configs/tiny.yaml", *changes, to=tiny / "configs/other.yaml")
    assert "The training diverged" in refuses(tiny, "train", "--config", "configs/other.yaml", "--work", "runs/other")
    assert (weights.read_bytes(), (tiny / "results/tiny/training_log.json").read_bytes()) == before


def test_a_base_model_elsewhere_is_recorded_by_name(tiny: Path, tmp_path: Path) -> None:
    elsewhere = (tiny / "models/tiny").rename(tmp_path / "elsewhere")
    edit_text(tiny / "configs/tiny.yaml", ("models/tiny", str(elsewhere)))
    succeeds(tiny, *EVALUATE)
    results = json.loads((tiny / "results/tiny/evaluation_results.json").read_text())
    assert results["base_model"]["name"] == results["config"]["base_model"] == "elsewhere"
    assert str(tmp_path) not in json.dumps(results)


def test_what_cannot_be_evaluated_is_named_and_the_record_stays(tiny: Path) -> None:
    before = {file.name: file.read_bytes() for file in (tiny / "results/tiny").rglob("*.*")}
    config, weights = tiny / "configs/tiny.yaml", tiny / "checkpoints/best_model/adapter_model.safetensors"
    edit_text(config, ("few_shot: 1", "few_shot: 9"))
    assert "evaluation_config: few_shot: prompts and answers of up to" in refuses(tiny, *EVALUATE)
    edit_text(config, ("few_shot: 9", "few_shot: 1"))
    save_file({name: torch.full_like(part, torch.nan) for name, part in load_file(weights).items()}, weights)
    assert "weights that are not finite" in refuses(tiny, *EVALUATE)
    edit_text(config, ("models/tiny", "models/nowhere"))
    assert "models/nowhere: not found" in refuses(tiny, *EVALUATE)
    assert {file.name: file.read_bytes() for file in (tiny / "results/tiny").rglob("*.*")} == before


def test_validation_questions_are_not_their_own_solved_examples(tiny: Path) -> None:
    succeeds(tiny, *EVALUATE, "--split", "validation")
    folder = tiny / "runs/tiny/validation"
    results = EvaluationResults.model_validate(json.loads((folder / "evaluation_results.json").read_text()))
    questions = read_questions(folder / "questions.parquet")
    answers = read_answers(folder / "answers/finetuned.parquet", questions, results.tasks)
    for name in results.tasks:
        rows = answered(name, questions, answers, results.tasks)
        assert rows is not None
        for prompt, word in zip(rows.prompts(), rows["word"].to_pylist(), strict=True):
            *solved, asked = prompt.split("Question: ")
            assert word not in asked or not any(f"word {word}?" in example for example in solved)
    assert questions.table["task"].to_pylist().count("letter_count") == 8


def test_the_record_says_what_each_model_was_given_and_wrote(tiny: Path) -> None:
    """Prompts are put together from parts that are stored once; answers are what the model wrote."""
    folder = tiny / "results/tiny"
    results = EvaluationResults.model_validate(json.loads((folder / "evaluation_results.json").read_text()))
    questions = read_questions(folder / "questions.parquet")
    assert "prompt" not in questions.table.column_names
    base = read_answers(folder / "answers/base.parquet", questions, results.tasks)
    for task, row in zip(questions.table["task"].to_pylist(), base.table.to_pylist(), strict=True):
        candidates = results.tasks[task].candidates
        assert row["answered"] is (row["answer"] in candidates if candidates else None)
        assert row["chosen"] in (candidates or [None])
        assert (row["own_words"] is None) is (not candidates or task.startswith("string"))
    fixed = answered("letter_count_fixed", questions, base, results.tasks)
    assert fixed is not None
    assert fixed.texts("word").tolist() == ["cherry"]
    assert fixed.texts("reference").tolist() == ["2"]
    assert "Count the '" in (answered("letter_count_reworded", questions, base, results.tasks) or fixed).prompts()[0]
    controls = [c for c in questions.table["control"].to_pylist() if c]
    assert controls
    assert all(sum(entry["share"] for entry in control) == pytest.approx(1, abs=1e-5) for control in controls)


def test_a_control_is_what_would_be_right_if_the_question_were_another(tiny: Path) -> None:
    table = pq.read_table(tiny / "results/tiny/questions.parquet").to_pylist()
    position = next(row for row in table if row["task"] == "letter_position")
    assert {e["answer"]: round(e["share"] * len(position["word"])) for e in position["control"]} == dict(
        Counter(position["word"])
    )
    count = next(row for row in table if row["task"] == "letter_count")
    same = [r["reference"] for r in table if r["task"] == "letter_count" and r["letter"] == count["letter"]]
    assert {e["answer"]: round(e["share"] * len(same)) for e in count["control"]} == dict(Counter(same))
    assert position["first_letter"] == position["word"][0]


STUDY = """\
study: small
experiment: configs/tiny.yaml
published: main-1
arms:
  main: {label: Main, role: main, purpose: The recipe., seeds: [1]}
  shuffled:
    label: Shuffled
    role: control
    purpose: Letters in random order.
    seeds: [1]
    changes: {dataset_config: {letters: shuffled}}
"""


def snakemake(root: Path, *arguments: str) -> str:
    """Run the workflow of a small study in a folder; return what it said."""
    (root / "configs/study.yaml").write_text(STUDY)
    shutil.copy(TINY / "configs/metrics.yaml", root / "configs/metrics.yaml")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = run_in(
        root, "-m", "snakemake", "--snakefile", str(REPO / "Snakefile"), "--cores", "1", "--rerun-triggers", "mtime",
        *arguments, "--config", "study=configs/study.yaml", "render=False", PATH=path, WANDB_DIR=str(root / "runs"),
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


@pytest.mark.nightly
def test_a_study_runs_what_is_missing_and_nothing_twice(tiny: Path) -> None:
    plan = snakemake(tiny, "--dry-run")
    assert re.search(r"^train_shuffled-1 +1$", plan, re.MULTILINE)
    assert not re.search(r"^train_main-1 +1$", plan, re.MULTILINE)  # the published run is the experiment, and done
    assert not (tiny / "results/tiny/runs").exists()
    before = (tiny / "checkpoints/best_model/adapter_model.safetensors").read_bytes()
    snakemake(tiny)
    assert (tiny / "checkpoints/best_model/adapter_model.safetensors").read_bytes() == before
    found = json.loads((tiny / "results/tiny/runs/shuffled-1.json").read_text())
    assert found["config"]["dataset_config"]["letters"] == "shuffled"
    assert found["training_log"]["config"] == found["config"]
    assert found["hashes"]["base"] == found["training_log"]["hashes"]["base"]
    assert (tiny / "results/tiny/answers/shuffled-1.parquet").is_file()
    assert not re.search(r"^train_.* +1$", snakemake(tiny, "--dry-run"), re.MULTILINE)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("published: main-1", "published: shuffled-1", "shuffled-1"),
        ("seeds: [1]}", "seeds: [1, 1]}", "a seed twice"),
        ("{dataset_config: {letters: shuffled}}", "{training_config: {max_steps: 9}}", "max_steps"),
        ("published: main-1\narms:\n  main:", "published: mean-1\narms:\n  mean:", "did you mean mean-1?"),
    ],
)
def test_a_study_that_makes_no_sense_or_lacks_the_run_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    """A control of another budget would be none, and what is published is the main recipe."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/tiny.yaml").write_text(EXPERIMENT)
    (tmp_path / "configs/study.yaml").write_text(STUDY.replace(old, new, 1))
    errors = refuses(tmp_path, "train", "--config", "configs/study.yaml", "--run", "main-1")
    assert "configs/study.yaml: " in errors and said in errors


def test_controls_write_other_letters_of_the_same_form() -> None:
    words = {5: ["apple", "bread", "crane"], 3: ["cat"]}
    assert other_letters("apple", "own", words, "s") == "apple"
    drawn = {other_letters("apple", "other_word", words, f"s{i}") for i in range(50)}
    assert drawn == {"bread", "crane"}
    shuffled = {other_letters("apple", "shuffled", words, f"s{i}") for i in range(50)}
    assert len(shuffled) > 10
    assert {"".join(sorted(word)) for word in shuffled} == {"aelpp"}
    assert other_letters("cat", "other_word", words, "s") == "cat"


def test_loss_and_gradients_of_the_labeled_positions_are_those_of_the_whole() -> None:
    from src.experiment.finetune import project_only_labeled_positions

    ids = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 15, 16]])
    labels = ids.clone()
    labels[0, :3] = labels[1, 4:] = IGNORED
    found = []
    for changed in (False, True):
        model = load_base(str(TINY / "models/tiny"))
        if changed:
            project_only_labeled_positions(model)
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        found.append((float(loss), model.transformer.h[0].attn.c_attn.weight.grad))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert torch.allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-6)


@pytest.mark.nightly
def test_pretraining_resumes_to_the_same_weights(tmp_path: Path) -> None:
    """A run that is stopped at a checkpoint and goes on ends where an unbroken one ends."""
    import src.experiment.pretrain as module
    from src.record.config import PretrainConfig

    sources = books(tmp_path / "corpus")
    config = PretrainConfig(
        name="tiny", vocab_size=600, n_layer=1, n_head=2, n_embd=16, context_length=32, held_out_every=3, max_steps=260,
        batch_size=2,
    )  # fmt: skip

    def run(name: str, settings: PretrainConfig = config) -> dict[str, Any]:
        return module.pretrain(settings, tmp_path / "corpus", sources, tmp_path / name, tmp_path / f"work-{name}")

    whole = run("a")
    shutil.copytree(tmp_path / "work-a", tmp_path / "work-b")
    shutil.rmtree(tmp_path / "work-b/checkpoint-260")
    (last,) = (tmp_path / "work-b").glob("checkpoint-*")
    assert last.name == "checkpoint-250"
    resumed = run("b")
    assert resumed["weights_sha256"] == whole["weights_sha256"]
    assert whole["resources"]["energy_kwh"] > 0 and "energy_kwh" not in resumed["resources"]  # never a part of it
    with pytest.raises(InputError, match="seed: 1 before, 2 now"):
        run("b", config.model_copy(update={"seed": 2}))


@pytest.mark.parametrize("text", ["changed", None])
def test_a_book_that_is_not_the_one_of_the_list_is_refused(tmp_path: Path, text: str | None) -> None:
    sources = books(tmp_path / "corpus")
    (tmp_path / "pretrain.yaml").write_text(PRETRAIN.format(steps=1))
    book = tmp_path / "corpus/sentences1.md"
    book.unlink() if text is None else book.write_text(text)
    errors = refuses(tmp_path, "pretrain", "--corpus", "corpus", "--sources", str(sources), "--config", "pretrain.yaml")
    assert "sentences1.md: " + ("sha256" if text else "not found") in errors
    assert not (tmp_path / "models").exists()


# Scoring, on the tiny model: the cached, batched way gives what the plain way gives.


def prefix_of(config: EvaluationConfig, task: str) -> str:
    dataset = DatasetConfig(path=str(TINY / "data"))
    asked = ExperimentConfig(experiment_name="tiny", dataset_config=dataset, evaluation_config=config)
    return few_shot_prefix(asked, EvalTask(task))


@pytest.fixture(scope="module")
def scored() -> tuple[Any, Any]:
    base = load_base(str(TINY / "models/tiny"))
    return load_adapter(base, TINY / "checkpoints/best_model"), load_tokenizer(str(TINY / "models/tiny"))


@pytest.mark.parametrize("pass_tokens", [PASS_TOKENS, 0])  # 0: as much as possible is shared, in many small batches
def test_choosing_matches_scoring_each_candidate_alone(
    scored: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, pass_tokens: int
) -> None:
    monkeypatch.setattr("src.experiment.decoding.PASS_TOKENS", pass_tokens)
    model, tokenizer = scored
    config = EvaluationConfig(few_shot=1, batch_size=3)
    prefix = prefix_of(config, "letter_position")
    prompts = [
        config.example_format.format(question=f"What is the {n} letter in the word {w}?")
        for n in ("2nd", "1st")
        for w in ("zebras", "quietly", "ax", "strawberry")
    ]
    candidates = ("a", "q", "z", "e", "t")
    answers = Evaluator(model, tokenizer, prefix, config).choose(prompts, candidates)
    for prompt, answer in zip(prompts, answers, strict=True):
        scores = {}
        start = tokenizer.encode(prefix) + tokenizer.encode(prompt)
        for candidate in candidates:
            tail = tokenizer.encode(f" {candidate}")
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([start + tail])).logits[0].log_softmax(-1)
            scores[candidate] = sum(float(logits[len(start) + i - 1, t]) for i, t in enumerate(tail))
        assert answer.text == max(scores, key=scores.__getitem__)
        assert answer.score == pytest.approx(scores[answer.text], abs=1e-3)


def test_writing_matches_generate(scored: tuple[Any, Any]) -> None:
    model, tokenizer = scored
    config = EvaluationConfig(few_shot=1, batch_size=2, max_new_tokens=12)
    prefix = prefix_of(config, "spelling")
    prompts = [
        config.example_format.format(question=f"How do you spell the word {w}?")
        for w in ("zebras", "quietly", "cabinets")
    ]
    answers = Evaluator(model, tokenizer, prefix, config).write(prompts)
    for prompt, answer in zip(prompts, answers, strict=True):
        ids = torch.tensor([tokenizer.encode(prefix) + tokenizer.encode(prompt)])
        out = model.generate(input_ids=ids, max_new_tokens=12, do_sample=False, pad_token_id=0)
        text = tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
        assert answer.text == text.lstrip("\n").split("\n", 1)[0]


def test_a_words_spelling_is_the_models_own(scored: tuple[Any, Any]) -> None:
    """Right or wrong: the toy spells no word right."""
    model, tokenizer = scored
    config = ExperimentConfig(
        experiment_name="tiny",
        dataset_config=DatasetConfig(path=str(TINY / "data")),
        evaluation_config=EvaluationConfig(few_shot=1, max_new_tokens=8),
    )
    words = ["cherry", "lily", "posses"]
    rows = [{"word": word, "letter": word[0], "position": 2, "answer": "1"} for word in words]

    def asked(task: EvalTask) -> list[dict[str, object]]:
        return Runner(model, tokenizer, config, "finetuned").answers(task, rows, all_scores=False)

    spelled = [row["answer"] for row in asked(EvalTask("spelling"))]
    assert not set(spelled) & set(words)
    assert [row["own_words"] for row in asked(EvalTask("letter_count"))] == spelled


def test_what_counts_of_what_a_model_writes() -> None:
    letters = {" s t r a w.": "straw", "\n": "", " S, T": "st", " 1 2 <b>": "b", " " + "a" * 999: "a" * 64}
    assert {text: letters_of(text) for text in letters} == letters
    answers = {" 3": True, "3.": True, " 3 . ": True, "33": False, "three": False, "": False}
    assert {line: written_answer(line) in ("1", "2", "3") for line in answers} == answers


def test_letters_without_separator_are_encoded_one_by_one(scored: tuple[Any, Any]) -> None:
    _, tokenizer = scored
    batch = {
        "prompt": ["The word straw is spelled"],
        "completion": [" straw."],
        "separator": ["none"],
        "letters_start": [26],
        "letters_end": [31],
    }
    ((ids, labels),) = encode_examples(tokenizer, batch, completion_only=True)
    pieces = [tokenizer.decode([i]) for i in ids]
    assert pieces[-7:] == [" s", "t", "r", "a", "w", ".", "\n"]
    assert labels[: len(ids) - 7] == [IGNORED] * (len(ids) - 7)
    assert labels[-7:] == ids[-7:]


def test_packing_cuts_nothing_and_pads_at_the_end() -> None:
    examples = [([i] * n, [i] * n) for i, n in enumerate((5, 4, 9, 30, 2), start=1)]
    packed = pack(examples, 10, padding=0)
    pairs = list(zip(packed["input_ids"], packed["labels"], strict=True))
    assert all(len(ids) == len(labels) == 10 for ids, labels in pairs)
    assert [i for ids, _ in pairs for i in ids if i] == [1] * 5 + [2] * 4 + [3] * 9 + [5] * 2
    assert all(label == IGNORED for ids, labels in pairs for i, label in zip(ids, labels, strict=True) if i == 0)


def test_training_continues_an_adapter_and_keeps_its_hash(tiny: Path) -> None:
    start = tiny / "checkpoints/best_model"
    mixed = (
        "  chains: 20\n  material: [questions, spelling]\n  shares: {questions: 0.8, spelling: 0.2}\n"
        "  questions: 50\n  question_share: 0.7\n  spelled_tokens: asked\n"
    )
    following = edit_text(
        tiny / "configs/tiny.yaml",
        ("checkpoint: checkpoints/best_model", "checkpoint: checkpoints/next"),
        ("base_model: models/tiny", "base_model: models/tiny\nstart_from: checkpoints/best_model"),
        ("  chains: 20\n", mixed),
        to=tiny / "configs/next.yaml",
    )
    done = train(tiny, "--config", "configs/next.yaml", "--log", "next.json", "--work", "runs/next")
    assert done.returncode == 0, done.stderr[-3000:]
    log = json.loads((tiny / "next.json").read_text())
    assert log["hashes"]["start"] == hash_files(checkpoint_files(start))
    assert log["materials"]["questions"] == 50
    assert log["used_up"] == "questions"
    assert log["passes"] > 0
    new, old = (load_file(path / "adapter_model.safetensors") for path in (tiny / "checkpoints/next", start))
    assert any(not torch.equal(new[name], old[name]) for name in old)
    # Six small steps stay near the start; a new adapter's B would have begun at zero.
    assert sum(float((new[n] - old[n]).norm()) for n in old) < sum(float(old[n].norm()) for n in old)

    edit_text(following, ("r: 4", "r: 2"), to=tiny / "configs/wider.yaml")
    refused = invoke(tiny, "train", "--config", "configs/wider.yaml", "--work", "runs/wider")
    assert refused.returncode == 2
    assert "checkpoints/best_model: lora_config.r: 2" in refused.stderr
