"""The outcomes of checks, collected and shown one by one."""

from __future__ import annotations

from collections.abc import Callable

from src.record.publication import Check, Outcome, Role


class Checks:
    """Everything that was checked so far.

    Args:
        show: Called with each check once it is done.
    """

    def __init__(self, show: Callable[[Check], None]) -> None:
        self.done: list[Check] = []
        self._show = show

    def add(self, role: Role, name: str, outcome: Outcome | bool, detail: str | None = None) -> None:
        """Keep a check and show it.

        Args:
            role: The repository that was looked at.
            name: What was looked at.
            outcome: The outcome, or whether it passed.
            detail: What was found, or why it was not checked.
        """
        if isinstance(outcome, bool):
            outcome = "passed" if outcome else "failed"
        check = Check(repo=role, name=name, outcome=outcome, detail=detail or None)
        self.done.append(check)
        self._show(check)

    @property
    def failed(self) -> list[str]:
        """The checks that failed, by repository and name."""
        return [f"{check.repo}: {check.name}" for check in self.done if check.outcome == "failed"]
