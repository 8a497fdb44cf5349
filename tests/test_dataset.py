"""The dataset: what it promises, and that it can be built again to the byte; of the tiny project and, nightly, of the repository."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from src.experiment.build import letter_tokens
from src.experiment.models import load_tokenizer
from src.experiment.templates import SEPARATORS, TEMPLATES
from src.record.config import ExperimentConfig, ProjectConfig
from src.record.files import load_yaml

from .conftest import REPO, TINY, succeeds

TASKS = ("letter_count", "letter_position", "spelling")
COMMITTED = pytest.param(REPO, id="committed", marks=[pytest.mark.nightly, pytest.mark.committed])


@pytest.fixture(scope="module", params=[pytest.param(TINY, id="tiny"), COMMITTED])
def root(request: pytest.FixtureRequest) -> Path:
    """The project whose dataset it is."""
    return Path(request.param)


@pytest.fixture(scope="module")
def experiment(root: Path) -> ExperimentConfig:
    project = load_yaml(root / "configs/project.yaml", ProjectConfig)
    return load_yaml(root / project.experiment, ExperimentConfig)


def rows(root: Path, name: str) -> list[dict[str, Any]]:
    return list(pq.read_table(root / "data" / name).to_pylist())


@pytest.fixture(scope="module")
def training(root: Path) -> list[dict[str, Any]]:
    return rows(root, "training/train.parquet")


@pytest.fixture(scope="module")
def tokenizer(root: Path, experiment: ExperimentConfig) -> Any:
    return load_tokenizer(str(root / experiment.required_base_model))


def test_built_again_it_has_the_same_bytes(root: Path, experiment: ExperimentConfig, tmp_path: Path) -> None:
    project = load_yaml(root / "configs/project.yaml", ProjectConfig)
    succeeds(root, "dataset", "--config", project.experiment, "--output", str(tmp_path))
    files = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*.parquet"))
    questions = len(experiment.dataset_config.test_questions) + len(experiment.dataset_config.validation_questions)
    assert len(files) == 1 + questions
    for file in files:
        assert (tmp_path / file).read_bytes() == (root / "data" / file).read_bytes(), file


def test_every_letters_only_token_in_every_template(training: list[dict[str, Any]], tokenizer: Any) -> None:
    tokens = {token_id for token_id, _, _ in letter_tokens(tokenizer)}
    seen = Counter((row["token_ids"][0], row["template"]) for row in training if len(row["token_ids"]) == 1)
    assert {token_id for token_id, _ in seen} == tokens
    assert len(seen) == len(tokens) * len(TEMPLATES)
    assert {row["separator"] for row in training} == set(SEPARATORS)


def test_examples_spell_their_word_and_say_what_they_state(training: list[dict[str, Any]]) -> None:
    for row in training[:5000]:
        text = row["prompt"] + row["completion"]
        letters = text[row["letters_start"] : row["letters_end"]]
        assert letters == SEPARATORS[row["separator"]].join(row["word"])
        states_count = re.search(rf"\b{len(row['word'])} letters", text) is not None
        assert states_count == row["states_count"]
        if not row["states_position"]:
            assert "begins with" not in text
            assert "from " not in text


def test_made_up_words_are_made_up(
    root: Path, experiment: ExperimentConfig, training: list[dict[str, Any]], tokenizer: Any
) -> None:
    chains = [row for row in training if len(row["token_ids"]) > 1]
    assert len(chains) == len({row["word"] for row in chains}) == experiment.dataset_config.chains
    assert not {row["word"] for row in chains} & set((root / "data/words/words.txt").read_text().split())
    for row in chains[:500]:
        assert tokenizer.encode(f" {row['word']}", add_special_tokens=False) == row["token_ids"]


def test_the_token_itself_stands_in_the_sentence(training: list[dict[str, Any]], tokenizer: Any) -> None:
    prompts = {template.name: template.prompt for template in TEMPLATES}
    for row in training[:300]:
        half = row["prompt"] if "{word}" in prompts[row["template"]] else row["completion"]
        assert set(row["token_ids"]) <= set(tokenizer.encode(half, add_special_tokens=False))


def test_no_test_word_is_trained_on_or_validated_on(root: Path, training: list[dict[str, Any]], tokenizer: Any) -> None:
    trained = {row["word"].lower() for row in training}
    words = {
        split: {r["word"] for task in TASKS for r in rows(root, f"{task}/{split}.parquet")}
        for split in ("validation", "test")
    }
    assert not words["test"] & words["validation"]
    assert not (words["test"] | words["validation"]) & trained
    for word in words["test"]:
        assert re.fullmatch(r"[a-z]{4,12}", word)
        spaced = tokenizer.encode(f" {word}", add_special_tokens=False)
        assert len(spaced) >= 2
        assert max(len(tokenizer.decode([i]).strip()) for i in spaced) >= 2


def test_answers_are_right_and_balanced(root: Path, experiment: ExperimentConfig) -> None:
    tasks = {task: rows(root, f"{task}/test.parquet") for task in TASKS}
    for task, found in tasks.items():
        assert len({row["word"] for row in found}) == len(found) == experiment.dataset_config.test_questions[task]
    counts, positions, spelling = tasks.values()
    assert all(row["word"].count(row["letter"]) == int(row["answer"]) for row in counts)
    groups = Counter(min(int(row["answer"]), 3) for row in counts)
    assert groups[1] == groups[2] == groups[3]
    assert all(row["word"][row["position"] - 1] == row["answer"] for row in positions)
    cells = Counter((len(row["word"]), row["position"]) for row in positions)
    assert set(cells) == {(length, at) for length, _ in cells for at in range(1, length + 1)}
    assert max(cells.values()) - min(cells.values()) <= 1
    assert all(row["answer"].replace(" ", "") == row["word"] for row in spelling)
