"""Send what was verified, as one commit per repository, and read it back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import takewhile
from typing import Any

import huggingface_hub as hf
from huggingface_hub.errors import RepositoryNotFoundError

from src.record.errors import CommandError, show

from .client import Busy, Retry
from .errors import AGAIN, Refused, Stopped, Unreachable
from .receipt import Receipt
from .remote import FIRST_COMMIT, SETTLING, Hub, RemoteRepo, Result, aside, belongs, commit_title, describe, settled
from .repository import HubFile, Repository
from .waiting import Clock

LOOKING = 30.0
"""Seconds for looking up what is on the Hub at the end, whatever ended the publication."""


class ChangedByOthers(Refused):
    """Somebody committed on top of what was published."""


class Sender:
    """Changes repositories on the Hub, and remembers which it touched."""

    def __init__(self, hub: Hub, retry: Retry, receipt: Receipt) -> None:
        self.hub, self.receipt, self._retry = hub, receipt, retry
        self._touched: dict[tuple[str, str], tuple[Repository, str | None, bool]] = {}

    def state(self, clock: Clock) -> list[str]:
        """Look up what is on the Hub now, a line for each repository that was touched."""
        if not self._touched:
            return ["nothing was changed on the Hub"]
        clock.allow(LOOKING)
        try:
            with clock.doing("looking up what is on the Hub"):
                return [self.hub.state(*touched) for touched in self._touched.values()]
        except Stopped:
            return [f"unknown, look at {self.hub.endpoint}/{repo.page}" for repo, *_ in self._touched.values()]

    def touch(self, repo: Repository, commit: str | None = None, *, ours: bool = True) -> None:
        """Remember that a repository is changed or was looked at, its newest commit, and whether that one is ours."""
        key = (repo.kind, repo.repo_id)
        self._touched[key] = self._touched.get(key, (repo, None, False)) if commit is None else (repo, commit, ours)

    def _call(self, repo: Repository, function: Callable[..., Result], *arguments: Any, **keywords: Any) -> Result:
        """Call a function of huggingface_hub about a repository."""
        try:
            return self.hub.call(function, repo.repo_id, *arguments, repo_type=repo.kind, **keywords)
        except RepositoryNotFoundError:
            raise _gone(repo) from None

    def create(self, repo: Repository) -> tuple[Repository, RemoteRepo]:
        """Create a private repository; return it as it is, and ours with the Hub's first page to be removed."""
        self.receipt.note(repo, created=True)
        self.touch(repo)
        sdk = "static" if repo.kind == "space" else None
        self._call(repo, self.hub.api.create_repo, visibility="private", exist_ok=True, space_sdk=sdk)
        now = settled(lambda: self.hub.read(repo.repo_id, repo.kind))
        if now is None:
            raise Unreachable(f"{repo.repo_id}: created, but the Hub does not show it yet. {AGAIN}")
        commits = [commit for commit in self.hub.commits(repo, now.head) if commit.title != FIRST_COMMIT]
        if not now.private or commits or not now.is_new(repo):
            self.receipt.note(repo, created=False)
            raise Refused(f"{repo.repo_id}: somebody else created it a moment ago. Look at it, then run this again.")
        return replace(repo, retired=frozenset(now.files) - repo.files.keys()), now

    def commit(self, repo: Repository, remote: RemoteRepo) -> str:
        """Send the files that differ: large ones one by one, then all as one commit that expects the planned parent."""
        paths = remote.differing(repo)
        self.touch(repo)
        files = [repo.files[path] for path in paths if path in repo.files]
        additions = [_addition(file) for file in files]
        for addition, file in zip(additions, files, strict=True):
            if not file.small_text:
                self._upload(repo, addition, file)
        operations = [*additions, *(hf.CommitOperationDelete(path) for path in paths if path not in repo.files)]

        def send() -> str:
            """Send the commit; one whose reply was lost is looked up before it is sent again."""
            try:
                info = self._call(
                    repo, self.hub.api.create_commit, operations, commit_message=commit_title(repo),
                    commit_description=self.receipt.unfinished.id, parent_commit=remote.head,
                )  # fmt: skip
            except (Busy, CommandError):  # also a stale parent, or a reply that makes no sense
                landed = self._landed(repo, remote.head)
                if landed is not None:
                    return landed
                raise
            return str(info.oid)

        return self._retry.repeat(send)

    def _upload(self, repo: Repository, addition: hf.CommitOperationAdd, file: HubFile) -> None:
        """Upload a file by itself: several at once go to threads, for which an interruption would have to wait."""
        try:
            self._retry.repeat(
                partial(self._call, repo, self.hub.api.preupload_lfs_files, [addition], free_memory=False)
            )
        except CommandError:
            file.check_unchanged()
            raise
        file.check_unchanged()

    def _landed(self, repo: Repository, parent: str) -> str | None:
        """Look whether a commit was made although its reply was lost: one with our files that follows the planned parent."""

        def look() -> str | None:
            now = self.hub.read(repo.repo_id, repo.kind)
            if now is None:
                raise _gone(repo)
            if now.head == parent:
                return None
            commits = self.hub.commits(repo, now.head)
            known = [commit.commit_id for commit in commits]
            if known[1:2] == [parent] and belongs(commits[0], self.receipt.unfinished.id):
                return now.head
            if parent in known:
                new = "; ".join(describe(commits[: known.index(parent)]))
                raise Refused(f"{repo.repo_id}: changed by others during the publication ({new}). {AGAIN}")
            return None

        return settled(look, pauses=SETTLING[:2])

    def set_aside(self, repo: Repository, remote: RemoteRepo) -> None:
        """Rename a repository of ours that was never public, with its history, so that its name is free for a new one.

        The Hub moves all of it at once: whatever others did before is under the new name, and nothing is lost.
        """
        old = replace(repo, repo_id=aside(repo.repo_id, remote.head))
        self.touch(old, remote.head)
        self.touch(repo)
        problem: CommandError = _gone(repo)
        try:
            self._call(repo, self.hub.api.move_repo, old.repo_id)
        except CommandError as error:  # also when the reply to the first attempt was lost
            problem = error
        moved = settled(lambda: self.hub.head(old, remote.head), pauses=SETTLING[:3])
        if moved is None:
            raise problem
        if moved != (remote.head, True):
            changed = f"{repo.repo_id}: changed by others a moment ago, and is called {old.repo_id} now"
            raise Refused(f"{changed}. Look at it; rename it back on the Hub to continue with it.")
        self.receipt.forget(repo.repo_id)

    def read_back(self, repo: Repository, before: RemoteRepo, commit: str) -> None:
        """Read the tree of the very commit that the Hub answered, and compare it with what was verified."""
        self.touch(repo, commit)
        now = settled(lambda: self.hub.read(repo.repo_id, repo.kind, commit))
        if now is None:
            raise Unreachable(f"{repo.repo_id}: the Hub does not show commit {commit[:12]} yet. {AGAIN}")
        odd = [*now.differing(repo), *sorted(set(now.others(repo)) - set(before.others(repo)))]
        if now.head != commit or odd:
            what = f" ({show(', '.join(odd[:5]))})" if odd else ""
            raise Refused(f"{repo.repo_id}: commit {commit[:12]} is not what was sent{what}. Look at it on the Hub.")

    def tag(self, repo: Repository, commit: str, tag: str) -> None:
        """Tag a commit; the same tag on the same commit is fine."""
        self._call(repo, self.hub.api.create_tag, tag=tag, revision=commit, exist_ok=True)
        refs = self._call(repo, self.hub.api.list_repo_refs)
        found = next((ref.target_commit for ref in refs.tags if ref.name == tag), "no commit")
        if found != commit:
            raise Refused(f"{repo.repo_id}: the tag {show(tag)} is on {found[:12]}. Give another --tag.")

    def expect_head(self, repo: Repository, commit: str) -> bool:
        """Check that `main` is at our commit; return whether the repository is private."""
        found = self.hub.head(repo, commit)
        if found is None:
            raise _gone(repo)
        if found[0] != commit:
            commits = self.hub.commits(repo, found[0])
            new = describe(takewhile(lambda c: c.commit_id != commit, commits[:5]))
            changed = f"{repo.repo_id}: changed by others after commit {commit[:12]} ({'; '.join(new)})"
            raise ChangedByOthers(f"{changed}. {AGAIN}")
        return found[1]

    def make_public(self, repo: Repository, commit: str) -> None:
        """Make a repository public while `main` is at the verified commit.

        The Hub cannot do that on this condition, so it is looked at before and after. A repository that shows a commit
        which nobody verified is made private again.
        """
        private = self.expect_head(repo, commit)
        settings = partial(self._call, repo, self.hub.api.update_repo_settings)
        if private:
            settings(visibility="public")
        self.receipt.note(repo, created=False)  # from now on its visibility is its owner's
        if not private:
            return
        try:
            private = self.expect_head(repo, commit)
        except ChangedByOthers as changed:
            try:
                settings(visibility="private")
            except CommandError as error:
                raise ChangedByOthers(f"{changed} That commit is public, since hiding it failed: {error}") from None
            raise ChangedByOthers(f"{changed} It was made private again, as it was before.") from None
        if private:
            raise Unreachable(f"{repo.repo_id}: did not become public. {AGAIN}")


def _addition(file: HubFile) -> hf.CommitOperationAdd:
    addition = hf.CommitOperationAdd(file.path, file.content if file.small_text else file.source)
    addition.upload_info.sha256 = bytes.fromhex(file.sha256)  # hashed once already
    return addition


def _gone(repo: Repository) -> Refused:
    return Refused(f"{repo.repo_id}: is not on the Hub any more, or hidden from this token. {AGAIN}")
