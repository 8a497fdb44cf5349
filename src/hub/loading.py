"""Use repositories as a visitor would: load the dataset and the models, run the cards' snippets."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from src.documents.context import Context
from src.documents.renderer import Renderer
from src.record.publication import Outcome, Role

from .outcomes import Checks
from .process import Home
from .repository import Repository

PROMPTS = ("Once upon a time", "Question: What is two and two?\nAnswer:", "0 1 2 a b c")
"""Texts whose logits are compared; fixed, so that the receipts of several publications can be compared."""

SNIPPETS: dict[Role, str] = {
    "base": "parts/base_snippet.md",
    "dataset": "parts/dataset_snippet.md",
    "model": "parts/snippet.md",
}
"""The fragments that write a card's snippet."""

CODE = re.compile(r"^```python\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)

SPLITS = "load_dataset gives every split"
LOGITS = "the adapter's logits equal the local model's"
SNIPPET = "the card's snippet runs"


CODE_OF_ITS_OWN = "it needs code of its own (trust_remote_code), which is never run here"


class Loading:
    """Loads repositories by their names, here from a cache that was filled before, or from the Hub.

    Args:
        home: Where the child process works.
        context: What is published.
        checks: Collects the outcomes.
        local: Whether the network is off.
        token: For what only its owner sees yet.
    """

    def __init__(
        self,
        home: Home,
        context: Context,
        checks: Checks,
        *,
        local: bool,
        token: str | None = None,
    ) -> None:
        self.home, self._context, self._checks = home, context, checks
        self._local, self._token = local, token

    def note(self, role: Role, name: str, outcome: Outcome | bool, detail: str) -> None:
        """Add a check; its name says where it was done."""
        self._checks.add(role, name if self._local else f"from the Hub: {name}", outcome, detail)

    def run(self, repos: list[Repository]) -> None:
        """Do every check of every repository, in one process."""
        jobs: list[dict[str, Any]] = []
        reports: list[Callable[[Any], None]] = []
        for repo in repos:
            if repo.role == "dataset":
                jobs.append(self._dataset(repo))
                reports.append(self._compare_splits)
            elif repo.role == "model" and (why := self._unloadable()):
                self.note("model", LOGITS, "not checked", why)
            elif repo.role == "model":
                jobs.append(self._logits(repo))
                reports.append(self._compare_logits)
            code = self._snippet(repo)
            if code is not None:
                jobs.append({"job": "snippet", "code": code})
                reports.append(partial(self._printed, repo.role))
            if self._local and repo.role == "dataset":
                for job in jobs:
                    job.setdefault("place", str(self.home.by_name))
        if jobs:
            what = f"loading and running {', '.join(repo.repo_id for repo in repos)}"
            found = self.home.run(jobs, what, offline=self._local, token=self._token)
            for report, reply in zip(reports, found, strict=True):
                report(reply)

    def _unloadable(self) -> str | None:
        """Return why the model cannot be asked for logits of a text, if it cannot."""
        record = self._context.record
        if record.model.reads != "text":
            return f"the model reads {record.model.reads}"
        if record.model.head is None:
            return "the checkpoint does not state its task"
        return (
            "no tokenizer is next to the model" if record.model.full and not record.checkpoint_has_tokenizer else None
        )

    def _dataset(self, repo: Repository) -> dict[str, Any]:
        configs = sorted({split.config for split in self._context.record.published_splits})
        return {"job": "dataset", "name": repo.repo_id, "configs": configs}

    def _compare_splits(self, found: Any) -> None:
        if isinstance(found, ValueError):
            self.note("dataset", SPLITS, False, str(found))
            return
        splits = self._context.record.published_splits
        columns: dict[str, set[str]] = {}
        for split in splits:  # the splits of a config share their columns; one without values of its own is null
            columns.setdefault(split.config, set()).update(split.columns)
        wrong = [
            f"{split.config}/{split.name}"
            for split in splits
            if found.get(split.config, {}).get(split.name)
            != {"rows": split.rows, "columns": sorted(columns[split.config])}
        ]
        rows = sum(split.rows for split in splits)
        detail = f"differing: {', '.join(wrong)}" if wrong else f"{len(splits)} splits, {rows:,} rows"
        self.note("dataset", SPLITS, not wrong, detail)

    def _logits(self, repo: Repository) -> dict[str, Any]:
        record, names = self._context.record, self._context.names
        model = record.model
        job: dict[str, Any] = {
            "job": "logits",
            "prompts": PROMPTS,
            "auto": model.head.auto if model.head else None,
            "options": {"num_labels": model.labels} if model.labels else {},
            "resized": record.resized,
        }
        checkpoint = str(record.checkpoint.absolute())
        if model.full:
            sides = {"published": repo.repo_id, "local": checkpoint}
            return job | {side: {"base": name, "tokenizer": name, "adapters": []} for side, name in sides.items()}
        base = str(record.base_folder.absolute()) if record.base_folder else names.base
        checkpoints = {"": record.checkpoint, **record.further_adapters}
        own = record.checkpoint_has_tokenizer
        if record.base_pinned:
            job["options"] |= {"revision": record.base_pinned}
        published = {
            "base": names.base,
            "tokenizer": repo.repo_id if own else names.base,
            "adapters": [[repo.repo_id, folder] for folder in checkpoints],
        }
        local = {
            "base": base,
            "tokenizer": checkpoint if own else base,
            "adapters": [[str(path.absolute()), ""] for path in checkpoints.values()],
        }
        return job | {"published": published, "local": local}

    def _compare_logits(self, found: Any) -> None:
        if _needs_code(found):
            lacking = [name for name in self._context.record.model.own_code if "/" not in name]
            hint = "name the repository that has it in `auto_map`, as in ORG/REPO--modeling.Class"
            why = f"needs {', '.join(lacking)}, which is not published; {hint}" if lacking else CODE_OF_ITS_OWN
            self.note("model", LOGITS, False if lacking else "not checked", why)
        elif isinstance(found, ValueError):
            self.note("model", LOGITS, False, str(found))
        else:
            detail = f"largest difference {found['difference']} of {found['count']:,} logits"
            self.note("model", LOGITS, found["difference"] == 0, detail)

    def _snippet(self, repo: Repository) -> str | None:
        """Return the code that the card's own fragment wrote, and no other code that may be in the card."""
        role = repo.role
        if role not in SNIPPETS or (role == "base" and self._context.record.base_training is None):
            return None  # somebody else's card
        code = CODE.findall(Renderer(self._context, "hub").render(SNIPPETS[role]))
        return str(code[0]) if code else None

    def _printed(self, role: Role, found: Any) -> None:
        if _needs_code(found):
            self.note(role, SNIPPET, "not checked", CODE_OF_ITS_OWN)
            return
        failed = isinstance(found, ValueError)
        self.note(role, SNIPPET, not failed, str(found) if failed else f"printed {found!r}"[:300])


def _needs_code(found: Any) -> bool:
    """Determine whether a job failed because a model brings code that transformers would have to run."""
    return isinstance(found, ValueError) and "trust_remote_code" in str(found)
