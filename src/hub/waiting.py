"""Waiting for the Hub, in one place: announced, bounded, and as long as the Hub asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
from huggingface_hub.utils._http import hf_request_event_hook, parse_ratelimit_headers

from .errors import Unreachable

SILENCE = 9.0
"""Seconds without an answer after which the person who waits is told."""

CONNECT = 9.0
"""Seconds for the connection alone."""

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP statuses that may be different the next time."""


class Busy(Exception):
    """The Hub did not answer, or says that it is busy.

    huggingface_hub does not know this error, so it passes through the client's own loops and threads, which would wait without a
    word, to `Hub.call`, which says so.

    Args:
        what: A word or two for the person who waits.
        status: The HTTP status, if there was an answer.
        retry_after: Seconds that the Hub asks to wait.
    """

    def __init__(self, what: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(what)
        self.status, self.retry_after = status, retry_after


class Waiting:
    """Knows since when the Hub has been silent, and says so while somebody waits.

    Args:
        say: Called with a line for the person who waits.
        patience: Seconds without an answer after which to give up, all tries and pauses together.
        moved: Called with the size of every block that was sent or received.
    """

    def __init__(
        self, say: Callable[[str], None], patience: float, moved: Callable[[int], None] = lambda count: None
    ) -> None:
        self.say, self.patience, self._moved = say, patience, moved
        self._heard = time.monotonic()
        self._trouble = False
        self._announcing = False

    def heard(self, count: int = 0) -> None:
        """Note a sign of life, and the bytes that came or went with it.

        After a request that was not answered, only bytes of a file, or the end of what was asked for, count as one: a server that
        answers small questions only is not awaited for ever.
        """
        if count or not self._trouble:
            self._heard, self._trouble = time.monotonic(), False
        if count:
            self._moved(count)

    def trouble(self) -> None:
        """Note a request without a useful answer: from the last sign of life on, pauses included, the time counts as waiting."""
        self._trouble = True

    def left(self) -> float:
        """Return the seconds that may still be waited."""
        return self._heard + self.patience - time.monotonic()

    @contextmanager
    def announced(self, what: str) -> Iterator[None]:
        """Say it when there is no sign of life for a while; a thread, since the waiting is done in other people's code."""
        if self._announcing:
            yield
            return
        if not self._trouble:
            self.heard()
        self._announcing, done = True, threading.Event()
        threading.Thread(target=self._announce, args=(what, done), daemon=True).start()
        try:
            yield
            self._heard, self._trouble = time.monotonic(), False
        finally:
            self._announcing = False
            done.set()

    def _announce(self, what: str, done: threading.Event) -> None:
        said = 0.0
        while not done.wait(0.5):
            silent = time.monotonic() - self._heard
            if silent < SILENCE:
                said = 0.0
            elif silent >= 3 * said:
                said = silent
                self.say(f"{what}: nothing for {silent:.0f} s; still waiting")


class Client(httpx2.Client):
    """The HTTP client of huggingface_hub, with the waiting taken out: what may be repeated ends at once, as `Busy`."""

    def __init__(self, waiting: Waiting) -> None:
        super().__init__(event_hooks={"request": [hf_request_event_hook]}, follow_redirects=True, timeout=None)
        self._waiting = waiting

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request; bound it by the patience that is left.

        Raises:
            Busy: There was no answer, or one that may be different the next time.
            Unreachable: The answers lead in circles.
        """
        waiting, left = self._waiting, self._waiting.left()
        if left <= 0:
            raise Busy("no answer")
        given = request.extensions.get("timeout", {})
        bounds = {
            "connect": min(CONNECT, left),
            **{k: min(given.get(k) or left, left) for k in ("read", "write", "pool")},
        }
        request.extensions = {**request.extensions, "timeout": bounds}
        if isinstance(request.stream, httpx2.SyncByteStream) and not isinstance(request.stream, httpx2.ByteStream):
            request.stream = _CountedStream(request.stream, waiting.heard)
        try:
            response = super().send(request, **options)
        except httpx2.TransportError as error:
            waiting.trouble()
            raise Busy(type(error).__name__) from error
        except httpx2.TooManyRedirects:
            raise Unreachable(
                f"{request.url.copy_with(query=None)} leads in circles (too many redirects). Check HF_ENDPOINT and proxies. "
                "Nothing unverified is visible; run the same command again."
            ) from None
        if response.status_code in TRANSIENT:
            response.close()
            waiting.trouble()
            code = response.status_code
            raise Busy(f"HTTP {code}", code, retry_after(response.headers))
        waiting.heard()
        if isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = _CountedStream(response.stream, waiting.heard)
        return response


class _CountedStream(httpx2.SyncByteStream):
    """A body of which every block is a sign of life."""

    def __init__(self, inner: httpx2.SyncByteStream, heard: Callable[[int], None]) -> None:
        self._inner, self._heard = inner, heard

    def __iter__(self) -> Iterator[bytes]:
        for block in self._inner:
            self._heard(len(block))
            yield block

    def close(self) -> None:
        self._inner.close()


def retry_after(headers: httpx2.Headers) -> float | None:
    """Return the seconds that an answer asks to wait: as a number, as a date, or as the Hub's own rate limit."""
    value = headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    if value:
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except ValueError:
            return None
    limit = parse_ratelimit_headers(headers)
    return float(limit.reset_in_seconds) if limit and limit.remaining == 0 else None
