"""How a tokenizer next to the record splits a word."""

from __future__ import annotations

from pathlib import Path

from src.record.files import parse_json, read_text


def split_word(folder: Path | None, word: str) -> list[str] | None:
    """Split a word, with a space before it, as in a sentence.

    Returns:
        The tokens as text without the space, or None if there is no tokenizer.
    """
    path = folder / "tokenizer.json" if folder else None
    if path is None or not path.is_file():
        return None
    from tokenizers import Tokenizer

    text = read_text(path, "Save the tokenizer again with `save_pretrained`.")
    parse_json(path, text)
    spaced = f" {word}"
    offsets = Tokenizer.from_str(text).encode(spaced, add_special_tokens=False).offsets
    return [part for start, end in offsets if (part := spaced[start:end].strip())]
