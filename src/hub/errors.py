"""How a publication can end, besides well and with bad input."""

from __future__ import annotations

from src.record.errors import CommandError


class Refused(CommandError):
    """A check failed, before or after the upload, or somebody said no. Nothing unverified is visible."""

    exit_code = 3


class Unreachable(CommandError):
    """The Hub could not be reached, or did not answer as it should, also after waiting."""

    exit_code = 4


INTERRUPTED = "interrupted. Nothing unverified is visible; run the same command again to resume."
"""What is said after Ctrl-C, and after SIGTERM."""


class Interrupted(CommandError):
    """A signal stopped it.

    Args:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(INTERRUPTED)
        self.exit_code = 128 + number
