"""Guess the letter at a position without knowing the letters of its token: from tokens like it, from its embedding, from English."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import pairwise
from math import log
from typing import Any

import numpy as np

from src.record.tables import FloatArray

from .build import LETTERS, letter_tokens

NEIGHBORS = 10
"""Asked tokens whose letters are put to the vote."""

RIDGE = 1.0
"""Penalty of the linear probe."""


def letters_token(tokens: Iterable[str], position: int) -> tuple[int, str, int]:
    """Return the number of the token that holds the letter at a position, the token, and the letter's place in it; all count from 1."""
    start = 0
    for number, token in enumerate(tokens, start=1):
        length = len(token.strip())
        if start < position <= start + length:
            return number, token, position - start
        start += length
    raise ValueError(f"no letter at position {position}")


class Guesses:
    """Guesses about the letters of tokens, from those that training asked about, the base model's embeddings, and English words."""

    def __init__(self, tokenizer: Any, embeddings: FloatArray, asked: frozenset[str], words: Iterable[str]) -> None:
        known = [(i, word.lower()) for i, word, _ in letter_tokens(tokenizer) if word.lower() in asked]
        self._asked_ids = np.array([i for i, _ in known], dtype=np.int64)
        self._asked = [word for _, word in known]
        self._embeddings = embeddings
        self._unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        self._tokenizer, self._words = tokenizer, list(words)
        self._orders: dict[str, str] = {}

    def _embedded(self, token: str) -> int | None:
        ids = self._tokenizer.encode(token, add_special_tokens=False)
        return int(ids[0]) if len(ids) == 1 else None

    def look_alike(self, token: str, place: int) -> str:
        """Return the letter that most of the nearest asked tokens have at a place; of several, the nearest token's.

        Near is by the cosine of the embeddings. Other writings of the token itself do not count. A token of one letter is that letter.
        """
        own, found = token.strip().lower(), self._embedded(token)
        if len(own) == 1 or found is None:
            return own[:1]
        nearest = np.argsort(-(self._unit[self._asked_ids] @ self._unit[found]), kind="stable")
        letters = [self._asked[i][place - 1] for i in nearest if len(self._asked[i]) >= place and self._asked[i] != own]
        votes = Counter(letters[:NEIGHBORS])
        return max(votes, key=votes.__getitem__) if votes else own[:1]

    @cached_property
    def _probe(self) -> Mapping[int, FloatArray]:
        """Fit, for each place in a token, ridge regressions from the embedding to each letter, on the asked tokens."""
        fitted: dict[int, FloatArray] = {}
        for place in range(1, max(map(len, self._asked), default=0) + 1):
            rows = [i for i, word in enumerate(self._asked) if len(word) >= place]
            inputs = self._with_bias(self._embeddings[self._asked_ids[rows]])
            targets = np.zeros((len(rows), len(LETTERS)))
            targets[np.arange(len(rows)), [LETTERS.index(self._asked[i][place - 1]) for i in rows]] = 1
            square = inputs.T @ inputs + RIDGE * np.eye(inputs.shape[1])
            fitted[place] = np.asarray(np.linalg.solve(square, inputs.T @ targets), dtype=np.float64)
        return fitted

    @staticmethod
    def _with_bias(rows: FloatArray) -> FloatArray:
        return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)

    def probe(self, token: str, place: int) -> str:
        """Return the letter that a linear probe of the token's embedding, fitted on asked tokens, finds most likely at a place."""
        own, found = token.strip().lower(), self._embedded(token)
        if len(own) == 1 or found is None or place not in self._probe:
            return own[:1]
        scores = self._with_bias(self._embeddings[[found]]) @ self._probe[place]
        return LETTERS[int(scores[0].argmax())]

    @cached_property
    def _pairs(self) -> Mapping[tuple[str, str], float]:
        counts = Counter(pair for word in self._words for pair in pairwise(word))
        total = sum(counts.values())
        return {(a, b): log((counts[a, b] + 1) / (total + len(LETTERS) ** 2)) for a in LETTERS for b in LETTERS}

    def english_order(self, token: str, place: int) -> str:
        """Return the letter at a place when the token's letters are put in the order whose pairs are the most frequent in English."""
        own = token.strip().lower()
        if own not in self._orders:
            self._orders[own] = self._likeliest(own)
        return self._orders[own][place - 1]

    def _likeliest(self, letters: str) -> str:
        """Find the likeliest order by going through all sets of letters (Held and Karp 1962)."""
        letters = "".join(sorted(letters))  # ties must not be decided by the right order
        size = len(letters)
        best: dict[tuple[int, int], tuple[float, str]] = {(1 << i, i): (0.0, letters[i]) for i in range(size)}
        for _ in range(size - 1):
            longer: dict[tuple[int, int], tuple[float, str]] = {}
            for (used, last), (score, order) in best.items():
                for i in range(size):
                    if used >> i & 1:
                        continue
                    found = (score + self._pairs.get((letters[last], letters[i]), -20.0), order + letters[i])
                    key = (used | 1 << i, i)
                    if key not in longer or found[0] > longer[key][0]:
                        longer[key] = found
            best = longer
        return max(best.values())[1]
