"""How a publication can end, other than with success or with bad input."""

from __future__ import annotations

from src.record.errors import CommandError

UNEXPECTED = (LookupError, TypeError, ValueError, AttributeError, AssertionError, UnboundLocalError)
"""What huggingface_hub raises on an answer that is not the documented one; `json.JSONDecodeError` is a `ValueError`."""

AGAIN = "Run the same command again."
"""What to do where a publication continues with what is on the Hub."""


class Refused(CommandError):
    """A check failed, the Hub said no, or the person did."""

    exit_code = 3


class Unreachable(CommandError):
    """The Hub could not be reached, was too busy, or gave an unexpected answer."""

    exit_code = 4


class Ended(CommandError):
    """An error together with what is on the Hub now, one line per repository, as it was looked up."""

    def __init__(self, error: object, exit_code: int, state: list[str]) -> None:
        super().__init__("\n".join([str(error), *state]))
        self.exit_code = exit_code


class Stopped(BaseException):
    """A signal or the deadline, raised in the main thread; not an `Exception`, so that no library catches it."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
