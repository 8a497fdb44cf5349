"""Use repositories as a visitor would: load the dataset and the models, run the cards' snippets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from src.documents.context import Context
from src.documents.renderer import Renderer
from src.record.publication import Check, Outcome, Role

from .bundle import Repository
from .process import Home

PROMPTS = ("Once upon a time", "Question: What is two and two?\nAnswer:", "0 1 2 a b c")
"""Texts whose logits are compared; fixed, so that the receipts of several publications can be compared."""

SNIPPETS: dict[Role, str] = {"base": "base_card/snippet", "dataset": "dataset_card/uses", "model": "shared/snippet"}
"""The fragments that write a card's snippet."""

CODE = re.compile(r"^```python\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)

SPLITS = "load_dataset gives every split"
LOGITS = "the adapter's logits equal the local model's"
SNIPPET = "the card's snippet runs"

Report = Callable[[Check], None]
"""Called with each check once it is done."""


class Loading:
    """Loads repositories by their names, here from a cache that was filled before, or from the Hub.

    Args:
        home: Where the child process works.
        context: What is published.
        further: More adapters in the model's repository, by folder.
        report: Called with each check.
        local: Whether the network is off.
        token: For what only its owner sees yet.
    """

    def __init__(
        self,
        home: Home,
        context: Context,
        further: Mapping[str, Path],
        report: Report,
        *,
        local: bool,
        token: str | None = None,
    ) -> None:
        self.home, self._context, self._further, self._report = home, context, further, report
        self._local, self._token = local, token

    def note(self, role: Role, name: str, outcome: Outcome | bool, detail: str) -> None:
        """Report a check."""
        if isinstance(outcome, bool):
            outcome = "passed" if outcome else "failed"
        where = "" if self._local else "from the Hub: "
        self._report(Check(repo=role, name=f"{where}{name}", outcome=outcome, detail=detail or None))

    def run(self, repo: Repository) -> None:
        """Do every check of one repository."""
        if repo.role == "dataset":
            self._dataset(repo)
        elif repo.role == "model":
            self._logits(repo)
        self._snippet(repo)

    def _job(self, job: str, what: str, **request: Any) -> Any:
        return self.home.run(job, what, offline=self._local, token=self._token, **request)

    def _dataset(self, repo: Repository) -> None:
        splits = self._context.record.published_splits
        configs = sorted({split.config for split in splits})
        try:
            found = self._job(
                "dataset", f"loading {repo.repo_id}", place=self._place(repo), name=repo.repo_id, revision=None, configs=configs
            )  # fmt: skip
        except ValueError as error:
            self.note("dataset", SPLITS, False, str(error))
            return
        wrong = [
            f"{split.config}/{split.name}"
            for split in splits
            if found.get(split.config, {}).get(split.name) != {"rows": split.rows, "columns": sorted(split.columns)}
        ]
        rows = sum(split.rows for split in splits)
        detail = f"differing: {', '.join(wrong)}" if wrong else f"{len(splits)} splits, {rows:,} rows"
        self.note("dataset", SPLITS, not wrong, detail)

    def _place(self, repo: Repository) -> Path | None:
        return self.home.by_name if self._local and repo.role == "dataset" else None

    def _logits(self, repo: Repository) -> None:
        record, names = self._context.record, self._context.names
        base = str(record.base_folder.absolute()) if record.base_folder else names.base
        checkpoints = {"": record.checkpoint, **self._further}
        own = record.checkpoint_has_tokenizer
        published = {
            "base": names.base,
            "tokenizer": repo.repo_id if own else names.base,
            "adapters": [[repo.repo_id, folder] for folder in checkpoints],
        }
        local = {
            "base": base,
            "tokenizer": str(record.checkpoint.absolute()) if own else base,
            "adapters": [[str(path.absolute()), ""] for path in checkpoints.values()],
        }
        try:
            found = self._job("logits", f"loading {repo.repo_id}", prompts=PROMPTS, published=published, local=local)
        except ValueError as error:
            self.note("model", LOGITS, False, str(error))
            return
        detail = f"largest difference {found['difference']} of {found['count']:,} logits"
        self.note("model", LOGITS, found["difference"] == 0, detail)

    def _snippet(self, repo: Repository) -> None:
        """Run the code that the card's own fragment wrote, and no other code that may be in the card."""
        role = repo.role
        if role not in SNIPPETS or (role == "base" and self._context.record.base_training is None):
            return  # somebody else's card
        code = CODE.findall(Renderer(self._context, "hub").fragment(SNIPPETS[role]))
        if not code:
            return
        try:
            printed = self._job(
                "snippet", f"running the snippet of {repo.repo_id}", place=self._place(repo), code=code[0]
            )
        except ValueError as error:
            self.note(role, SNIPPET, False, str(error))
            return
        self.note(role, SNIPPET, True, f"printed {printed!r}"[:300])
