"""What ends a command, and the one error that bad input gets: which file and key, what was found, expected, the hint."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

_FOUND_LIMIT = 200


INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Unicode's categories of characters that are not seen: controls, marks of direction, halves of pairs, unassigned ones, line ends."""


def printable(value: object, allowed: str = "") -> str:
    """Replace what is not seen in an untrusted text, and what a terminal or a page would obey instead of showing it."""
    text = str(value)
    if text.translate(dict.fromkeys(map(ord, allowed))).isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if c not in allowed and unicodedata.category(c) in INVISIBLE else c for c in text
    )


def show(value: object) -> str:
    """Give a bounded, printable form of an untrusted value for an error message."""
    text = printable(value)
    return text if len(text) <= _FOUND_LIMIT else text[: _FOUND_LIMIT - 1] + "…"


def did_you_mean(name: str, known: Iterable[str], ending: str = "") -> str:
    """Return `; did you mean NAME?` with the known name that is nearest; nothing where none is near."""
    near = get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}{ending}?" if near else ""


class CommandError(Exception):
    """What ends a command with one message, without a traceback, and with an exit code of its own."""

    exit_code = 1


class InputError(CommandError):
    """Input that cannot be used: the file at fault, and a sentence that says what is wrong with it.

    Args:
        file: The file at fault, or what else the input came from.
        message: What is wrong and what to do about it, with the key, column or row first where there is one.
    """

    exit_code = 2

    def __init__(self, file: Path | str, message: str) -> None:
        self.file, self.message = printable(file), printable(message, "\n")
        super().__init__(self.file, self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let the error pass from one process to another."""
        return type(self), (self.file, self.message)

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"
