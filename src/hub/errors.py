"""How a publication can end, besides well and with bad input."""

from __future__ import annotations

from src.record.errors import CommandError


class Refused(CommandError):
    """A check failed, before or after the upload, or somebody said no. Nothing unverified is visible."""

    exit_code = 3


class Unreachable(CommandError):
    """The Hub could not be reached, or did not answer as it should, also after waiting."""

    exit_code = 4


class Interrupted(CommandError):
    """The person at the keyboard stopped it."""

    exit_code = 130
