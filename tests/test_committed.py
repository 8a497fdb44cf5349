"""The committed record: what this repository itself claims. A fork with another record leaves these out: `-m "not committed"`."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from src.documents.build import Documents
from src.documents.context import Context, RepoNames
from src.documents.pages import site_pages
from src.experiment.training_data import other_letters
from src.record.load import Record, load_record

from .conftest import REPO

pytestmark = pytest.mark.committed


@pytest.fixture(scope="module")
def ours() -> Record:
    return load_record(REPO)


@pytest.fixture(scope="module")
def our_documents(ours: Record, session_folder: Path) -> Documents:
    return Documents(Context(ours, RepoNames.of(ours), session_folder / "cache"))


def test_committed_documents_match_the_record(our_documents: Documents) -> None:
    for path, text in our_documents.committed().items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run `make render`"


def test_the_record_is_complete(ours: Record) -> None:
    assert ours.has_answers and ours.study is not None and ours.results.hashes is not None
    assert {ours.study.config.published, *ours.study.config.also_published} <= ours.study.runs.keys()
    log = ours.training_log
    assert log is not None and log.tracking is not None and log.tracking.run_id and log.resources.energy_kwh
    questions = {"letter_count": 2000, "letter_position": 2000, "spelling": 1000}
    assert all(ours.results.tasks[name].questions >= least for name, least in questions.items())
    ours.check_evaluated()


def test_training_kept_its_best_checkpoint(ours: Record) -> None:
    log = ours.training_log
    assert log is not None
    losses = {e.step: e.validation_loss for e in log.log if e.validation_loss is not None}
    assert log.best_step is not None
    assert losses[log.best_step] == min(losses.values())


def test_documents_say_which_base_model_it_is(our_documents: Documents) -> None:
    pages, _, _ = site_pages(our_documents, pdf=True)
    for name, text in {
        **{name: pages[name] for name in ("methodology.md", "model-card.md")},
        "card": our_documents.model_card.text,
        "readme": our_documents.readme.text,
    }.items():
        assert "does not contain OpenAI's GPT-2 weights" in text, name


@pytest.mark.nightly
def test_the_lines_that_recipes_quote_are_lines_of_their_training(ours: Record) -> None:
    """Each recipe's purpose quotes a line about one token, as the recipe's letters make it."""
    assert ours.study is not None
    rows = pq.read_table(REPO / "data/training/train.parquet").to_pylist()
    place, row = next((i, r) for i, r in enumerate(rows) if (r["word"], r["template"]) == ("berry", "plain_how"))
    words: dict[int, list[str]] = {}
    for word in sorted({r["word"] for r in rows}):
        words.setdefault(len(word), []).append(word)
    quoted = 0
    for name, arm in ours.study.config.arms.items():
        letters = arm.changes.get("dataset_config", {}).get("letters", "own")
        if "Here is how to spell" not in arm.purpose:
            continue
        spelled = other_letters(row["word"], letters, words, f"{arm.seeds[0]}/training/{place}")
        assert f'“Here is how to spell "berry": {"-".join(spelled)}.”' in " ".join(arm.purpose.split()), name
        quoted += 1
    assert quoted == 3
