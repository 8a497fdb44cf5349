"""The tag and the collection, which come after the commits."""

from __future__ import annotations

import huggingface_hub as hf

from src.record.errors import show
from src.record.publication import Publication

from .errors import Refused
from .options import Options
from .remote import Hub
from .repository import Commits, Repository


def group(
    hub: Hub, publication: Publication, repos: list[Repository], commits: Commits, options: Options
) -> Publication:
    """Tag the repositories and put them into the collection; return the receipt with both."""
    for repo in repos if options.tag else ():
        _tag(hub, repo, commits[repo.role], str(options.tag))
        publication = publication.tagged(repo.role, str(options.tag))
    if options.collection:
        private = all(repo.visibility == "private" for repo in publication.repos)
        namespace = repos[0].repo_id.split("/")[0]
        slug = _collection(hub, namespace, options.collection, repos, private=private)
        return publication.model_copy(update={"collection": slug})
    if publication.collection:
        _add_to_collection(hub, publication.collection, repos)
    return publication


def _tag(hub: Hub, repo: Repository, commit: str, tag: str) -> None:
    """Tag a commit; the same tag on the same commit is fine.

    Raises:
        Refused: The tag is on another commit.
        Unreachable: The Hub did not answer as it should.
    """
    hub.call(hub.api.create_tag, repo.repo_id, tag=tag, revision=commit, repo_type=repo.kind, exist_ok=True)
    refs = hub.call(hub.api.list_repo_refs, repo.repo_id, repo_type=repo.kind)
    if not any(ref.name == tag and ref.target_commit == commit for ref in refs.tags):
        raise Refused(f"{repo.repo_id}: the tag {show(tag)} is on another commit. Give another --tag.")


def _collection(hub: Hub, namespace: str, title: str, repos: list[Repository], *, private: bool) -> str:
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
    _add_to_collection(hub, slug, repos)
    return str(slug)


def _add_to_collection(hub: Hub, slug: str, repos: list[Repository]) -> None:
    """Put repositories into a collection; those that are in it already stay.

    Raises:
        Refused: The token may not, or there is no such collection any more.
        Unreachable: The Hub did not answer as it should.
    """
    for repo in repos:
        hub.call(hub.api.add_collection_item, slug, repo.repo_id, repo.kind, exists_ok=True)
