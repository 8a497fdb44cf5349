"""The Hub as the publisher sees it: huggingface_hub's client, with waiting, clear errors and no token in any of them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2
import huggingface_hub as hf
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    OIDCError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils.tqdm import disable_progress_bars
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from src.record.errors import CommandError, show

from .errors import Refused, Unreachable
from .redact import add_secret
from .waiting import Busy, Client, Waiting

if TYPE_CHECKING:  # the processes that verify do without the documents
    from .bundle import Repository

Result = TypeVar("Result")

ATTEMPTS = 5
"""How often a request that changes nothing twice is tried."""

AUTOMATIC = frozenset({".gitattributes"})
"""Files that the Hub itself puts into a new repository."""


@dataclass(frozen=True)
class RemoteFile:
    """A file on the Hub: its size, its git object id, and its SHA-256 if it is stored as a large file."""

    size: int
    blob_id: str
    sha256: str | None


@dataclass(frozen=True)
class RemoteRepo:
    """A repository on the Hub at one commit.

    Attributes:
        repo_id: Its name.
        head: The commit.
        private: Whether only its owners see it.
        files: Its files by path, without the Hub's own.
        automatic: The Hub's own files.
    """

    repo_id: str
    head: str
    private: bool
    files: dict[str, RemoteFile]
    automatic: dict[str, RemoteFile]

    def holds(self, repo: Repository) -> bool:
        """Tell whether it holds the very files that a repository should have, and no others."""
        return self.files.keys() == repo.files.keys() and all(
            repo.files[path].same_as(file.size, file.sha256, file.blob_id) for path, file in self.files.items()
        )


class Hub:
    """Talks to the Hub as one user.

    Args:
        token: Access token; False for a visitor without one.
        waiting: Keeps the time, and tells the person who waits.
    """

    def __init__(self, token: str | bool, waiting: Waiting) -> None:
        self.token = token
        self.waiting = waiting
        self.api = hf.HfApi(token=token, library_name="strawberry-spelling")
        self.endpoint = self.api.endpoint

    def call(self, function: Callable[..., Result], *arguments: Any, **keywords: Any) -> Result:
        """Call something that may be repeated; wait as long as the Hub asks, and repeat it, while it is busy.

        Raises:
            Unreachable: The Hub was still not there after waiting.
            Refused: The Hub said no.
            RepositoryNotFoundError: There is no such repository, or it is hidden from this user.
        """
        retrying = Retrying(
            retry=retry_if_exception(is_transient),
            wait=_wait,
            stop=lambda state: stop_after_attempt(ATTEMPTS)(state) or state.upcoming_sleep >= self.waiting.left(),
            before_sleep=self._say,
            reraise=True,
        )
        try:
            with self.waiting.announced("the Hub"):
                return retrying(function, *arguments, **keywords)
        except RepositoryNotFoundError:
            raise
        except ERRORS as error:
            raise explain(error, self.endpoint) from None

    def _say(self, state: RetryCallState) -> None:
        error = _cause(state.outcome.exception() if state.outcome else None)
        brief = str(error) if isinstance(error, Busy) else type(error).__name__
        self.waiting.say(f"the Hub is busy ({brief}); trying again in {state.upcoming_sleep:.0f} s")

    def read(self, repo_id: str, kind: str, revision: str | None = None) -> RemoteRepo | None:
        """Read what a repository holds at a revision; None if there is no such repository for this user."""
        try:
            info = self.call(self.api.repo_info, repo_id, repo_type=kind, revision=revision)
        except RepositoryNotFoundError:
            return None
        head = str(info.sha)
        tree = self.call(lambda: list(self.api.list_repo_tree(repo_id, recursive=True, revision=head, repo_type=kind)))
        found = {
            entry.path: RemoteFile(entry.size, entry.blob_id, entry.lfs.sha256 if entry.lfs else None)
            for entry in tree
            if isinstance(entry, hf.RepoFile)
        }
        automatic = {path: found.pop(path) for path in AUTOMATIC & found.keys()}
        return RemoteRepo(repo_id, head, bool(info.private), found, automatic)


ERRORS = (
    Busy,
    HfHubHTTPError,
    httpx2.TransportError,
    OfflineModeIsEnabled,
    LocalTokenNotFoundError,
    OIDCError,
    RuntimeError,
    json.JSONDecodeError,
)
"""What a call of huggingface_hub ends with when the Hub says no or cannot be reached."""


def _cause(error: BaseException | None) -> BaseException | None:
    """Look through what the client, or a library on top of it, wraps a failed request in."""
    cause = error
    while cause is not None and not isinstance(cause, Busy):
        cause = cause.__cause__
    if cause is not None:
        return cause
    return error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ is not None else error


def is_transient(error: BaseException) -> bool:
    """Tell whether the same request may succeed a little later."""
    return isinstance(_cause(error), Busy | httpx2.TransportError | json.JSONDecodeError)


def status(error: BaseException) -> int | None:
    """Return the HTTP status that an error stands for, if it stands for one."""
    cause = _cause(error)
    return cause.response.status_code if isinstance(cause, HfHubHTTPError) and cause.response is not None else None


_backoff = wait_exponential(multiplier=0.5, max=8)


def _wait(state: RetryCallState) -> float:
    cause = _cause(state.outcome.exception() if state.outcome else None)
    return cause.retry_after if isinstance(cause, Busy) and cause.retry_after is not None else _backoff(state)


def explain(error: BaseException, endpoint: str) -> CommandError:
    """Turn an error of the client into one line with what to do about it; server text is bounded and made printable."""
    cause = _cause(error)
    if isinstance(cause, RuntimeError):  # not the client's: a fault of our own that must be seen
        raise cause
    if isinstance(cause, CommandError):
        return cause
    again = "Nothing unverified is visible; run the same command again."
    if isinstance(cause, OfflineModeIsEnabled):
        return Unreachable(f"{endpoint}: HF_HUB_OFFLINE is set. Unset it to publish.")
    if isinstance(cause, LocalTokenNotFoundError):
        return Refused("not logged in. Run `hf auth login`, or set HF_TOKEN to a token that may write.")
    if isinstance(cause, OIDCError):
        return Refused(f"no token for HF_OIDC_RESOURCE: {show(cause)}")
    if isinstance(cause, Busy):
        if cause.retry_after is not None and cause.retry_after > 1:
            from src.documents.formatting import duration

            again = again.replace("again.", f"again in {duration(cause.retry_after)}.")
        if cause.status == 429:
            return Unreachable(f"{endpoint}: too many requests. {again}")
        if cause.status is not None:
            return Unreachable(f"{endpoint}: {cause}, also after waiting. {again}")
        return Unreachable(f"{endpoint} cannot be reached ({cause}). Check the connection. {again}")
    if isinstance(cause, HfHubHTTPError) and cause.response is not None:
        code = cause.response.status_code
        said = show(cause.server_message or cause.response.reason_phrase)
        if code == 401:
            return Refused(
                f"the Hub does not accept the token ({said}). It may have expired: run `hf auth login`, or renew HF_TOKEN."
            )
        if code == 403:
            return Refused(f"the token may not do this ({said}). Use a token that may write to the repositories.")
        return Refused(f"the Hub refused: HTTP {code} ({said}). {again}")
    if isinstance(cause, httpx2.TransportError):
        return Unreachable(f"{endpoint} cannot be reached ({type(cause).__name__}). Check the connection. {again}")
    return Unreachable(f"{endpoint}: {type(cause).__name__}: {show(cause)}. {again}")


def local_token() -> str | None:
    """Return the token of the environment or of `hf auth login`, without asking anybody for one."""
    return None if os.environ.get("HF_OIDC_RESOURCE") else hf.get_token()


def find_token(waiting: Waiting) -> str:
    """Return the token of the environment, the CI's identity or `hf auth login`, and remember to keep it out of sight.

    Raises:
        Refused: There is none.
        Unreachable: The Hub could not be asked for one.
    """
    token = Hub(False, waiting).call(hf.get_token)
    if not token:
        raise explain(LocalTokenNotFoundError(), hf.constants.ENDPOINT)
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Refused("the token holds characters that no token has. Copy it again, into HF_TOKEN or `hf auth login`.")
    add_secret(token)
    return token


def prepare(waiting: Waiting, *, verbose: bool) -> None:
    """Set the client up: bounded waits, no progress bars of its own, log lines on standard error."""
    hf.set_client_factory(lambda: Client(waiting))
    hf.constants.DOWNLOAD_CHUNK_SIZE = 1 << 20  # ten times that by default, and copied several times on the way
    disable_progress_bars()
    logger = logging.getLogger("huggingface_hub")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if verbose else logging.ERROR)
