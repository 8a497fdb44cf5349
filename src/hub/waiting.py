"""The one mechanism for waiting: a clock that ticks in the main thread, where signals and the deadline raise."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Self

from .errors import AGAIN, Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals by which a person or a system ends the command."""

QUIET = 30.0
"""Seconds after which a line says what is still going on, where no spinner is shown."""

SECONDS = 15 * 60.0
"""Time that a publication may take, plus a second for each megabyte."""


class Clock:
    """Ends the work by an exception when a signal comes or the time is up.

    The system's timer interrupts whatever blocks the main thread, such as a slow answer, once a second. Threads of other
    libraries could not be interrupted, so this package starts none that is waited for.
    """

    def __init__(self, seconds: float = SECONDS, spinner: Callable[[str], Any] | None = None) -> None:
        self._spinner = spinner
        self._task, self._since, self._reported = "", time.monotonic(), time.monotonic()
        self.allow(seconds)

    def allow(self, seconds: float) -> None:
        """Set the deadline, from now on."""
        self._deadline = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left."""
        return self._deadline - time.monotonic()

    @contextmanager
    def doing(self, task: str) -> Iterator[None]:
        """Show what is being done, for as long as it takes."""
        before = self._task, self._since
        self._task, self._since = task, time.monotonic()
        self._reported = self._since
        try:
            if self._spinner is None or before[0]:
                yield
            else:
                with self._spinner(task):
                    yield
        finally:
            self._task, self._since = before

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let no time pass, while a person is asked."""
        start = time.monotonic()
        yield
        self._deadline += time.monotonic() - start

    def __enter__(self) -> Self:
        self._handlers: dict[int, Any] = {signal.SIGALRM: signal.signal(signal.SIGALRM, self._tick)}
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup asks
                self._handlers[number] = signal.signal(number, self._stop)
        signal.setitimer(signal.ITIMER_REAL, 1, 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _tick(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now >= self._deadline:
            raise Stopped("the time was up. Give more with --timeout, and run the same command again.", 4)
        if self._task and self._spinner is None and now - self._reported >= QUIET:
            self._reported = now
            # Not through sys.stderr, in the middle of whose write this may be called; it may be closed.
            with suppress(OSError):
                os.write(2, f"{self._task}: {now - self._since:.0f} s\n".encode())

    def _stop(self, number: int, frame: FrameType | None) -> None:
        raise Stopped(f"interrupted by {signal.Signals(number).name}. {AGAIN}", 128 + number)


def duration(seconds: float) -> str:
    """Write a time in the unit a person would use."""
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
