"""Drawing in a process of its own, beside other work; light to import, so that it can begin early."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .catalog import Chart


class Beside:
    """Draws in a process of its own while the caller goes on with something else; a context that waits for it at its end.

    It is worth its while only where nothing is kept yet; otherwise, and without a cache, it does nothing, and pictures are drawn
    when they are asked for.

    Args:
        folder: Where rendered charts are kept.
        first: Work for that process while there is nothing to draw yet, and its arguments.
    """

    def __init__(self, folder: Path | None, first: Callable[..., object] | None = None, *arguments: object) -> None:
        self.folder = folder
        self._jobs: list[Future[object]] = []
        self._first: list[Future[object]] = []
        self._pool: ProcessPoolExecutor | None = None
        if folder is not None and not any(folder.glob("*.light.svg")):
            self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
            if first is not None:
                self.also(first, *arguments)
                self._first = list(self._jobs)
            self.also(_warm)

    @property
    def busy(self) -> bool:
        """Whether there is a process at work."""
        return self._pool is not None

    def ready(self) -> None:
        """Wait for the first work."""
        for job in self._first:
            job.result()

    def draw(self, charts: list[Chart]) -> None:
        """Have charts drawn and kept."""
        from .catalog import render

        for chart in charts:
            self.also(render, chart, "light.svg", self.folder)

    def also(self, function: Callable[..., object], *arguments: object) -> None:
        """Have something else done, by a function that keeps what it makes."""
        if self._pool is not None:
            self._jobs.append(self._pool.submit(function, *arguments))

    def wait(self) -> None:
        """Wait until all that was asked for is drawn and kept."""
        for job in self._jobs:
            job.result()
        if self._pool is not None:
            self._pool.shutdown()

    def cancel(self) -> None:
        """Leave the rest undrawn."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self.wait()
        else:
            self.cancel()


def _warm() -> None:
    """Import what drawing needs, while there is nothing to draw yet."""
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_svg
    import matplotlib.figure  # noqa: F401
