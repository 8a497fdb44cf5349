"""huggingface_hub's client with one retry, one deadline and clear errors."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
import huggingface_hub as hf
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalTokenNotFoundError,
    OIDCError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import disable_progress_bars, parse_ratelimit_headers

from src.record.errors import CommandError, show

from .errors import UNEXPECTED, Refused, Unreachable
from .redact import add_secret
from .waiting import Clock

Result = TypeVar("Result")

ATTEMPTS = 5
"""How often a request is sent."""

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP statuses that may be different the next time."""

COMMIT = re.compile(r"/api/(models|datasets|spaces)/[^/]+/[^/]+/commit/")
"""The one request that is never sent again before somebody looked whether it was carried out."""

DOWNLOAD = re.compile(r"/[^/]+/[^/]+/resolve/")
"""Addresses of files."""


class Busy(Exception):
    """The Hub did not answer, or says that it is busy. huggingface_hub's own loops do not know this error and let it through.

    Args:
        what: What happened, in a word or two.
        retry_after: Seconds that the Hub asks to wait.
    """

    def __init__(self, what: str, retry_after: float | None = None) -> None:
        super().__init__(what)
        self.retry_after = retry_after


class Retry:
    """Waits between two attempts, as long as the Hub asks.

    Args:
        clock: Knows how much time is left.
        say: Called with a line for the person who waits.
    """

    def __init__(self, clock: Clock, say: Callable[[str], None]) -> None:
        self.clock, self.say = clock, say

    def repeat(self, function: Callable[[], Result]) -> Result:
        """Call a function again while it finds the Hub busy.

        Raises:
            Unreachable: The Hub was still busy after several attempts.
        """
        for attempt in count(1):
            try:
                return function()
            except Busy as busy:
                self._wait(busy, attempt)
        raise AssertionError("the last attempt returns or raises")

    def _wait(self, busy: Busy, attempt: int) -> None:
        pause = min(8.0, 0.5 * 2**attempt) if busy.retry_after is None else busy.retry_after
        if attempt >= ATTEMPTS or pause >= self.clock.left():
            later = "" if busy.retry_after is None else f" in {busy.retry_after:.0f} s"
            raise Unreachable(
                f"{hf.constants.ENDPOINT}: {busy}, {attempt} times in a row. Check the connection, and run the same command again{later}."
            )
        self.say(f"the Hub is busy ({busy}); trying again in {pause:.0f} s")
        time.sleep(pause)


