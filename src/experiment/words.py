"""The English words that questions are asked about, derived from Debian's wamerican word list."""

from __future__ import annotations

import re
from pathlib import Path

from src.record.errors import InputError, show
from src.record.files import atomic, read_text

WORD = re.compile(r"[a-z]{4,12}")


def derive_word_list(dictionary: Path, output: Path) -> int:
    """Derive the committed list from a dictionary file: lower-case words of 4 to 12 letters a-z, sorted."""
    text = read_text(dictionary, "Install Debian's package wamerican 2020.12.07-2, or name another list.")
    words = sorted({line for line in text.splitlines() if WORD.fullmatch(line)})
    if not words:
        raise InputError(dictionary, "no word of 4 to 12 letters a-z in it.")
    with atomic(output) as temporary:
        temporary.write_text("\n".join(words) + "\n", encoding="utf-8")
    return len(words)


def read_word_list(path: Path) -> list[str]:
    """Read a word list, one word per line."""
    words = set(read_text(path, "Restore it, or derive it with `python -m src.dataset --dictionary FILE`.").split())
    odd = next((word for word in words if not WORD.fullmatch(word)), None)
    if odd is not None:
        raise InputError(path, f"{show(odd)} is not a word of 4 to 12 letters a-z.")
    return sorted(words)
