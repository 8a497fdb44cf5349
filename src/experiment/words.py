"""The English words that questions are asked about.

The committed list is the lines of Debian's wamerican 2020.12.07-2 that are 4 to 12 letters a to z, sorted:
`LC_ALL=C grep -xE '[a-z]{4,12}' /usr/share/dict/american-english | LC_ALL=C sort -u`.
"""

from __future__ import annotations

import re
from pathlib import Path

from src.record.errors import InputError, show
from src.record.files import read_text

WORD = re.compile(r"[a-z]{4,12}")


def read_word_list(path: Path) -> list[str]:
    """Read a word list, one word per line."""
    words = set(read_text(path, "Restore the list of words.").split())
    odd = next((word for word in words if not WORD.fullmatch(word)), None)
    if odd is not None:
        raise InputError(path, f"{show(odd)} is not a word of 4 to 12 letters a-z.")
    return sorted(words)
