"""The one mechanism for waiting: a clock that ticks in the main thread, where signals and the deadline raise."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from .errors import AGAIN, Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals by which a person or a system ends the command."""

SECONDS = 15 * 60.0
"""Time that a publication may take, plus a second for each megabyte."""


class Clock:
    """Ends the work by an exception when a signal comes or the time is up.

    The system's timer interrupts whatever blocks the main thread, such as a slow answer, once a second. Threads of other
    libraries could not be interrupted, so this package starts none that is waited for.

    Attributes:
        doing: Shows what is being done, for as long as it takes.
    """

    def __init__(self, seconds: float, doing: Callable[[str], AbstractContextManager[object]]) -> None:
        self.doing = doing
        self.allow(seconds)

    def allow(self, seconds: float) -> None:
        """Set the deadline, from now on."""
        self._deadline = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left."""
        return self._deadline - time.monotonic()

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
        if self.left() <= 0:
            raise Stopped("the time was up. Give more with --timeout, and run the same command again.", 4)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        raise Stopped(f"interrupted by {signal.Signals(number).name}. {AGAIN}", 128 + number)
