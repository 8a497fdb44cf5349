"""Training questions about part of the tokens, and how the test is divided by them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from src.experiment.build import letter_tokens, training_rows
from src.experiment.models import load_tokenizer
from src.experiment.shortcuts import Guesses, letters_token
from src.experiment.word_questions import asked_tokens, question_examples, tokens_asked_about
from src.record.config import DatasetConfig

from .conftest import REPO, TINY

pytestmark = pytest.mark.experiment

SETTINGS = DatasetConfig(question_share=0.7, questions=400, chains=100)
WORDS = REPO / "data/words/words.txt"
REAL = frozenset(WORDS.read_text().split()) if WORDS.exists() else frozenset()


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
    assert asked == asked_tokens(tokenizer, SETTINGS)
    assert asked != asked_tokens(tokenizer, SETTINGS.model_copy(update={"seed": 2}))


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


@pytest.mark.parametrize(
    ("letter", "position", "answer"),
    [(None, 2, "yes"), (None, 5, "no"), (None, 9, "yes"), ("a", None, "yes"), ("r", None, "partly"), ("b", None, "no"), (None, None, None)],
)  # fmt: skip
def test_a_question_depends_on_the_tokens_that_hold_its_letter(
    letter: str | None, position: int | None, answer: str | None
) -> None:
    row = {"tokens": [" Stra", "berr", "y"], "letter": letter, "position": position}
    assert tokens_asked_about(row, frozenset({"stra"})) == answer


@pytest.mark.slow
def test_spellings_of_asked_tokens_contain_no_other_token_in_as_many_examples(large: Any) -> None:
    asked = asked_tokens(large, SETTINGS)
    everything = training_rows(large, 1, 500, frozenset())
    part = training_rows(large, 1, 500, frozenset(), asked)
    assert len(part) == len(everything)
    pieces, others = (
        {large.decode([i]).strip().lower() for row in rows for i in row["token_ids"]} for rows in (part, everything)
    )
    assert pieces <= asked and not others <= asked


@pytest.fixture(scope="module")
def large() -> Any:
    """The tokenizer of the project's own model, whose tokens are longer."""
    return load_tokenizer(str(REPO / "models/gpt2-mini"))


@pytest.fixture(scope="module")
def guesses(large: Any) -> Guesses:
    embeddings = np.random.default_rng(0).normal(size=(len(large), 8))
    return Guesses(large, embeddings, asked_tokens(large, SETTINGS), ["straw", "berry"])


def test_the_letters_token_is_found_by_its_place() -> None:
    assert letters_token([" straw", "berry"], 5) == (1, " straw", 5)
    assert letters_token([" straw", "berry"], 6) == (2, "berry", 1)
    with pytest.raises(ValueError, match="position 11"):
        letters_token([" straw", "berry"], 11)


def test_look_alikes_vote_and_never_for_the_token_itself(guesses: Guesses) -> None:
    near = guesses._unit.copy()
    own = guesses._embedded("berry")
    assert own is not None
    long = [n for n, word in enumerate(guesses._asked) if len(word) >= 3 and word != "berry"][:4]
    for rank, n in enumerate(long):  # the four nearest, in this order
        near[guesses._asked_ids[n]] = near[own] * (1 + rank * 1e-3)
    letters = [guesses._asked[n][2] for n in long]
    guesses_near = Guesses(guesses._tokenizer, near, frozenset(guesses._asked[n] for n in long), [])
    most = max(letters, key=letters.count)
    best = {letter for letter in letters if letters.count(letter) == letters.count(most)}
    assert guesses_near.look_alike("berry", 3) in best
    assert guesses.look_alike("r", 1) == "r"  # a token of one letter is that letter


def test_the_likeliest_order_uses_frequent_pairs_and_no_right_order(guesses: Guesses) -> None:
    words = Guesses(guesses._tokenizer, guesses._embeddings, frozenset({"the"}), ["then", "the", "these"] * 5)
    assert "".join(words.english_order("eht", place) for place in (1, 2, 3)) == "the"
    assert words.english_order("the", 1) == words.english_order("het", 1)


def test_a_linear_probe_finds_letters_that_embeddings_hold(large: Any) -> None:
    embeddings = np.full((len(large), 26), 1e-6)
    for token_id, word, _ in letter_tokens(large):
        embeddings[token_id, ord(word.lower()[1]) - ord("a")] += 1  # the second letter, and nothing else
    probe = Guesses(large, embeddings, asked_tokens(large, SETTINGS), [])
    assert [probe.probe(token, 2) for token in (" straw", "berry", " black")] == ["t", "e", "l"]
