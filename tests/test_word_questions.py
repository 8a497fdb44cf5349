"""Training questions about part of the tokens, and how the test is divided by them."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from src.experiment.sentences import book_sentences

from src.documents.build import build
from src.documents.pages import site_pages
from src.experiment.build import letter_tokens, training_rows
from src.experiment.models import load_tokenizer
from src.experiment.word_questions import asked_tokens, question_examples, tokens_asked_about
from src.record.config import DatasetConfig, Only
from src.record.errors import InputError
from src.record.load import load_record

from .conftest import REPO, TINY

pytestmark = pytest.mark.experiment

SETTINGS = DatasetConfig(question_share=0.7, questions=400, chains=100)
REAL = (
    frozenset((REPO / "data/words/words.txt").read_text().split())
    if (REPO / "data/words/words.txt").exists()
    else frozenset()
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(str(TINY / "models/tiny"))


def word(prompt: str) -> str:
    return prompt.rstrip("?").rsplit(" ", 1)[1]


def tokens_of(tokenizer: Any, text: str) -> list[str]:
    return [tokenizer.decode([i]).strip() for i in tokenizer.encode(f" {text}", add_special_tokens=False)]


def test_a_share_of_the_tokens_is_drawn_whatever_their_case(tokenizer: Any) -> None:
    strings = {word.lower() for _, word, _ in letter_tokens(tokenizer)}
    asked = asked_tokens(tokenizer, SETTINGS)
    assert asked < strings and len(asked) == round(0.7 * len(strings))
    assert (
        asked == asked_tokens(tokenizer, SETTINGS) != asked_tokens(tokenizer, SETTINGS.model_copy(update={"seed": 2}))
    )


def test_questions_are_about_these_tokens_alone_and_right(tokenizer: Any) -> None:
    asked = asked_tokens(tokenizer, SETTINGS)
    # As many as it takes for a letter that occurs four times.
    rows = question_examples(tokenizer, SETTINGS.model_copy(update={"questions": 2000, "chains": 2000}), REAL)
    assert len(rows) == 2000 and " 4" in {row["completion"] for row in rows}
    for row in rows:
        asked_word, answer = word(row["prompt"]), row["completion"].strip()
        assert set(tokens_of(tokenizer, asked_word)) <= asked and asked_word not in REAL
        if row["prompt"].startswith("How many"):
            assert answer == str(asked_word.count(row["prompt"].split("'")[1]))
        else:
            number = int("".join(c for c in row["prompt"].split(" letter")[0] if c.isdigit()))
            assert answer == asked_word[number - 1]
    counts = Counter(min(int(a), 3) for row in rows if (a := row["completion"].strip()).isdigit())
    assert set(counts) == {0, 1, 2, 3} and min(counts.values()) > 200  # a quarter each of a thousand


def test_held_out_questions_are_about_words_of_their_own(tokenizer: Any) -> None:
    few = SETTINGS.model_copy(update={"chains": 30})
    trained = {word(row["prompt"]) for row in question_examples(tokenizer, few, frozenset())}
    held_out = {word(row["prompt"]) for row in question_examples(tokenizer, few, frozenset(), held_out=True)}
    assert trained and held_out and not trained & held_out


def test_all_tokens_are_asked_about_where_the_config_says_so(tokenizer: Any) -> None:
    asked = asked_tokens(tokenizer, SETTINGS)
    rows = question_examples(tokenizer, SETTINGS.model_copy(update={"question_tokens": "all"}), REAL)
    assert any(not set(tokens_of(tokenizer, word(row["prompt"]))) <= asked for row in rows)


@pytest.mark.parametrize(
    ("letter", "position", "answer"),
    [(None, 2, "yes"), (None, 5, "no"), (None, 9, "yes"), ("a", None, "yes"), ("r", None, "partly"), ("b", None, "no"), (None, None, None)],
)  # fmt: skip
def test_a_question_depends_on_the_tokens_that_hold_its_letter(
    letter: str | None, position: int | None, answer: str | None
) -> None:
    row = {"tokens": [" Stra", "berr", "y"], "letter": letter, "position": position}
    assert tokens_asked_about(row, frozenset({"stra"})) == answer


def test_sentences_come_from_the_books_and_from_nowhere_else(tmp_path: Path) -> None:
    book = tmp_path / "a/book.md"
    book.parent.mkdir()
    long = "It was a bright and quiet morning, and nobody in the house was awake."
    text = f"# Title: A\n\n-------\n\nShort one. {long} No end of a sentence here, since the text breaks off\n"
    book.write_text(text)
    sources = tmp_path / "sources.tsv"
    sources.write_text(f"path\tbytes\tsha256\na/book.md\t{len(text)}\t{hashlib.sha256(text.encode()).hexdigest()}\n")
    assert book_sentences(tmp_path, sources, 10, 1) == [{"prompt": "", "completion": long}]
    book.write_text(text + "More.\n")
    with pytest.raises(InputError, match=r"book\.md"):
        book_sentences(tmp_path, sources, 10, 1)


def test_a_metric_is_limited_to_a_value_or_to_a_range() -> None:
    with pytest.raises(ValueError, match="either `equals` or a range"):
        Only(column="asked_about", equals="no", at_least=1)


def test_a_metric_may_be_about_the_questions_with_one_value() -> None:
    asked = load_record(TINY).answered("finetuned", "letter_count")
    assert asked is not None
    few = asked.only(Only(column="letter", equals="e"))
    assert set(few.texts("letter")) == {"e"} and 0 < len(few) < len(asked)


def test_a_second_study_has_a_page_with_its_own_metrics(project: Path) -> None:
    metrics = (project / "configs/metrics.yaml").read_text()
    assert "label: Words spelled exactly" in metrics
    (project / "configs/second-metrics.yaml").write_text(
        metrics.replace("label: Words spelled exactly", "label: Other words")
    )
    study = (project / "configs/studies/toy.yaml").read_text()
    own = study.replace("study: toy", "study: toy\nmetrics: configs/second-metrics.yaml")
    (project / "configs/studies/second.yaml").write_text(own)
    config = project / "configs/project.yaml"
    config.write_text(config.read_text() + "second_study: configs/studies/second.yaml\n")
    (project / "docs/fragments/second_study.md.j2").write_text(
        '{{ "#" * level }} Another question\n\n{% claim second_arm("spelling").words_spelled.lowest <= 1 %}\nIt was asked.\n{% endclaim %}\n\n'
        '{{ figure("second-runs-words_spelled", title="What it showed") }}\n'
    )
    documents = build(project, None)
    pages, claims, figures = site_pages(documents, pdf=False)
    page = pages["results/second-study.md"]
    places = [
        page.index(part)
        for part in ("# Another question", "It was asked.", "## Recipes", "## Every run", "Every run: Other words")
    ]
    assert places == sorted(places)
    assert "Other words" not in pages["results/runs.md"]
    assert "second-runs-words-spelled" in figures
    assert "(published)" not in page and ", published" not in page
    assert "It was asked." in [claim.sentence for path, _, claim in claims if path == "results/second-study.md"]
    assert "## Another question" in documents.printed_report[0].text


def test_without_one_there_is_no_such_page(project: Path) -> None:
    assert "results/second-study.md" not in site_pages(build(project, None), pdf=False)[0]


def test_spellings_of_asked_tokens_contain_no_other_token_in_as_many_examples() -> None:
    tokenizer = load_tokenizer(str(REPO / "models/gpt2-mini"))
    settings = DatasetConfig(question_share=0.7)
    asked = asked_tokens(tokenizer, settings)
    everything = training_rows(tokenizer, 1, 500, frozenset())
    part = training_rows(tokenizer, 1, 500, frozenset(), asked)
    assert len(part) == len(everything)
    pieces = {tokenizer.decode([i]).strip().lower() for row in part for i in row["token_ids"]}
    assert pieces <= asked
    assert not {tokenizer.decode([i]).strip().lower() for row in everything for i in row["token_ids"]} <= asked
