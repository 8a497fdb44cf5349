"""huggingface_hub's client with one retry, one deadline and clear errors."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
import huggingface_hub as hf
from huggingface_hub.errors import HfHubHTTPError, OIDCError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import disable_progress_bars, parse_ratelimit_headers

from src.record.errors import CommandError, show

from .errors import UNEXPECTED, Refused, Unreachable
from .redact import Redactor
from .waiting import Clock

Result = TypeVar("Result")

ATTEMPTS = 5
"""How often a request is sent."""

PATIENCE = 60.0
"""Seconds to wait for an answer."""

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP statuses that may be different the next time."""

COMMIT = re.compile(r"/api/(models|datasets|spaces)/[^/]+/[^/]+/commit/")
"""The one request that is never sent again before somebody looked whether it was carried out."""

DOWNLOAD = re.compile(r"/[^/]+/[^/]+/resolve/")
"""Addresses of files."""

LOGIN = "Run `hf auth login`, or set HF_TOKEN to a token that may write."

_QUERY = re.compile(r"\?[^\s'\"<>]+")


class Busy(Exception):
    """The Hub did not answer, or says that it is busy. huggingface_hub's own loops do not know this error and let it through."""

    def __init__(self, problem: str, advice: str, retry_after: float | None = None) -> None:
        super().__init__(problem)
        self.advice, self.retry_after = advice, retry_after


class Retry:
    """Repeats what finds the Hub busy, after as long as the Hub asks."""

    def __init__(self, clock: Clock, say: Callable[[str], None], redactor: Redactor, *, verbose: bool = False) -> None:
        self.clock, self.say, self._redactor, self.verbose = clock, say, redactor, verbose
        self.token: str | None = None

    def keep_secret(self, token: str) -> None:
        """Send a token to nobody but the Hub, and print it nowhere."""
        self.token = token
        self._redactor.add(token)

    def repeat(self, function: Callable[[], Result]) -> Result:
        """Call a function again while it finds the Hub busy."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return function()
            except Busy as busy:
                self._wait(busy, attempt)

    def _wait(self, busy: Busy, attempt: int) -> None:
        pause = min(8.0, 0.5 * 2**attempt) if busy.retry_after is None else busy.retry_after
        if attempt >= ATTEMPTS or pause >= self.clock.left():
            later = "" if busy.retry_after is None else f" in {busy.retry_after:.0f} s"
            times = "" if attempt == 1 else f", {attempt} times in a row"
            raise Unreachable(f"{hf.constants.ENDPOINT}: {busy}{times}. {busy.advice} the same command again{later}.")
        self.say(f"{busy}; trying again in {pause:.0f} s")
        time.sleep(pause)


class Client(httpx2.Client):
    """The HTTP client that huggingface_hub is given."""

    def __init__(self, retry: Retry, transport: httpx2.BaseTransport | None = None) -> None:
        super().__init__(
            event_hooks={"response": [_refuse_redirects]}, follow_redirects=True, timeout=PATIENCE, transport=transport
        )
        self._retry = retry

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request, again while the Hub is busy; a commit and the body of a file are sent once."""
        if hf.is_offline_mode():
            raise Unreachable(f"{hf.constants.ENDPOINT}: HF_HUB_OFFLINE is set. Unset it to publish.")
        token = self._retry.token
        if token and token in request.headers.get("authorization", "") and not _same_origin(
            request.url, httpx2.URL(hf.constants.ENDPOINT)
        ):  # fmt: skip
            raise Unreachable(f"{hf.constants.ENDPOINT}: leads to {show(request.url.host)}, which gets no token.")
        # A stream is consumed once it was sent, and only its owner can rewind it.
        if COMMIT.search(request.url.path) or not isinstance(request.stream, httpx2.ByteStream):
            return self._send(request, options)
        return self._retry.repeat(lambda: self._send(request, options))

    def _send(self, request: httpx2.Request, options: dict[str, Any]) -> httpx2.Response:
        try:
            response = super().send(request, **options)
        except httpx2.UnsupportedProtocol:
            raise  # another try will not help
        except httpx2.TransportError as error:
            problem = f"no answer from {request.url.host} ({type(error).__name__})"
            raise Busy(problem, "Check the connection, and run") from error
        if self._retry.verbose:  # without the query, which may be a signature
            self._retry.say(f"{request.method} {request.url.copy_with(query=None)}: {response.status_code}")
        if response.status_code in TRANSIENT:
            response.close()
            problem = "limits requests" if response.status_code == 429 else "is busy"
            raise Busy(f"the Hub {problem} (HTTP {response.status_code})", "Run", _retry_after(response.headers))
        return response


