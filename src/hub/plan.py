"""What a publication would change: each repository as it should be, compared with what is on the Hub."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Literal

from huggingface_hub import GitCommitInfo

from src.record.publication import Publication, Visibility

from .errors import Refused
from .receipt import Receipt
from .remote import FIRST_COMMIT, Hub, RemoteRepo, aside, belongs, commit_title, describe
from .repository import Repository

Kind = Literal["added", "changed", "removed", "same", "left alone"]


@dataclass(frozen=True)
class Change:
    """What happens to one file, with its bytes afterwards."""

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
        ours: Whether this project created it, made all of its history, and it was never public.
        aside: One of ours that was never public and has earlier commits: it is renamed, and a new one takes its name.
        committed: Whether the newest commit is one that this project made.
        asked: Whether the person asks to make it public.
        foreign: What others did since the last publication, a line each.
        notes: What the person should know.
    """

    repo: Repository
    remote: RemoteRepo | None
    wanted: Visibility
    ours: bool = False
    aside: RemoteRepo | None = None
    committed: bool = False
    asked: bool = False
    foreign: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def action(self) -> Literal["create", "update", "nothing"]:
        """What happens to its files."""
        if self.remote is None:
            return "create"
        return "update" if self.remote.differing(self.repo) else "nothing"

    @property
    def becomes_public(self) -> bool:
        """Whether it is not public yet and will be."""
        if self.remote is not None and not self.remote.private:
            return False
        return self.asked or (self.wanted == "public" and (self.remote is None or self.ours))

    @property
    def visibility(self) -> Visibility:
        """Who sees it afterwards."""
        public = self.becomes_public or (self.remote is not None and not self.remote.private)
        return "public" if public else "private"

    @property
    def changes(self) -> list[Change]:
        """What happens to each file."""
        ours, theirs = self.repo.files, self.remote.files if self.remote else {}
        found = []
        for path in sorted(ours.keys() | theirs.keys()):
            kind: Kind = "added"
            if path not in ours:
                kind = "removed" if path in self.repo.retired else "left alone"
            elif path in theirs:
                kind = "same" if ours[path].same_as(theirs[path]) else "changed"
            found.append(Change(path, kind, ours[path].size if path in ours else theirs[path].size))
        return found

    def paths(self, kind: Kind) -> list[str]:
        """List the files to which something happens."""
        return [change.path for change in self.changes if change.kind == kind]

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


def plan_repo(hub: Hub, repo: Repository, wanted: Visibility, asked: bool, receipt: Receipt) -> RepoPlan:
    """Compare a repository with what is on the Hub. Nothing is changed."""
    last = receipt.last.repo(repo.role) if receipt.last else None
    last = last if last is not None and last.repo_id == repo.repo_id else None
    note = receipt.unfinished.find(repo.repo_id)
    known = note.commit if note and note.commit else last.commit if last else None
    head = hub.head(repo, known)
    remote = hub.read(repo.repo_id, repo.kind, head[0]) if head is not None else None
    if head is None or remote is None:
        return RepoPlan(repo, None, wanted)
    if remote.private != head[1]:
        raise Refused(f"{repo.repo_id}: its visibility changed a moment ago. Run the same command again.")
    commits = hub.commits(repo, remote.head)
    others = _made_by_others(commits, known, receipt.unfinished.id)
    ours = remote.private and not others and (note.created if note else last is not None and last.never_public)
    published = [*(last.paths if last else ()), *(note.paths if note else ())]
    new = remote.is_new(repo) and all(commit.title == FIRST_COMMIT for commit in commits)
    repo = replace(repo, retired=frozenset(remote.files if ours or new else published) - repo.files.keys())
    made = commits[0].title == commit_title(repo) and (
        remote.head == known or belongs(commits[0], receipt.unfinished.id)
    )
    plan = RepoPlan(repo, remote, wanted, ours, committed=made, asked=asked)
    if ours and plan.becomes_public and _shows_more(hub, plan, commits):
        place = aside(repo.repo_id, remote.head)
        says = f"starts from scratch; its earlier commits move to {place}, which stays private"
        return RepoPlan(repo, None, wanted, aside=remote, asked=asked, notes=(says,))
    if plan.action == "nothing" and not remote.others(repo):
        others = []  # whoever committed it
    elif known is None and not ours and not remote.is_new(repo):
        others = [f"{len(remote.files)} files that were not published from here"]
    return replace(plan, foreign=tuple(others), notes=tuple(_notes(plan, commits)))


def _shows_more(hub: Hub, plan: RepoPlan, commits: list[GitCommitInfo]) -> bool:
    """Determine whether more than one commit of ours would become public, or another branch, tag or pull request."""
    if sum(commit.title != FIRST_COMMIT for commit in commits) + (plan.action != "nothing") > 1:
        return True
    refs = hub.call(hub.api.list_repo_refs, plan.repo.repo_id, repo_type=plan.repo.kind, include_pull_requests=True)
    return any(
        ref.target_commit != commits[0].commit_id for ref in (*refs.branches, *refs.tags, *(refs.pull_requests or []))
    )


def _made_by_others(commits: list[GitCommitInfo], known: str | None, ours: str) -> list[str]:
    """Describe the commits after the last one of ours, except those whose message has the id of our unfinished publication."""
    new = list(takewhile(lambda commit: commit.commit_id != known, commits))
    if new and new[-1] is commits[-1] and new[-1].title == FIRST_COMMIT:
        del new[-1]
    return describe(commit for commit in new if not belongs(commit, ours))


def _notes(plan: RepoPlan, commits: list[GitCommitInfo]) -> list[str]:
    remote, name = plan.remote, plan.repo.repo_id
    if remote is None or (remote.visibility == plan.wanted and not plan.asked):
        return []
    if not remote.private:
        return [
            "stays public, as it is, although the project config says private; change it in its settings on the Hub"
        ]
    if plan.becomes_public and plan.ours:
        return ["becomes public with one commit"]
    if plan.becomes_public:
        return [f"becomes public with its whole history, {len(commits)} commits"]
    return [f"stays private, as it is; --make-public {name} makes it public"]


def up_to_date(plans: list[RepoPlan], receipt: Publication | None, tag: str | None) -> bool:
    """Determine whether the Hub has all of it, as the receipt says, and nothing else is asked for."""
    if receipt is None or receipt.count("failed"):
        return False
    for plan in plans:
        last, remote = receipt.repo(plan.repo.role), plan.remote
        if last is None or remote is None or plan.action != "nothing" or plan.becomes_public:
            return False
        if (last.repo_id, last.commit, last.visibility) != (plan.repo.repo_id, remote.head, remote.visibility):
            return False
        if tag not in (None, last.tag):
            return False
    return True
