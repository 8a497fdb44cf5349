"""Put files on the Hub where no visitor sees them yet, and let visitors see them later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import huggingface_hub as hf

from src.record.errors import show
from src.record.publication import Visibility

from .bundle import Repository
from .client import ERRORS, Hub, RemoteRepo, is_transient, status
from .errors import Refused, Unreachable
from .plan import MESSAGE, RepoPlan


@dataclass(frozen=True)
class Staged:
    """Files that lie on the Hub and wait to be verified.

    Attributes:
        plan: What was planned.
        commit: The commit that holds them.
        pull_request: Number of the pull request that holds the commit; None if it is on `main` already.
    """

    plan: RepoPlan
    commit: str
    pull_request: int | None


def stage(hub: Hub, plan: RepoPlan) -> Staged:
    """Upload what a plan says as one commit: to a private repository, or as a pull request to a public one.

    A commit or pull request that an earlier run left behind is used again, and a reply that got lost is made up for by
    looking, so that no commit is made twice.

    Raises:
        Refused: The repository changed meanwhile.
        Unreachable: The Hub was not there.
    """
    repo = plan.repo
    if plan.action == "nothing" and plan.remote is not None:
        return Staged(plan, plan.remote.head, None)
    remote = plan.remote
    if remote is None:
        hub.call(
            hub.api.create_repo, repo.repo_id, repo_type=repo.kind, visibility="private", exist_ok=True,
            space_sdk="static" if repo.kind == "space" else None,
        )  # fmt: skip
        remote = hub.read(repo.repo_id, repo.kind)
        filled = bool(remote and remote.files) and repo.kind != "space"  # the Hub puts a first page into a new Space
        if remote is None or not remote.private or filled:
            raise Refused(
                f"somebody else made {repo.repo_id} a moment ago. Look at it, then run the same command again."
            )
    pull = plan.action == "pull request"
    found = _open_pull_request(hub, plan, remote.head) if pull else None
    if found is not None:
        return Staged(plan, found[1], found[0])
    commit, number = _commit(hub, plan, remote, pull=pull)
    return Staged(plan, commit, number)


def _commit(hub: Hub, plan: RepoPlan, remote: RemoteRepo, *, pull: bool) -> tuple[str, int | None]:
    repo = plan.repo
    operations: list[hf.CommitOperationAdd | hf.CommitOperationDelete] = []
    for file in repo.files.values():
        there = remote.files.get(file.path)
        if there is None or not file.same_as(there.size, there.sha256, there.blob_id):
            add = hf.CommitOperationAdd(file.path, file.source)
            add.upload_info.sha256 = bytes.fromhex(file.sha256)  # hashed once already
            operations.append(add)
    operations += [hf.CommitOperationDelete(path) for path in sorted(remote.files.keys() - repo.files.keys())]
    additions = [operation for operation in operations if isinstance(operation, hf.CommitOperationAdd)]
    hub.call(
        hub.api.preupload_lfs_files, repo.repo_id, additions, repo_type=repo.kind, create_pr=pull, free_memory=False
    )

    def commit() -> tuple[str, int | None]:
        try:
            info = hub.api.create_commit(
                repo.repo_id,
                operations,
                commit_message=plan.message,
                repo_type=repo.kind,
                parent_commit=remote.head,
                create_pr=pull,
            )
        except ERRORS as error:
            landed = None
            if is_transient(error) or status(error) in (409, 412):
                landed = _landed(hub, plan, remote.head, pull=pull)
            if landed is None:
                raise
            return landed
        return str(info.oid), info.pr_num if pull else None

    return hub.call(commit)


def _landed(hub: Hub, plan: RepoPlan, parent: str, *, pull: bool) -> tuple[str, int | None] | None:
    """Look whether a commit arrived although its reply did not."""
    repo = plan.repo
    if pull:
        found = _open_pull_request(hub, plan, parent)
        return (found[1], found[0]) if found else None
    now = hub.read(repo.repo_id, repo.kind)
    if now is not None and now.holds(repo):
        return now.head, None
    if now is not None and now.head != parent:
        raise Refused(f"{repo.repo_id} was changed during the upload. Run the same command again to see how.")
    return None


def _pull_requests(hub: Hub, plan: RepoPlan) -> list[int]:
    """List the numbers of this publisher's open pull requests, newest first."""
    repo = plan.repo
    found = hub.call(
        lambda: list(
            hub.api.get_repo_discussions(
                repo.repo_id, repo_type=repo.kind, discussion_type="pull_request", discussion_status="open"
            )
        )
    )
    ours = (d for d in found if (said := MESSAGE.fullmatch(d.title)) and said[1] == repo.role)
    return sorted((d.num for d in ours), reverse=True)


def _open_pull_request(hub: Hub, plan: RepoPlan, parent: str) -> tuple[int, str] | None:
    """Find an open pull request that makes `parent` into the repository as it should be; its number and commit."""
    repo = plan.repo
    for number in _pull_requests(hub, plan):
        revision = f"refs/pr/{number}"
        state = hub.read(repo.repo_id, repo.kind, revision)
        if state is not None and state.holds(repo):
            commits = hub.call(hub.api.list_repo_commits, repo.repo_id, repo_type=repo.kind, revision=revision)
            if parent in [commit.commit_id for commit in commits[:2]]:
                return number, state.head
    return None


