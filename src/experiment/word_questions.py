"""Training questions about made-up words, in the wording of the test, and which tokens they are about."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from src.record.config import DatasetConfig
from src.record.questions import ordinal

from .build import LETTERS, QUESTIONS, letter_tokens, made_up_words
from .shortcuts import letters_token

HELD_OUT_WORDS = 1000
HELD_OUT = 600
"""Made-up words that no training question is about, and questions about them, for the validation loss."""

COUNTS = (0, 1, 2, 3)
"""Right answers of training questions about a count, each equally often; the last stands for 3 and more."""


def asked_tokens(tokenizer: Any, config: DatasetConfig) -> frozenset[str]:
    """Draw the letters-only tokens that training questions are about, as their lower-case letters.

    A token with a space before it, in capitals or without is one and the same here, so that none of its spellings is held out while
    another one is asked about.
    """
    strings = sorted({word.lower() for _, word, _ in letter_tokens(tokenizer)})
    share = 1.0 if config.question_share is None else config.question_share
    return frozenset(random.Random(f"{config.seed}/asked tokens").sample(strings, round(len(strings) * share)))


def question_examples(
    tokenizer: Any, config: DatasetConfig, forbidden: frozenset[str], *, held_out: bool = False
) -> list[dict[str, Any]]:
    """Ask about made-up words of two or three tokens: as many questions for a count as for a position, in random order.

    A count of 0, 1, 2 or at least 3 is equally often right, a position is drawn evenly from the word's. A word may be asked about more
    than once.
    """
    allowed = asked_tokens(tokenizer, config)
    rng = random.Random(f"{config.seed}/held-out questions")
    words = [word for _, word in made_up_words(tokenizer, rng, HELD_OUT_WORDS, forbidden, allowed)]
    if held_out:
        return _examples(rng, words, HELD_OUT)
    rng = random.Random(f"{config.seed}/questions")
    drawn = made_up_words(tokenizer, rng, config.chains, forbidden | frozenset(words), allowed)
    return _examples(rng, [word for _, word in drawn], config.questions)


def _examples(rng: random.Random, words: list[str], total: int) -> list[dict[str, Any]]:
    letters: dict[int, dict[str, list[str]]] = {wanted: {} for wanted in COUNTS}
    for word in words:
        groups = defaultdict(list)
        for letter, count in sorted(Counter(word).items()):
            groups[min(count, COUNTS[-1])].append(letter)
        groups[0] = [letter for letter in LETTERS if letter not in word]
        for wanted, found in groups.items():
            letters[wanted][word] = found
    pools = {wanted: list(found) for wanted, found in letters.items()}
    rows = []
    for index in range(total):
        if index % 2:
            wanted = rng.choice([count for count in COUNTS if pools[count]])
            word = rng.choice(pools[wanted])
            letter = rng.choice(letters[wanted][word])
            prompt = QUESTIONS["letter_count"].format(letter=letter, word=word)
            answer = str(word.count(letter))
        else:
            word = rng.choice(words)
            position = rng.randint(1, len(word))
            prompt = QUESTIONS["letter_position"].format(ordinal=ordinal(position), word=word)
            answer = word[position - 1]
        rows.append({"prompt": prompt, "completion": f" {answer}"})
    rng.shuffle(rows)
    return rows


def tokens_asked_about(row: dict[str, Any], asked: frozenset[str]) -> str | None:
    """Return whether training asks about the tokens that hold the letter that a test question asks for; None if it asks for none.

    It is `yes` or `no` where all of those tokens agree, otherwise `partly`; a token of one letter counts as asked about, since the
    letter itself is what it shows.
    """
    pieces = [str(token).strip() for token in row["tokens"]]
    if row["position"]:
        holding = [letters_token(pieces, row["position"])[1]]
    elif row["letter"]:
        holding = [piece for piece in pieces if row["letter"] in piece]
    else:
        return None
    found = {all_asked([piece], asked) for piece in holding}
    return "partly" if len(found) != 1 else "yes" if True in found else "no"


def all_asked(tokens: Iterable[str], asked: frozenset[str]) -> bool:
    """Return whether training asks about every token of a word; a token of one letter shows that letter itself."""
    return all(len(token.strip()) == 1 or token.strip().lower() in asked for token in tokens)