class Client(httpx2.Client):
    """The HTTP client that huggingface_hub is given.

    Args:
        retry: Waits between two attempts.
        transport: What sends the requests; the network by default.
    """

    def __init__(self, retry: Retry, transport: httpx2.BaseTransport | None = None) -> None:
        super().__init__(event_hooks={"response": [_stay]}, follow_redirects=True, timeout=60, transport=transport)
        self._retry = retry

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request, again while the Hub is busy; a commit and the body of a file are sent once.

        Raises:
            Busy: A commit or a file was not answered as it should.
            Unreachable: The Hub was still busy after several attempts.
        """
        if hf.is_offline_mode():
            raise Unreachable(f"{hf.constants.ENDPOINT}: HF_HUB_OFFLINE is set. Unset it to publish.")
        # A stream is consumed when it was sent, and only its owner can rewind it.
        if COMMIT.search(request.url.path) or not isinstance(request.stream, httpx2.ByteStream):
            return self._send(request, options)
        return self._retry.repeat(lambda: self._send(request, options))

    def _send(self, request: httpx2.Request, options: dict[str, Any]) -> httpx2.Response:
        try:
            response = super().send(request, **options)
        except httpx2.UnsupportedProtocol:
            raise Unreachable(f"{hf.constants.ENDPOINT}: not an address of a Hub. Correct HF_ENDPOINT.") from None
        except httpx2.TransportError as error:
            raise Busy(type(error).__name__) from error
        if response.status_code in TRANSIENT:
            response.close()
            raise Busy(f"HTTP {response.status_code}", _retry_after(response.headers))
        return response


def _stay(response: httpx2.Response) -> None:
    """Refuse a redirect that would send a change, or a request to the Hub's API, somewhere else than it was meant for.

    A file may come from another host, as the Hub's large files do; the client sends no token there.
    """
    if not response.has_redirect_location:
        return
    request, target = response.request, response.headers.get("location", "")
    try:
        goes = request.url.join(target)
    except httpx2.InvalidURL:
        raise Unreachable(f"{request.url.host}: redirects to an address that is none. Check HF_ENDPOINT.") from None
    reads = request.method in ("GET", "HEAD")
    other = (goes.scheme, goes.host, goes.port) != (request.url.scheme, request.url.host, request.url.port)
    if other and not (reads and DOWNLOAD.search(request.url.path)):
        raise Unreachable(
            f"{request.url.host}: redirects {request.url.path} to {show(goes.host)}. Check HF_ENDPOINT and proxies."
        )
    if not reads:
        raise Refused(
            f"{request.url.path}: moved to {show(goes.path)} on the Hub. Correct the name in the project config if it was renamed."
        )


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Return the seconds that an answer asks to wait: a number, a date, or the Hub's own rate limit."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    if value:
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except ValueError:
            return None
    limit = parse_ratelimit_headers(headers)
    return float(limit.reset_in_seconds) if limit and limit.remaining == 0 else None


@contextmanager
def explained() -> Iterator[None]:
    """Turn every error of huggingface_hub into one line, except that a repository or revision does not exist.

    Raises:
        Refused: The Hub said no.
        Unreachable: The Hub could not be reached, or gave an unexpected answer.
    """
    try:
        yield
    except (CommandError, Busy):
        raise
    except RuntimeError as error:  # what the client wraps a failed upload in
        if isinstance(error.__cause__, Exception):
            with explained():
                raise error.__cause__ from None
        raise _unexpected(error) from None
    except RevisionNotFoundError:
        raise
    except RepositoryNotFoundError as error:
        if error.response.status_code == 401 and error.response.request.headers.get("authorization"):
            raise _explain(error) from None
        raise
    except (HfHubHTTPError, httpx2.HTTPError, LocalTokenNotFoundError, OIDCError) as error:
        raise _explain(error) from None
    except (httpx2.InvalidURL, *UNEXPECTED) as error:
        raise _unexpected(error) from None


def _unexpected(error: Exception) -> Unreachable:
    what = f"{type(error).__name__}: {show(error)}"
    return Unreachable(f"{hf.constants.ENDPOINT}: unexpected answer from the Hub ({what}). Check HF_ENDPOINT.")


def _explain(error: Exception) -> CommandError:
    endpoint = hf.constants.ENDPOINT
    if isinstance(error, LocalTokenNotFoundError):
        return Refused("not logged in. Run `hf auth login`, or set HF_TOKEN to a token that may write.")
    if isinstance(error, OIDCError):
        return Refused(f"no token for HF_OIDC_RESOURCE: {show(error)}")
    if isinstance(error, HfHubHTTPError):
        code = error.response.status_code
        said = show(error.server_message or error.response.reason_phrase)
        if code == 401:
            return Refused(f"the Hub does not accept the token ({said}). Run `hf auth login`, or renew HF_TOKEN.")
        if code == 403:
            return Refused(f"the token may not do this ({said}). Use a token that may write to the repositories.")
        return Refused(f"{error.response.url.path}: the Hub refused with HTTP {code} ({said}).")
    return Unreachable(f"{endpoint}: {type(error).__name__}: {show(error)}. Check the connection.")


def find_token() -> str:
    """Return the token of the environment, the CI's identity or `hf auth login`.

    Raises:
        Refused: There is none, or it cannot be one.
        Unreachable: The Hub could not be asked for one.
    """
    if urlsplit(hf.constants.ENDPOINT).password:
        raise Refused("HF_ENDPOINT contains a password, which the receipt would repeat. Leave it out.")
    with explained():
        token = hf.get_token()
    if not token:
        raise _explain(LocalTokenNotFoundError())
    add_secret(token)
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Refused(
            "the token contains characters that no token has. Copy it again, into HF_TOKEN or `hf auth login`."
        )
    return token


def local_token() -> str | None:
    """Return the token of the environment or of `hf auth login`, without asking anybody for one."""
    token = None if os.environ.get("HF_OIDC_RESOURCE") else hf.get_token()
    add_secret(token or "")
    return token


def prepare(retry: Retry, *, verbose: bool) -> None:
    """Set huggingface_hub up: our client, no progress bars of its own, its log and every request's on standard error."""
    hf.set_client_factory(lambda: Client(retry))
    disable_progress_bars()
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    for name in ("huggingface_hub", "httpx2"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO if verbose else logging.ERROR)
