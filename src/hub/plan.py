"""What a publication would change: each repository as it should be against what is there now."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from huggingface_hub import GitCommitInfo

from src.record.errors import show
from src.record.files import sha256_file, sha256_tree
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

LINE = 160
"""Characters of a line that are shown whole; of a longer one that changed, the words that differ."""

AROUND = 6
"""Words shown on either side of a difference."""

MESSAGE = re.compile(r"Publish (\w+) ([0-9a-f]{16})(?: \(#\d+\))?")
"""Title of this publisher's commits and pull requests: the role, and a digest of the files, by which it knows its own work again."""


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
        external_changes: What somebody else did since the last publication, a line each; empty if nobody did anything.
    """

    repo: Repository
    remote: RemoteRepo | None
    action: Action
    changes: tuple[Change, ...]
    visibility: Visibility
    external_changes: tuple[str, ...] = ()

    @property
    def visibility_now(self) -> Visibility | None:
        """Who sees it now; None if there is no such repository yet."""
        if self.remote is None:
            return None
        return "private" if self.remote.private else "public"

    @cached_property
    def message(self) -> str:
        """Title of the commit or the pull request."""
        return f"Publish {self.repo.role} {_digest({file.path: file.sha256 for file in self.repo.files.values()})}"


def _digest(files: dict[str, str]) -> str:
    return sha256_tree(files)[:16]


def plan_repo(
    hub: Hub, repo: Repository, visibility: Visibility, receipt: Publication | None, user: str, folder: Path
) -> RepoPlan:
    """Compare a repository with what is on the Hub. Nothing is changed.

    Args:
        hub: The Hub.
        repo: The repository as it should be.
        visibility: Who should see it.
        receipt: The last publication, if there was one.
        user: Who publishes, to know earlier commits of a publication that was cut off.
        folder: Where what has to be looked at is downloaded.
    """
    remote = hub.read(repo.repo_id, repo.kind)
    if remote is None:
        changes = tuple(Change(file.path, "added", file.size) for file in repo.files.values())
        return RepoPlan(repo, None, "create", changes, visibility)
    changes = _compare(hub, repo, remote, folder)
    action: Action = "pull request"
    if all(change.kind == "unchanged" for change in changes):
        action = "nothing"
    elif remote.private:
        action = "commit"
    return RepoPlan(
        repo, remote, action, changes, visibility, _external_changes(hub, repo, remote, receipt, user, folder)
    )


def _compare(hub: Hub, repo: Repository, remote: RemoteRepo, folder: Path) -> tuple[Change, ...]:
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
                diff = _diff(ours, _download(hub, repo, path, remote.head, folder)) if small else ()
                changes.append(Change(path, "changed", ours.size, diff))
    return tuple(changes)


def _download(hub: Hub, repo: Repository, path: str, revision: str, folder: Path) -> Path:
    target = folder / "seen" / repo.role / revision
    return Path(
        hub.call(hub.api.hf_hub_download, repo.repo_id, path, repo_type=repo.kind, revision=revision, local_dir=target)
    )


def _diff(file: HubFile, there: Path) -> tuple[str, ...]:
    """Compare a text file line by line; what comes from the Hub is bounded and made printable."""
    with there.open(encoding="utf-8", errors="replace") as stream:
        before = stream.read(DIFF_BYTES).splitlines()
    after = file.content.decode("utf-8", errors="replace").splitlines()
    lines = list(_lines(list(difflib.unified_diff(before, after, "on the Hub", "to publish", n=1, lineterm=""))))
    return (*lines[:DIFF_LINES], *([f"… {len(lines) - DIFF_LINES} more lines"] if len(lines) > DIFF_LINES else []))


def _lines(diff: list[str]) -> Iterator[str]:
    """Make the lines of a comparison printable; of long lines that took each other's place, show the words that differ."""
    place = 0
    while place < len(diff):
        old = _run(diff, place, "-")
        new = _run(diff, place + len(old), "+")
        if place < 2 or not old or len(old) != len(new):
            yield show(diff[place])
            place += 1
            continue
        pairs = [
            _words(a[1:], b[1:]) if max(len(a), len(b)) > LINE else ([a[1:]], [b[1:]])
            for a, b in zip(old, new, strict=True)
        ]
        for sign, parts in (("-", [pair[0] for pair in pairs]), ("+", [pair[1] for pair in pairs])):
            yield from (show(f"{sign}{part}") for some in parts for part in some)
        place += len(old) + len(new)


def _run(diff: list[str], start: int, sign: str) -> list[str]:
    end = start
    while end < len(diff) and diff[end].startswith(sign):
        end += 1
    return diff[start:end]


def _words(old: str, new: str) -> tuple[list[str], list[str]]:
    """Cut the parts out of two lines in which they differ, with some words around each."""
    a, b = old.split(), new.split()
    parts: tuple[list[str], list[str]] = ([], [])
    for group in difflib.SequenceMatcher(None, a, b, autojunk=False).get_grouped_opcodes(AROUND):
        for words, part, (start, end) in (
            (a, parts[0], (group[0][1], group[-1][2])),
            (b, parts[1], (group[0][3], group[-1][4])),
        ):
            part.append(f"{'… ' if start else ''}{' '.join(words[start:end])}{' …' if end < len(words) else ''}")
    return parts if any(parts) else ([old], [new])


def _external_changes(
    hub: Hub,
    repo: Repository,
    remote: RemoteRepo,
    receipt: Publication | None,
    user: str,
    folder: Path,
) -> tuple[str, ...]:
    """Say what others did since the last publication, or in a repository that was never published to from here."""
    last = receipt.repo(repo.role) if receipt and receipt.endpoint == hub.endpoint else None
    if last is not None and last.repo_id != repo.repo_id:
        last = None
    lines = []
    if last is not None and last.visibility == "public" and remote.private:
        lines.append("it was made private")
    if last is None or last.commit != remote.head:
        for commit in hub.call(hub.api.list_repo_commits, repo.repo_id, repo_type=repo.kind, revision=remote.head):
            if last is not None and commit.commit_id == last.commit:
                break
            if not _own(hub, repo, commit, user, folder) and not (
                commit.title == "initial commit" and not remote.files
            ):
                lines.append(
                    f"{commit.created_at:%Y-%m-%d %H:%M} {show(', '.join(commit.authors))}: {show(commit.title)}"
                )
        if lines and lines[-1].endswith(": initial commit"):  # the Hub's own, at the root of every repository
            lines.pop()
    return tuple(lines)


def _own(hub: Hub, repo: Repository, commit: GitCommitInfo, user: str, folder: Path) -> bool:
    """Tell whether a commit is one of this user's publications that was cut off: it holds just what its title says."""
    said = MESSAGE.fullmatch(commit.title)
    if said is None or said[1] != repo.role or user not in commit.authors:
        return False
    there = hub.read(repo.repo_id, repo.kind, commit.commit_id)
    if there is None:
        return False
    hashes = {
        path: file.sha256 or sha256_file(_download(hub, repo, path, there.head, folder))
        for path, file in there.files.items()
    }
    return _digest(hashes) == said[2]
