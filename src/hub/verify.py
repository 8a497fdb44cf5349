"""Verify a bundle here, before a byte of it is sent."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import huggingface_hub as hf

from src.documents.context import Context
from src.exchange.shared import BENCHMARK, declared_tasks

from .bundle import local_base
from .errors import Refused
from .links import inside
from .loading import LOGITS, Loading
from .outcomes import Checks
from .process import Home
from .remote import Hub
from .repository import Repository
from .waiting import Clock

METADATA = "the card's metadata"
OWN_LINKS = "links to its own files"


class Verification:
    """Checks the repositories of a publication and collects what was found.

    Args:
        context: What is published.
        repos: The repositories.
        checks: Collects the outcomes.
    """

    def __init__(self, context: Context, repos: list[Repository], checks: Checks) -> None:
        self._context, self._repos, self._checks = context, repos, checks

    def run(self, folder: Path, clock: Clock, visitor: Hub, obstacle: str | None, *, load: bool) -> None:
        """Check everything, here and without a token.

        Args:
            folder: A temporary folder.
            clock: Ends it when the time is up.
            visitor: The Hub without a token, for a base model that is there.
            obstacle: What visitors need to load the base model.
            load: Whether the person wants the models to be loaded.

        Raises:
            Refused: A check failed.
        """
        self.documents()
        self._visitor, self._base = visitor, local_base(self._context)
        self._home = Home(folder / "home", clock, visitor.endpoint)
        for repo in {repo.repo_id: repo for repo in (self._base, *self._repos) if repo is not None}.values():
            if repo.kind == "dataset":
                self._home.link(repo)
            elif repo.kind == "model":
                self._home.fill(repo)
        loaded = [repo for repo in self._repos if repo.role == "dataset"]
        for repo in self._repos:
            if repo.role in ("base", "model") and self._loadable(repo, obstacle, load=load):
                loaded.append(repo)
        Loading(self._home, self._context, self._checks, local=True).run(loaded if load else [])
        self.finish()

    def documents(self) -> None:
        """Check what needs neither the network nor a model: metadata, links inside a repository, the benchmark."""
        for repo in self._repos:
            self._metadata(repo)
            missing = inside(repo)
            self._checks.add(
                repo.role, OWN_LINKS, not missing, f"not there: {', '.join(missing)[:300]}" if missing else "all there"
            )
            if BENCHMARK in repo.files:
                tasks = declared_tasks(repo.files[BENCHMARK].content.decode())
                there = all(f"{config}/{split}.parquet" in repo.files for _, config, split in tasks)
                self._checks.add(
                    repo.role,
                    f"{BENCHMARK} declares splits of this dataset",
                    bool(tasks) and there,
                    f"{len(tasks)} tasks",
                )

    def _metadata(self, repo: Repository) -> None:
        if not repo.card:
            self._checks.add(repo.role, METADATA, False, "README.md is missing; write one next to the model")
            return
        kinds: dict[str, Any] = {"dataset": hf.DatasetCard, "space": hf.SpaceCard, "model": hf.ModelCard}
        try:
            data = kinds[repo.kind](repo.card).data.to_dict()
        except (ValueError, TypeError) as error:
            self._checks.add(repo.role, METADATA, False, str(error).splitlines()[0])
            return
        if repo.role != "model":
            self._checks.add(repo.role, METADATA, True, f"{len(data)} keys")
            return
        stated = {
            result["name"]: result["value"]
            for entry in data.get("model-index") or []
            for outcome in entry["results"]
            for result in outcome["metrics"]
        }
        measured = {metric.config.label: metric.finetuned.value for metric in self._context.analysis.main}
        equal = stated.keys() == measured.keys() and all(math.isclose(stated[k], measured[k]) for k in stated)
        self._checks.add(repo.role, METADATA, equal, f"{len(data)} keys, {len(stated)} metrics as in the record")

    def _loadable(self, repo: Repository, obstacle: str | None, *, load: bool) -> bool:
        """Determine whether a model can be loaded here; otherwise note why, and compare names and shapes."""
        if obstacle is not None:
            self._checks.add(repo.role, LOGITS, "not checked", obstacle)
            return False
        name = str(self._context.names.base)
        full = self._context.record.model.full
        needed = repo.size if full else self._base.size if self._base is not None else self._size(name)
        if load and needed < _free_memory():
            if self._base is None and not full:
                job = {"job": "fetch", "name": name, "revision": self._context.record.base_pinned}
                (error,) = self._home.run([job], f"downloading {name} without a token", offline=False)
                if isinstance(error, ValueError):
                    self._checks.add(repo.role, LOGITS, False, f"{name}: {error}")
                    return False
            return True
        why = "not loaded" if not load else f"not loaded: {needed / 1e9:.1f} GB are more than the free memory"
        self._checks.add(repo.role, LOGITS, "not checked", why)
        return False

    def _size(self, name: str) -> int:
        """Return the bytes of a model's weights on the Hub."""
        info = self._visitor.call(self._visitor.api.model_info, name, files_metadata=True)
        return sum(file.size or 0 for file in info.siblings or [] if file.rfilename.endswith(".safetensors"))

    def finish(self) -> None:
        """Refuse to continue if a check failed.

        Raises:
            Refused: One did.
        """
        failed = self._checks.failed
        if failed:
            raise Refused(
                f"{len(failed)} of {len(self._checks.done)} checks failed ({'; '.join(failed)}). Correct what failed; nothing was sent."
            )


def _free_memory() -> int:
    return int(importlib.import_module("psutil").virtual_memory().available)
