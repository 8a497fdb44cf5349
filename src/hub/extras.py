"""Tags and the collection, which come after the commits."""

from __future__ import annotations

import huggingface_hub as hf

from src.record.errors import show

from .bundle import Repository
from .errors import Refused
from .remote import Hub


def put_tag(hub: Hub, repo: Repository, commit: str, tag: str) -> None:
    """Tag a commit; the same tag on the same commit is fine.

    Raises:
        Refused: The tag is on another commit.
        Unreachable: The Hub did not answer as it should.
    """
    hub.call(hub.api.create_tag, repo.repo_id, tag=tag, revision=commit, repo_type=repo.kind, exist_ok=True)
    refs = hub.call(hub.api.list_repo_refs, repo.repo_id, repo_type=repo.kind)
    if not any(ref.name == tag and ref.target_commit == commit for ref in refs.tags):
        raise Refused(f"{repo.repo_id}: the tag {show(tag)} is on another commit. Give another --tag.")


def put_collection(hub: Hub, namespace: str, title: str, repos: list[Repository], *, private: bool) -> str:
    """Group the repositories in a collection of that title; create it if there is none.

    Returns:
        The collection's slug.

    Raises:
        Refused: The token may not.
        Unreachable: The Hub did not answer as it should.
    """

    def known() -> list[hf.Collection]:
        return list(hub.api.list_collections(owner=namespace))

    slug = next((found.slug for found in hub.call(known) if found.title == title), None)
    if slug is None:
        slug = hub.call(hub.api.create_collection, title, namespace=namespace, private=private, exists_ok=True).slug
    add_to_collection(hub, slug, repos)
    return str(slug)


def add_to_collection(hub: Hub, slug: str, repos: list[Repository]) -> None:
    """Put repositories into a collection; those that are in it already stay.

    Raises:
        Refused: The token may not, or there is no such collection any more.
        Unreachable: The Hub did not answer as it should.
    """
    for repo in repos:
        hub.call(hub.api.add_collection_item, slug, repo.repo_id, repo.kind, exists_ok=True)
