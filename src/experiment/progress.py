"""Progress bars for long work: on standard error, and silent when that is not a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class _Noted(Progress):
    """A progress display whose tasks carry a short note, such as the current loss."""

    def add_task(self, description: str, **fields: Any) -> Any:  # type: ignore[override]
        fields.setdefault("note", "")
        return super().add_task(description, **fields)


def progress_bar() -> Progress:
    """Return a progress display; tasks may be updated with `note`, a few words shown next to the bar."""
    console = Console(stderr=True)
    return _Noted(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
