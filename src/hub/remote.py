"""Repositories on the Hub as they are: read, checked, never assumed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import huggingface_hub as hf
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

from src import ENGINE
from src.record.errors import CommandError, show

from .client import explained
from .errors import Refused, Unreachable
from .repository import RemoteFile, Repository

Result = TypeVar("Result")

COMMIT = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")

ATTRIBUTES = ".gitattributes"
"""The file that the Hub itself puts into a new repository, and completes at a commit."""

SETTLING = (0.5, 1, 2, 4, 8, 8)
"""Seconds between the looks at a repository that does not show its newest commit yet."""

FIRST_COMMIT = "initial commit"
"""Title of the commit that the Hub itself makes in a new repository."""


@dataclass(frozen=True)
class RemoteRepo:
    """A repository on the Hub at one commit.

    Attributes:
        repo_id: Its name.
        head: The commit.
        private: Whether only its owners see it.
        files: Its files by path, without `.gitattributes`.
    """

    repo_id: str
    head: str
    private: bool
    files: dict[str, RemoteFile]

    @property
    def visibility(self) -> str:
        """Who sees it."""
        return "private" if self.private else "public"

    def is_new(self, repo: Repository) -> bool:
        """Determine whether there is nothing but what the Hub puts into a new repository; a Space gets a first page."""
        first_page = {"README.md", "index.html", "style.css"} if repo.kind == "space" else set()
        return self.files.keys() <= first_page

    def differing(self, repo: Repository) -> list[str]:
        """List the paths that are not as they should be: ours, and those of ours that should be gone."""
        changed = [p for p, file in repo.files.items() if p not in self.files or not file.same_as(self.files[p])]
        return sorted([*changed, *(repo.retired & self.files.keys())])

    def others(self, repo: Repository) -> list[str]:
        """List the files that this project did not publish; they stay as they are."""
        return sorted(self.files.keys() - repo.files.keys() - repo.retired)


def settled(
    look: Callable[[], Result], good: Callable[[Result], bool] | None = None, pauses: Sequence[float] = SETTLING
) -> Result:
    """Look until what is seen is good, or something at all, for a bounded time; return what was seen last."""
    for pause in pauses:
        found = look()
        if found is not None if good is None else good(found):
            return found
        time.sleep(pause)
    return look()


class Hub:
    """The Hub as one user sees it."""

    def __init__(self, token: str | bool) -> None:
        self.token = token
        self.api = hf.HfApi(token=token, library_name=ENGINE)
        self.endpoint = self.api.endpoint

    def call(self, function: Callable[..., Result], *arguments: Any, **keywords: Any) -> Result:
        """Call a function of huggingface_hub."""
        with explained():
            return function(*arguments, **keywords)

    def info(self, repo_id: str, kind: str, revision: str | None = None) -> tuple[str, bool] | None:
        """Return a repository's commit and whether it is private; None if there is none for this user."""
        try:
            info = self.call(self.api.repo_info, repo_id, repo_type=kind, revision=revision)
        except (RepositoryNotFoundError, RevisionNotFoundError):
            return None
        if info.private and info.id == aside(repo_id, str(info.sha)):
            return None  # the name leads to what we set aside
        if info.id != repo_id:
            raise Refused(f"{repo_id}: is called {show(info.id)} on the Hub. Correct the name in the project config.")
        if not isinstance(info.sha, str) or not COMMIT.fullmatch(info.sha) or not isinstance(info.private, bool):
            raise Unreachable(f"{self.endpoint}: unexpected answer from the Hub about {repo_id}. Check HF_ENDPOINT.")
        return info.sha, info.private

    def read(self, repo_id: str, kind: str, revision: str | None = None) -> RemoteRepo | None:
        """Read what a repository contains at a revision; None if there is no such repository for this user."""
        found = self.info(repo_id, kind, revision)
        if found is None:
            return None
        head, private = found
        try:
            tree = self.call(
                lambda: list(self.api.list_repo_tree(repo_id, recursive=True, revision=head, repo_type=kind))
            )
        except (RepositoryNotFoundError, RevisionNotFoundError):
            return None
        files = {entry.path: self._file(repo_id, entry) for entry in tree if isinstance(entry, hf.RepoFile)}
        files.pop(ATTRIBUTES, None)
        return RemoteRepo(repo_id, head, private, files)

    def _file(self, repo_id: str, entry: hf.RepoFile) -> RemoteFile:
        sha256 = entry.lfs.sha256 if entry.lfs else None
        known = isinstance(entry.path, str) and isinstance(entry.size, int) and COMMIT.fullmatch(str(entry.blob_id))
        if not known or not (sha256 is None or SHA256.fullmatch(str(sha256))):
            raise Unreachable(f"{self.endpoint}: unexpected answer from the Hub about {repo_id}. Check HF_ENDPOINT.")
        return RemoteFile(entry.size, entry.blob_id, sha256)

    def download(self, repo: Repository, revision: str, path: str) -> bytes:
        """Download a small file."""
        url = f"{self.endpoint}/{repo.page}/resolve/{revision}/{path}"

        def get() -> bytes:
            response = hf.get_session().get(url, headers=build_hf_headers(token=self.token))
            hf_raise_for_status(response)
            return response.content

        return self.call(get)

    def commits(self, repo: Repository, revision: str) -> list[hf.GitCommitInfo]:
        """List the commits that lead to a revision, the newest first."""
        return self.call(lambda: list(self.api.list_repo_commits(repo.repo_id, repo_type=repo.kind, revision=revision)))

    def head(self, repo: Repository, known: str | None) -> tuple[str, bool] | None:
        """Return the newest commit and whether the repository is private; None if there is none.

        An answer that is older than `known`, a commit known to exist, is asked for again, for a bounded time.
        """
        return settled(
            lambda: self.info(repo.repo_id, repo.kind),
            lambda found: found is None or known in (None, found[0]) or not self._follows(repo, str(known), found[0]),
        )

    def _follows(self, repo: Repository, head: str, commit: str) -> bool:
        """Determine whether a commit is in the history of another; not if that one is unknown."""
        try:
            return any(known.commit_id == commit for known in self.commits(repo, head))
        except RevisionNotFoundError:
            return False

    def state(self, repo: Repository, known: str | None, ours: bool) -> str:
        """Say what visitors see of a repository now, in a line; what cannot be looked up is unknown."""
        address = f"{self.endpoint}/{repo.page}"
        try:
            found = self.head(repo, known)
        except CommandError as error:
            return f"{repo.repo_id}: unknown, look at {address} ({str(error).splitlines()[0]})"
        except RepositoryNotFoundError:  # while it was looked at
            found = None
        if found is None:
            return f"{repo.repo_id}: not on the Hub, or hidden from this token; look at {address}"
        head, private = found
        commit = f"{'our ' if ours and head == known else ''}commit {head[:12]}"
        return f"{repo.repo_id}: {'private' if private else 'public'}, {commit}; {address}"


def aside(repo_id: str, head: str) -> str:
    """Return the name under which a repository of ours is kept that was never public and starts from scratch."""
    return f"{repo_id}-earlier-{head[:8]}"


def commit_title(repo: Repository) -> str:
    """Return the title of our commits."""
    return f"Publish {repo.role}"


def belongs(commit: hf.GitCommitInfo, publication: str) -> bool:
    """Determine whether a commit was made by the publication with this id."""
    return publication in f"{commit.title}\n{commit.message}"


def describe(commits: Iterable[hf.GitCommitInfo]) -> list[str]:
    """Describe commits: when, whose, and their titles."""
    return [
        f"{commit.created_at:%Y-%m-%d %H:%M} {show(', '.join(commit.authors))}: {show(commit.title)}"
        for commit in commits
    ]
