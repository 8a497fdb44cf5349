"""Look at what was published, from the Hub: load it, run it, read it as a visitor does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import huggingface_hub as hf
from huggingface_hub.errors import RepositoryNotFoundError

from src.documents.context import Context
from src.record.publication import Outcome

from .links import links, repository
from .loading import Loading
from .outcomes import Checks
from .process import Home
from .remote import Hub
from .repository import Repository
from .waiting import Clock

CARD = "the Hub shows the card's metadata"
LINKS = "links to the project's own repositories"
RESULTS = "the Hub's own reading of the results"
VISITOR = "a visitor without a token sees this commit"

SHOWN = ("license", "base_model", "datasets", "library_name", "language", "pipeline_tag", "sdk")
"""Keys of a card's metadata that the Hub shows as they were written."""


class Smoke:
    """A visitor's test of repositories that are on the Hub.

    Args:
        hub: The Hub, as the owner or as a visitor sees it.
        context: What is published.
        folder: A temporary folder.
        clock: Ends it when the time is up.
        checks: Collects the outcomes.
    """

    def __init__(self, hub: Hub, context: Context, folder: Path, clock: Clock, checks: Checks) -> None:
        self.hub, self._context = hub, context
        self._folder, self._clock = folder, clock
        token = hub.token if isinstance(hub.token, str) else None
        self._home = Home(folder, clock, hub.endpoint)
        self._loading = Loading(self._home, context, checks, local=False, token=token)

    def run(self, published: Sequence[tuple[Repository, str]], *, load: bool) -> None:
        """Test repositories.

        Args:
            published: The repositories as they should be, and their commits.
            load: Whether the libraries that load models are there and wanted.
        """
        for repo, commit in published:
            self._card(repo, commit)
        loaded = [repo for repo, _ in published if repo.role != "space"]
        if load:
            self._loading.run(loaded)
        for repo, _ in published:
            if repo.role != "space" and not load:
                self._loading.note(repo.role, "loading it", "not checked", "not loaded")

    def _card(self, repo: Repository, commit: str) -> None:
        expand: Any = ["cardData", "sha"] + (["evalResults"] if repo.kind == "model" else [])
        info: Any = self.hub.call(
            self.hub.api.repo_info, repo.repo_id, repo_type=repo.kind, revision=commit, expand=expand
        )
        if info.card_data is None:
            self._loading.note(repo.role, CARD, "not checked", "the Hub shows none at this commit")
        else:
            kinds: dict[str, Any] = {"dataset": hf.DatasetCard, "space": hf.SpaceCard, "model": hf.ModelCard}
            sent, shown = kinds[repo.kind](repo.card).data.to_dict(), info.card_data.to_dict()
            odd = [key for key in SHOWN if key in sent and shown.get(key) != sent[key]]
            self._loading.note(
                repo.role, CARD, not odd, f"differing: {', '.join(odd)}" if odd else f"{len(shown)} keys"
            )
        found = getattr(info, "eval_results", None)
        results = [path for path in repo.files if path.startswith(".eval_results/")]
        if results and found is None:
            self._loading.note(repo.role, RESULTS, "not checked", "the Hub lists none at this commit")
        elif results:
            wanted = sum(repo.files[path].content.count(b"task_id:") for path in results)
            self._loading.note(
                repo.role, RESULTS, len(found or []) == wanted, f"{len(found or [])} of {wanted} results"
            )


def check_visitor(visitor: Hub, repo: Repository, commit: str, checks: Checks) -> None:
    """Read a public repository as somebody without a token."""
    seen = visitor.head(repo, commit)
    detail = commit[:12] if seen and seen[0] == commit else f"saw {seen[0][:12] if seen else 'no such repository'}"
    checks.add(repo.role, VISITOR, bool(seen and seen[0] == commit), detail)


def check_links(hub: Hub, context: Context, repo: Repository, published: set[str], checks: Checks) -> None:
    """Follow the links of a card that lead to the project's own repositories.

    Args:
        hub: The Hub, as the owner or as a visitor sees it.
        context: What is published.
        repo: The repository whose card it is.
        published: Names of the repositories of this publication, which have to be there; others may come later.
        checks: Collects the outcome, if there are such links.
    """
    names = context.names
    own = {names.model, names.dataset, names.base, names.space}
    targets = {there for link in links(repo.card) if (there := repository(link)) is not None and there[1] in own}
    if not targets:
        return
    missing = []
    for kind, name in sorted(targets):
        try:
            hub.call(hub.api.repo_info, name, repo_type=kind)
        except RepositoryNotFoundError:
            missing.append(name)
    detail = f"not there: {', '.join(missing)}" if missing else f"{len(targets)} found"
    outcome: Outcome = "failed" if published & set(missing) else "not checked" if missing else "passed"
    checks.add(repo.role, LINKS, outcome, detail)
