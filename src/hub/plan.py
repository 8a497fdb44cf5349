"""What a publication would change: each repository as it should be against what is there now."""

from __future__ import annotations

import difflib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from src.record.errors import show
from src.record.publication import Publication, Visibility

from .bundle import HubFile, Repository
from .client import Hub, RemoteRepo

Action = Literal["create", "commit", "pull request", "nothing"]

TEXT = (".md", ".json", ".txt", ".yaml", ".yml", ".tsv", ".csv", ".jinja", "LICENSE", "COPYRIGHT")
"""Endings of files that are compared line by line, and searched for secrets."""

DIFF_BYTES = 200_000
"""Largest text file that is compared line by line."""

DIFF_LINES = 200
"""Lines of a comparison that are kept."""

MESSAGE = "Publish {role}"
"""Title of the commits and pull requests of this publisher."""


@dataclass(frozen=True)
class Change:
    """What happens to one file.

    Attributes:
        path: The file.
        kind: added, changed, unchanged or removed.
        size: Its bytes afterwards; before, for a removed one.
        diff: The lines that differ, for small text files.
    """

    path: str
    kind: Literal["added", "changed", "unchanged", "removed"]
    size: int
    diff: tuple[str, ...] = ()


@dataclass(frozen=True)
class RepoPlan:
    """What happens to one repository.

    Attributes:
        repo: The repository as it should be.
        remote: As it is; None if there is none yet.
        action: How the files get there.
        changes: What happens to each file.
        visibility: Who will see it.
        foreign: What somebody else did since the last publication, a line each; empty if nobody did anything.
    """

    repo: Repository
    remote: RemoteRepo | None
    action: Action
    changes: tuple[Change, ...]
    visibility: Visibility
    foreign: tuple[str, ...] = ()

    @property
    def visibility_now(self) -> Visibility | None:
        """Who sees it now; None if there is no such repository yet."""
        if self.remote is None:
            return None
        return "private" if self.remote.private else "public"

    @property
    def message(self) -> str:
        """Title of the commit or the pull request."""
        return MESSAGE.format(role=self.repo.role)

    def of_kind(self, kind: str) -> list[Change]:
        """Return the changes of a kind."""
        return [change for change in self.changes if change.kind == kind]


def plan_repo(hub: Hub, repo: Repository, visibility: Visibility, receipt: Publication | None, user: str) -> RepoPlan:
    """Compare a repository with what is on the Hub. Nothing is changed.

    Args:
        hub: The Hub.
        repo: The repository as it should be.
        visibility: Who should see it.
        receipt: The last publication, if there was one.
        user: Who publishes, to know earlier commits of a publication that was cut off.
    """
    remote = hub.read(repo.repo_id, repo.kind)
    if remote is None:
        changes = tuple(Change(file.path, "added", file.size) for file in repo.files.values())
        return RepoPlan(repo, None, "create", changes, visibility)
    changes = _compare(hub, repo, remote)
    action: Action = "pull request"
    if all(change.kind == "unchanged" for change in changes):
        action = "nothing"
    elif remote.private:
        action = "commit"
    return RepoPlan(repo, remote, action, changes, visibility, _foreign(hub, repo, remote, action, receipt, user))


def _compare(hub: Hub, repo: Repository, remote: RemoteRepo) -> tuple[Change, ...]:
    changes = []
    for path in sorted(repo.files.keys() | remote.files.keys()):
        ours, theirs = repo.files.get(path), remote.files.get(path)
        if ours is None and theirs is not None:
            changes.append(Change(path, "removed", theirs.size))
        elif ours is not None and theirs is None:
            changes.append(Change(path, "added", ours.size))
        elif ours is not None and theirs is not None:
            if ours.same_as(theirs.size, theirs.sha256, theirs.blob_id):
                changes.append(Change(path, "unchanged", ours.size))
            else:
                small = path.endswith(TEXT) and max(ours.size, theirs.size) <= DIFF_BYTES
                changes.append(Change(path, "changed", ours.size, _diff(hub, repo, ours, remote.head) if small else ()))
    return tuple(changes)


def _diff(hub: Hub, repo: Repository, file: HubFile, revision: str) -> tuple[str, ...]:
    """Compare a text file line by line; what comes from the Hub is bounded and made printable."""
    with tempfile.TemporaryDirectory() as folder:
        path = hub.call(
            hub.api.hf_hub_download, repo.repo_id, file.path, repo_type=repo.kind, revision=revision, local_dir=folder
        )
        with Path(path).open(encoding="utf-8", errors="replace") as stream:
            before = stream.read(DIFF_BYTES).splitlines()
    after = file.content.decode("utf-8", errors="replace").splitlines()
    lines = list(difflib.unified_diff(before, after, "on the Hub", "to publish", n=1, lineterm=""))
    shown = [show(line) for line in lines[:DIFF_LINES]]
    return (*shown, *([f"… {len(lines) - DIFF_LINES} more lines"] if len(lines) > DIFF_LINES else []))


def _foreign(
    hub: Hub, repo: Repository, remote: RemoteRepo, action: Action, receipt: Publication | None, user: str
) -> tuple[str, ...]:
    """Say what others did since the last publication, or in a repository that was never published to from here."""
    last = receipt.repo(repo.role) if receipt and receipt.endpoint == hub.endpoint else None
    if last is not None and last.repo_id != repo.repo_id:
        last = None
    lines = []
    if last is not None and last.visibility == "public" and remote.private:
        lines.append("it was made private")
    if action != "nothing" and (last is None or last.commit != remote.head):
        for commit in hub.call(hub.api.list_repo_commits, repo.repo_id, repo_type=repo.kind, revision=remote.head):
            if last is not None and commit.commit_id == last.commit:
                break
            ours = last is None and commit.title == MESSAGE.format(role=repo.role) and user in commit.authors
            if not ours and not (commit.title == "initial commit" and not remote.files):
                lines.append(
                    f"{commit.created_at:%Y-%m-%d %H:%M} {show(', '.join(commit.authors))}: {show(commit.title)}"
                )
        if lines and lines[-1].endswith(": initial commit"):  # the Hub's own, at the root of every repository
            lines.pop()
    return tuple(lines)
