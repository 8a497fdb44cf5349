"""What a publication would change: each repository as it should be, compared with what is on the Hub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from src.record.publication import Publication, Visibility

from .errors import Refused
from .options import Options
from .receipt import Unfinished
from .remote import Hub, RemoteRepo, whose
from .repository import Repository

Kind = Literal["added", "changed", "same", "removed"]


@dataclass(frozen=True)
class Change:
    """What happens to one file.

    Attributes:
        path: The file.
        kind: What happens.
        size: Its bytes afterwards; before, for a removed one.
    """

    path: str
    kind: Kind
    size: int


@dataclass(frozen=True)
class RepoPlan:
    """What happens to one repository.

    Attributes:
        repo: The repository as it should be.
        remote: As it is; None if there is none yet.
        wanted: Who should see it, by the project's config.
        own: Whether an unfinished publication created it, so that it becomes visible with this one.
        published: Whether the person asks to make it public.
        foreign: What others did since the last publication, a line each.
        notes: What the person should know.
    """

    repo: Repository
    remote: RemoteRepo | None
    wanted: Visibility
    own: bool = False
    published: bool = False
    foreign: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def action(self) -> Literal["create", "update", "nothing"]:
        """What happens to its files."""
        if self.remote is None:
            return "create"
        return "update" if self.remote.differing(self.repo) else "nothing"

    @property
    def revealed(self) -> bool:
        """Whether it becomes public."""
        if self.remote is None or self.own:
            return self.wanted == "public"
        return self.published and self.remote.private

    @property
    def visibility(self) -> str:
        """Who sees it afterwards."""
        return "public" if self.revealed or (self.remote is not None and not self.remote.private) else "private"

    @property
    def changes(self) -> list[Change]:
        """What happens to each file."""
        ours, theirs = self.repo.files, self.remote.files if self.remote else {}
        found = []
        for path in sorted(ours.keys() | theirs.keys()):
            kind: Kind = "added"
            if path not in ours:
                kind = "removed"
            elif path in theirs:
                kind = "same" if ours[path].same_as(theirs[path]) else "changed"
            found.append(Change(path, kind, ours[path].size if path in ours else theirs[path].size))
        return found

    @property
    def sent(self) -> int:
        """Bytes that will be sent."""
        return sum(change.size for change in self.changes if change.kind in ("added", "changed"))

    @property
    def counts(self) -> Counter[str]:
        """How many files each thing happens to."""
        return Counter(change.kind for change in self.changes)

    def as_json(self) -> dict[str, Any]:
        """Return the plan for `--json`."""
        hashes = {path: file.sha256 for path, file in self.repo.files.items()}
        return {
            "role": self.repo.role,
            "repo_id": self.repo.repo_id,
            "kind": self.repo.kind,
            "action": self.action,
            "visibility_now": self.remote.visibility if self.remote else None,
            "visibility": self.visibility,
            "external_changes": list(self.foreign),
            "notes": list(self.notes),
            "files": [
                {"path": c.path, "change": c.kind, "size": c.size, "sha256": hashes.get(c.path)} for c in self.changes
            ],
        }


def plan_repo(
    hub: Hub,
    repo: Repository,
    wanted: Visibility,
    receipt: Publication | None,
    unfinished: Unfinished,
    make_public: Collection[str] = (),
) -> RepoPlan:
    """Compare a repository with what is on the Hub. Nothing is changed.

    Args:
        hub: The Hub.
        repo: The repository as it should be.
        wanted: Who should see it, by the project's config.
        receipt: The last publication to this Hub, if there was one.
        unfinished: What a publication created that did not get to its end.
        make_public: Names of repositories that the person asks to make public.

    Raises:
        Refused: It has another name by now.
        Unreachable: The Hub did not answer as it should.
    """
    last = receipt.repo(repo.role) if receipt else None
    known = last.commit if last is not None and last.repo_id == repo.repo_id else None
    noted = unfinished.find(repo.repo_id)
    if noted is not None and noted.commit is not None:
        known = noted.commit
    head = hub.head(repo, known)
    remote = hub.read(repo.repo_id, repo.kind, head[0]) if head is not None else None
    if remote is None:
        return RepoPlan(repo, None, wanted)
    if head is not None and remote.private != head[1]:
        raise Refused(f"{repo.repo_id}: its visibility changed a moment ago. Run the same command again.")
    same_files = not remote.differing(repo)
    own = noted is not None and remote.private and _ours(hub, repo, remote, noted.commit)
    foreign = []
    if not same_files and known != remote.head:
        for commit in hub.commits(repo, remote.head):
            if commit.commit_id == known:
                break
            foreign += whose([commit])
        if known is None and remote.new(repo):
            foreign = []
        elif not foreign:
            foreign = [f"{len(remote.files)} files that no publication from here put there"]
    notes = []
    published = repo.repo_id in make_public
    if remote.private and not own and wanted == "public":
        if published:
            notes.append(f"becomes public with its whole history, {len(hub.commits(repo, remote.head))} commits")
        else:
            notes.append(f"stays private, as it is; --make-public {repo.repo_id} makes it public")
    elif not remote.private and wanted == "private":
        notes.append(
            "stays public, as it is, although the project config says private; change it in its settings on the Hub"
        )
    return RepoPlan(repo, remote, wanted, own, published, tuple(foreign), tuple(notes))


def _ours(hub: Hub, repo: Repository, remote: RemoteRepo, noted: str | None) -> bool:
    """Determine whether an unfinished publication made all of a repository's history, which becomes public with it.

    Args:
        hub: The Hub.
        repo: The repository as it should be.
        remote: As it is.
        noted: The commit that was read back; after it there may be one more, with the files as they should be.
    """
    if remote.head == noted:
        return True
    before = [commit.commit_id for commit in hub.commits(repo, remote.head)][1:]
    if not before:
        return remote.new(repo)
    return not remote.differing(repo) and (before[0] == noted if noted else len(before) == 1)


def up_to_date(plans: list[RepoPlan], receipt: Publication | None, options: Options) -> bool:
    """Determine whether the Hub has all of it, as the receipt says, and nothing else is asked for."""
    if receipt is None or receipt.count("failed"):
        return False
    for plan in plans:
        last, remote = receipt.repo(plan.repo.role), plan.remote
        if last is None or remote is None or plan.action != "nothing" or plan.revealed:
            return False
        if (last.repo_id, last.commit, last.visibility) != (plan.repo.repo_id, remote.head, remote.visibility):
            return False
        if options.tag not in (None, last.tag):
            return False
    return True
