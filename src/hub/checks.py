"""The checks of what is published: the same ones on the files here, before they are sent, and from the Hub, afterwards."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub as hf
from huggingface_hub.errors import RepositoryNotFoundError

from src.documents.context import Context
from src.documents.renderer import Renderer
from src.record.errors import CommandError
from src.record.publication import Check, Outcome, Role

from .errors import Refused
from .links import links_inside
from .process import Home
from .remote import Hub
from .repository import Repository
from .waiting import Clock

PROMPTS = ("Once upon a time", "Question: What is two and two?\nAnswer:", "0 1 2 a b c")
"""Texts whose logits are compared; fixed, so that the receipts of several publications can be compared."""

SNIPPETS: dict[Role, str] = {
    "base": "parts/base_snippet.md",
    "dataset": "parts/dataset_snippet.md",
    "model": "parts/snippet.md",
}
"""The fragments that write a card's snippet."""

SHOWN = ("license", "base_model", "datasets", "library_name", "language", "pipeline_tag", "sdk")
"""Keys of a card's metadata that the Hub shows as they were written."""

CODE = re.compile(r"^```python\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)

BYTES = "the files that were loaded are the ones that were sent"
CARD = "the Hub shows the card's metadata"
LOGITS = "the logits equal the local model's"
METADATA = "the card's metadata"
OWN_LINKS = "links to its own files"
RESULTS = "the Hub's own reading of the results"
SNIPPET = "the card's snippet runs"
SPLITS = "load_dataset gives every split"
VISITOR = "a visitor without a token reads this commit"


class Checks:
    """Checks repositories and keeps what was found."""

    def __init__(self, context: Context, clock: Clock, folder: Path, show: Callable[[Check], None]) -> None:
        self.done: list[Check] = []
        self._context, self._clock, self._folder, self._show = context, clock, folder, show

    def add(self, role: Role, name: str, outcome: Outcome | bool, detail: str | None = None) -> None:
        """Keep a check and show it."""
        if isinstance(outcome, bool):
            outcome = "passed" if outcome else "failed"
        check = Check(repo=role, name=name, outcome=outcome, detail=detail or None)
        self.done.append(check)
        self._show(check)

    @property
    def failed(self) -> list[str]:
        """The checks that failed, by repository and name."""
        return [f"{check.repo}: {check.name}" for check in self.done if check.outcome == "failed"]

    # Before anything is sent.

    def documents(self, repos: list[Repository]) -> None:
        """Check what needs neither the network nor a model: metadata, links inside a repository."""
        for repo in repos:
            self._metadata(repo)
            missing = links_inside(repo)
            found = f"not there: {', '.join(missing)[:300]}" if missing else "all there"
            self.add(repo.role, OWN_LINKS, not missing, found)

    def load_here(
        self, repos: list[Repository], base: Repository | None, visitor: Hub, obstacle: str | None, *, load: bool
    ) -> None:
        """Load and run the repositories here, without a token and, but for a base model on the Hub, without the network.

        `base` is the base model where it is here and is not published along, `obstacle` what visitors need to load one that is not.
        """
        home = Home(self._folder / "here", self._clock, visitor.endpoint)
        here = {repo.repo_id: repo for repo in (base, *repos) if repo is not None and repo.kind == "model"}
        for repo in (*here.values(), *(repo for repo in repos if repo.kind == "dataset")):
            home.link(repo)
        loaded = [repo for repo in repos if repo.role == "dataset"]
        for repo in repos:
            if repo.role in ("base", "model"):
                why = obstacle or ("not loaded" if not load else self._too_large(repo, base, visitor))
                why = why or self._fetch_base(repo, here, home)
                if why:
                    self.add(repo.role, LOGITS, "not checked", why)
                else:
                    loaded.append(repo)
        if load:
            self._load(loaded, home, here=True)

    def refuse_failures(self) -> None:
        """Refuse to go on if a check failed."""
        if self.failed:
            failed = f"{len(self.failed)} of {len(self.done)} checks failed ({'; '.join(self.failed)})"
            raise Refused(f"{failed}. Correct what failed; nothing was sent.")

    def _metadata(self, repo: Repository) -> None:
        if not repo.card:
            self.add(repo.role, METADATA, False, "README.md is missing; write one next to the model")
            return
        try:
            data = _card(repo).data.to_dict()
        except (ValueError, TypeError) as error:
            self.add(repo.role, METADATA, False, str(error).splitlines()[0])
            return
        if repo.role != "model":
            self.add(repo.role, METADATA, True, f"{len(data)} keys")
            return
        stated = {
            result["name"]: result["value"]
            for entry in data.get("model-index") or []
            for outcome in entry["results"]
            for result in outcome["metrics"]
        }
        measured = {metric.config.label: metric.finetuned.value for metric in self._context.analysis.main}
        equal = stated.keys() == measured.keys() and all(math.isclose(stated[k], measured[k]) for k in stated)
        self.add(repo.role, METADATA, equal, f"{len(data)} keys, {len(stated)} metrics as in the record")

    def _too_large(self, repo: Repository, base: Repository | None, visitor: Hub) -> str | None:
        """Return why a model does not fit into the free memory, if it does not."""
        needed = repo.size
        if repo.role == "model" and not self._context.record.model.full and base is None:
            info = visitor.call(visitor.api.model_info, str(self._context.names.base), files_metadata=True)
            needed = sum(f.size or 0 for f in info.siblings or [] if f.rfilename.endswith(".safetensors"))
        elif repo.role == "model" and base is not None:
            needed += base.size
        free = int(importlib.import_module("psutil").virtual_memory().available)
        return None if needed < free else f"not loaded: {needed / 1e9:.1f} GB are more than the free memory"

    def _fetch_base(self, repo: Repository, here: dict[str, Repository], home: Home) -> str | None:
        """Download an adapter's base model that is not here; return why not, if that fails."""
        name, record = str(self._context.names.base), self._context.record
        if repo.role != "model" or record.model.full or name in here:
            return None
        job = {"job": "fetch", "name": name, "revision": record.base_pinned}
        (error,) = home.run([job], f"downloading {name} without a token", offline=False)
        if not isinstance(error, ValueError):
            return None
        self.add(repo.role, "the base model can be downloaded", False, f"{name}: {error}")
        return "the base model was not downloaded"

    # After it was sent.

    def look(self, hub: Hub, published: Sequence[tuple[Repository, str]], *, load: bool) -> None:
        """Load and run repositories from the Hub, at the commits that were read back."""
        for repo, commit in published:
            self._shown_card(hub, repo, commit)
        loaded = [repo for repo, _ in published if repo.role != "space"]
        if not load:
            for repo in loaded:
                self.add(repo.role, "from the Hub: loading it", "not checked", "not loaded")
            return
        token = hub.token if isinstance(hub.token, str) else None
        home = Home(self._folder / ("owner" if token else "visitor"), self._clock, hub.endpoint, token)
        self._load(loaded, home, here=False)
        for repo in loaded:
            odd = home.differing(repo)
            self.add(repo.role, BYTES, not odd, f"other bytes: {', '.join(odd)[:300]}" if odd else None)

    def read_as_visitor(self, visitor: Hub, repo: Repository, commit: str) -> None:
        """Read a public repository, and its card, as somebody without a token."""
        seen = visitor.head(repo, commit)
        if seen is None or seen[0] != commit:
            self.add(repo.role, VISITOR, False, f"saw {seen[0][:12] if seen else 'no such repository'}")
            return
        try:
            read = visitor.download(repo, commit, "README.md") == repo.files["README.md"].content
            self.add(repo.role, VISITOR, read, commit[:12] if read else "README.md has other bytes")
        except (CommandError, RepositoryNotFoundError) as error:
            reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            self.add(repo.role, VISITOR, False, f"the Hub lets nobody read README.md without a token: {reason}")

    def _shown_card(self, hub: Hub, repo: Repository, commit: str) -> None:
        expand: Any = ["cardData", "sha"] + (["evalResults"] if repo.kind == "model" else [])
        info: Any = hub.call(hub.api.repo_info, repo.repo_id, repo_type=repo.kind, revision=commit, expand=expand)
        if info.card_data is None:
            self.add(repo.role, CARD, "not checked", "the Hub shows none at this commit")
        else:
            sent, shown = _card(repo).data.to_dict(), info.card_data.to_dict()
            odd = [key for key in SHOWN if key in sent and shown.get(key) != sent[key]]
            self.add(repo.role, CARD, not odd, f"differing: {', '.join(odd)}" if odd else f"{len(shown)} keys")
        found = getattr(info, "eval_results", None)
        results = [path for path in repo.files if path.startswith(".eval_results/")]
        if results and found is None:
            self.add(repo.role, RESULTS, "not checked", "the Hub lists none at this commit")
        elif results:
            wanted = sum(repo.files[path].content.count(b"task_id:") for path in results)
            self.add(repo.role, RESULTS, len(found or []) == wanted, f"{len(found or [])} of {wanted} results")

    # Loading, here and from the Hub.

    def _load(self, repos: list[Repository], home: Home, *, here: bool) -> None:
        """Load datasets and models and run the snippets of their cards, in one process."""
        jobs: list[dict[str, Any]] = []
        reports: list[Callable[[Any], None]] = []
        note = partial(self._note, here)
        for repo in repos:
            folder = {"place": str(home.place(repo.kind))} if here else {}
            if repo.role == "dataset":
                configs = sorted({split.config for split in self._context.record.published_splits})
                jobs.append({"job": "dataset", "name": repo.repo_id, "configs": configs} | folder)
                reports.append(partial(self._compare_splits, note))
            elif repo.role == "model" and (why := self._why_no_logits()):
                note("model", LOGITS, "not checked", why)
            elif repo.role == "model":
                jobs.append(self._logits(repo) | folder)
                reports.append(partial(self._compare_logits, note))
            code = self._snippet(repo.role)
            if code is not None:
                jobs.append({"job": "snippet", "code": code} | folder)
                reports.append(partial(self._printed, note, repo.role))
        if jobs:
            names = ", ".join(repo.repo_id for repo in repos)
            for report, reply in zip(
                reports, home.run(jobs, f"loading and running {names}", offline=here), strict=True
            ):
                report(reply)

    def _note(self, here: bool, role: Role, name: str, outcome: Outcome | bool, detail: str) -> None:
        self.add(role, name if here else f"from the Hub: {name}", outcome, detail)

    def _compare_splits(self, note: Callable[..., None], found: Any) -> None:
        if isinstance(found, ValueError):
            note("dataset", SPLITS, False, str(found))
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
        note("dataset", SPLITS, not wrong, detail)

    def _why_no_logits(self) -> str | None:
        """Return why the model cannot be asked for logits of a text, if it cannot."""
        record = self._context.record
        if record.model.head is None:
            return "the checkpoint does not state a task that is known here"
        missing = record.model.full and not record.checkpoint_has_tokenizer
        return "no tokenizer is next to the model" if missing else None

    def _logits(self, repo: Repository) -> dict[str, Any]:
        record, names = self._context.record, self._context.names
        model, own_tokenizer = record.model, record.checkpoint_has_tokenizer
        job: dict[str, Any] = {
            "job": "logits",
            "prompts": PROMPTS,
            "auto": model.head.auto if model.head else None,
            "options": ({"num_labels": model.labels} if model.labels else {})
            | ({"revision": record.base_pinned} if record.base_pinned else {}),
            "resized": record.resized,
        }
        checkpoint = str(record.checkpoint.absolute())
        if model.full:
            sides = {"published": repo.repo_id, "local": checkpoint}
            return job | {side: {"base": name, "tokenizer": name, "adapters": []} for side, name in sides.items()}
        base = str(record.base_folder.absolute()) if record.base_folder else names.base
        checkpoints = {"": record.checkpoint, **record.further_folders}
        published = {
            "base": names.base,
            "tokenizer": repo.repo_id if own_tokenizer else names.base,
            "adapters": [[repo.repo_id, folder] for folder in checkpoints],
        }
        local = {
            "base": base,
            "tokenizer": checkpoint if own_tokenizer else base,
            "adapters": [[str(path.absolute()), ""] for path in checkpoints.values()],
        }
        return job | {"published": published, "local": local}

    def _compare_logits(self, note: Callable[..., None], found: Any) -> None:
        if isinstance(found, ValueError):
            note("model", LOGITS, False, str(found))
        else:
            detail = f"largest difference {found['difference']} of {found['count']:,} logits"
            note("model", LOGITS, found["difference"] == 0, detail)

    def _snippet(self, role: Role) -> str | None:
        """Return the code that the card's own fragment wrote, and no other code that may be in the card."""
        if role not in SNIPPETS or (role == "base" and self._context.record.base_training is None):
            return None  # somebody else's card
        code = CODE.findall(Renderer(self._context, "hub").render(SNIPPETS[role]))
        return str(code[0]) if code else None

    def _printed(self, note: Callable[..., None], role: Role, found: Any) -> None:
        failed = isinstance(found, ValueError)
        note(role, SNIPPET, not failed, str(found) if failed else f"printed {found!r}"[:300])


def _card(repo: Repository) -> Any:
    kinds: dict[str, Any] = {"dataset": hf.DatasetCard, "space": hf.SpaceCard, "model": hf.ModelCard}
    return kinds[repo.kind](repo.card)