def _same_origin(one: httpx2.URL, other: httpx2.URL) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def _refuse_redirects(response: httpx2.Response) -> None:
    """Refuse a redirect that would send a change, or a request to the Hub's API, somewhere else than it was meant for.

    A file may come from another host, as the Hub's large files do; the client sends no token there.
    """
    if not response.has_redirect_location:
        return
    request = response.request
    target = request.url.join(response.headers.get("location", ""))
    reads = request.method in ("GET", "HEAD")
    if not _same_origin(target, request.url) and not (reads and DOWNLOAD.search(request.url.path)):
        raise Unreachable(f"{request.url.host}: redirects to {show(target.host)}. Check HF_ENDPOINT and proxies.")
    if not reads:
        raise Refused(f"{request.url.path}: moved to {show(target.path)}. Correct the name in the project config.")


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Return the seconds that an answer asks to wait, or the Hub's own rate limit."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    limit = parse_ratelimit_headers(headers)
    return float(limit.reset_in_seconds) if limit and limit.remaining == 0 else None


@contextmanager
def explained() -> Iterator[None]:
    """Turn every error of huggingface_hub into `Refused` or `Unreachable`, but for a repository or revision that is not there."""
    try:
        yield
    except (CommandError, Busy, RevisionNotFoundError):
        raise
    except RuntimeError as error:  # what the client wraps a failed upload in
        if isinstance(error.__cause__, Exception):
            with explained():
                raise error.__cause__ from None
        raise _unexpected(error) from None
    except RepositoryNotFoundError as error:
        if error.response.status_code == 401 and error.response.request.headers.get("authorization"):
            raise _refusal(error) from None
        raise
    except OIDCError as error:
        raise Refused(f"no token for HF_OIDC_RESOURCE: {show(error)}") from None
    except HfHubHTTPError as error:
        raise _refusal(error) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, *UNEXPECTED) as error:
        raise _unexpected(error) from None


def _unexpected(error: Exception) -> Unreachable:
    problem = f"{type(error).__name__}: {show(_QUERY.sub('?…', str(error)))}"
    return Unreachable(f"{hf.constants.ENDPOINT}: unexpected answer from the Hub ({problem}). Check HF_ENDPOINT.")


def _refusal(error: HfHubHTTPError) -> Refused:
    code = error.response.status_code
    reason = show(error.server_message or error.response.reason_phrase)
    hint = f" {LOGIN}" if code in (401, 403) else ""
    return Refused(f"{error.response.url.path}: the Hub refused with HTTP {code} ({reason}).{hint}")


def find_token(retry: Retry) -> str:
    """Return the token of the environment, the CI's identity or `hf auth login`."""
    with explained():
        token = hf.get_token()
    if not token:
        raise Refused(f"not logged in. {LOGIN}")
    retry.keep_secret(token)
    return token


def prepare(retry: Retry) -> None:
    """Set huggingface_hub up: our client, no progress bars of its own, its warnings on standard error."""
    if urlsplit(hf.constants.ENDPOINT).password:
        raise Refused("HF_ENDPOINT contains a password, which the receipt would repeat. Leave it out.")
    hf.set_client_factory(lambda: Client(retry))
    disable_progress_bars()
    logger = logging.getLogger("huggingface_hub")
    logger.handlers, logger.propagate = [logging.StreamHandler()], False
    logger.setLevel(logging.INFO if retry.verbose else logging.ERROR)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # its lines have addresses with signatures
