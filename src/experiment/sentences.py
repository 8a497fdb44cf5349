"""Sentences of the books that the base model was pretrained on: text that teaches nothing about spelling."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

from .pretrain import read_corpus

LENGTHS = range(40, 140)
"""Characters of a sentence that is kept: about as long as an example of the other kinds."""

_SENTENCE = re.compile(r"[A-Z][^.!?\n#*_|\[\]]+[.!?]")


def book_sentences(folder: Path, sources: Path, total: int, seed: int) -> list[dict[str, Any]]:
    """Draw sentences from the books that a list of sources names.

    Args:
        folder: Folder of the books.
        sources: The list, with the hash of each book.
        total: Sentences wanted; fewer if the books have no more.
        seed: Seed of the draw.

    Returns:
        Examples whose `completion` is a sentence.

    Raises:
        InputError: A book is missing, or differs from the list.
    """
    found = sorted(
        {
            sentence
            for book in read_corpus(folder, sources)
            for sentence in _SENTENCE.findall(book.text)
            if len(sentence) in LENGTHS
        }
    )
    drawn = random.Random(f"{seed}/sentences").sample(found, min(total, len(found)))
    return [{"prompt": "", "completion": sentence} for sentence in drawn]