def release(hub: Hub, staged: Staged) -> RemoteRepo:
    """Let visitors see what was verified: merge the pull request, and set the visibility.

    The Hub cannot be told to do so only if nothing changed, so this looks before it and after it, and hides what nobody verified.

    Returns:
        The repository as visitors see it now, at the verified commit or its merge.

    Raises:
        Refused: Somebody changed the repository or the pull request meanwhile.
        Unreachable: The Hub was not there.
    """
    plan, repo = staged.plan, staged.plan.repo
    before = _verified(hub, staged)
    if plan.remote is not None and before.private != plan.remote.private:
        seen = "private" if before.private else "public"
        raise _moved(repo, f"somebody made it {seen} while it was verified", " It stays so.")
    if staged.pull_request is not None:
        _merge(hub, plan, staged.pull_request)
        before = _unchanged(hub, staged, before, merged=True)
    if before.private == (plan.visibility == "private"):
        return before
    _set_visibility(hub, repo, plan.visibility)
    return _unchanged(hub, staged, before, merged=False)


def _verified(hub: Hub, staged: Staged) -> RemoteRepo:
    """Read what was verified, if it is still what would be released."""
    plan, repo, number = staged.plan, staged.plan.repo, staged.pull_request
    now = hub.read(repo.repo_id, repo.kind)
    if number is not None:
        left = f" The pull request stays open: {hub.endpoint}/{repo.page}/discussions/{number}."
        if now is None or plan.remote is None or now.head != plan.remote.head:
            raise _moved(repo, "`main` changed while the pull request was verified", left)
        now = hub.read(repo.repo_id, repo.kind, f"refs/pr/{number}")
        if now is None or now.head != staged.commit or not now.holds(repo):
            raise _moved(repo, "the pull request changed while it was verified", left)
    elif now is None or now.head != staged.commit or not now.holds(repo):
        raise _moved(repo, "`main` changed while it was verified")
    return now


def _unchanged(hub: Hub, staged: Staged, before: RemoteRepo, *, merged: bool) -> RemoteRepo:
    """Read what visitors see after a merge or a change of visibility; hide it if it is not what was verified."""
    plan, repo = staged.plan, staged.plan.repo
    try:
        now = hub.read(repo.repo_id, repo.kind)
    except Unreachable as error:
        raise Unreachable(
            f"{repo.repo_id} could not be read after its release, so nobody knows whether visitors see what was verified: "
            f"look at it on the Hub, then run with --verify-only. {error}"
        ) from None
    if now is None:
        raise _moved(repo, "it is gone")
    same = (now.files, now.automatic) == (before.files, before.automatic)
    if not same or (not merged and now.head != before.head):
        if not now.private:
            _set_visibility(hub, repo, "private")
        raise _moved(
            repo,
            f"somebody changed `main` at the moment of its release (commit {now.head[:12]})",
            " It was made private, since nobody verified that.",
        )
    if not merged and now.private != (plan.visibility == "private"):
        raise Unreachable(f"{repo.repo_id} did not become {plan.visibility}. Run the same command again.")
    return now


def _moved(repo: Repository, what: str, then: str = "") -> Refused:
    return Refused(f"{repo.repo_id}: {what}.{then} Nothing of it was certified. Run the same command again to see how.")


def _set_visibility(hub: Hub, repo: Repository, visibility: Visibility) -> None:
    hub.call(hub.api.update_repo_settings, repo.repo_id, repo_type=repo.kind, visibility=visibility)


def _merge(hub: Hub, plan: RepoPlan, number: int) -> None:
    repo = plan.repo

    def merge() -> None:
        try:
            hub.api.merge_pull_request(repo.repo_id, number, repo_type=repo.kind)
        except ERRORS:
            details = hub.call(hub.api.get_discussion_details, repo.repo_id, number, repo_type=repo.kind)
            if details.status != "merged":
                raise

    hub.call(merge)
    for old in _pull_requests(hub, plan):
        hub.call(
            hub.api.change_discussion_status,
            repo.repo_id,
            old,
            "closed",
            comment=f"Superseded by #{number}.",
            repo_type=repo.kind,
        )


def put_tag(hub: Hub, repo: Repository, commit: str, tag: str) -> None:
    """Tag a commit; the same tag on the same commit is fine.

    Raises:
        Refused: The tag is on another commit.
        Unreachable: The Hub was not there.
    """
    hub.call(hub.api.create_tag, repo.repo_id, tag=tag, revision=commit, repo_type=repo.kind, exist_ok=True)
    refs = hub.call(hub.api.list_repo_refs, repo.repo_id, repo_type=repo.kind)
    if not any(ref.name == tag and ref.target_commit == commit for ref in refs.tags):
        raise Refused(f"{repo.repo_id}: the tag {show(tag)} is on another commit. Give another --tag.")


def put_collection(hub: Hub, namespace: str, title: str, repos: list[Repository], *, private: bool) -> str:
    """Group the repositories in a collection of that title; make it if there is none.

    Returns:
        The collection's slug.

    Raises:
        Refused: The user may not.
        Unreachable: The Hub was not there.
    """
    api = hub.api
    known: Callable[[], list[hf.Collection]] = lambda: list(api.list_collections(owner=namespace))  # noqa: E731
    slug = next((c.slug for c in hub.call(known) if c.title == title), None)
    if slug is None:
        slug = hub.call(api.create_collection, title, namespace=namespace, private=private, exists_ok=True).slug
    add_to_collection(hub, slug, repos)
    return str(slug)


def add_to_collection(hub: Hub, slug: str, repos: list[Repository]) -> None:
    """Put repositories into a collection; those that are in it already stay.

    Raises:
        Refused: The user may not, or there is no such collection any more.
        Unreachable: The Hub was not there.
    """
    for repo in repos:
        hub.call(hub.api.add_collection_item, slug, repo.repo_id, repo.kind, exists_ok=True)
