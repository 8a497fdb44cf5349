"""How labels that an author wrote stand within a sentence."""

from __future__ import annotations


def midsentence(label: str) -> str:
    """Write a label as it stands within a sentence: `exact match`, but `ROUGE-L`."""
    first, _, rest = label.partition(" ")
    return label if first[1:] != first[1:].lower() else f"{first.lower()} {rest}".rstrip()
