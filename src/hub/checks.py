"""The checks of what is published: the same ones on the files here, before they are sent, and from the Hub, afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import huggingface_hub as hf
from huggingface_hub.errors import RepositoryNotFoundError
from markdown_it import MarkdownIt
from markdown_it.token import Token
from yaml import YAMLError

from src.documents.context import Context
from src.documents.renderer import Renderer
from src.record.answers import MAX_ANSWER
from src.record.errors import CommandError
from src.record.publication import Check, Outcome, Role

from .errors import Refused
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

CODE = re.compile(r"^```python\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)

BYTES = "the files that were loaded are the ones that were sent"
LOGITS = "the logits equal the local model's"
METADATA = "the card's metadata"
OWN_LINKS = "links to its own files"
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
            if repo.card:
                self._metadata(repo)
            else:
                self.add(repo.role, METADATA, False, "README.md is missing; write one next to the model")
            missing = links_inside(repo)
            found = f"not there: {', '.join(missing)[:300]}" if missing else "all there"
            self.add(repo.role, OWN_LINKS, not missing, found)

    def _metadata(self, repo: Repository) -> None:
        try:
            data: Any = hf.ModelCard(repo.card).data
            self.add(repo.role, METADATA, True, f"{len(data.to_dict())} keys")
        except (ValueError, TypeError, YAMLError) as error:
            self.add(repo.role, METADATA, False, str(error).splitlines()[0])

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
        loaded = []
        for repo in repos:
            models = repo.role in ("base", "model")
            why = (obstacle or (None if load else "not loaded")) if models else None
            if why:
                self.add(repo.role, LOGITS, "not checked", why)
            elif repo.role != "space":
                loaded.append(repo)
        if load:
            downloads = self._context.names.base not in here and any(repo.role == "model" for repo in loaded)
            self._load(loaded, home, "", offline=not downloads or self._context.record.model.full)

    def refuse_failures(self) -> None:
        """Refuse to go on if a check failed."""
        if self.failed:
            failed = f"{len(self.failed)} of {len(self.done)} checks failed ({'; '.join(self.failed)})"
            raise Refused(f"{failed}. Correct what failed; nothing was sent.")

    # After it was sent.

    def look(self, hub: Hub, published: Sequence[Repository], *, load: bool) -> None:
        """Load and run repositories from the Hub; what is downloaded has the bytes that were sent."""
        loaded = [repo for repo in published if repo.role != "space"]
        if not load:
            for repo in loaded:
                self.add(repo.role, "from the Hub: loading it", "not checked", "not loaded")
            return
        token = hub.token if isinstance(hub.token, str) else None
        home = Home(self._folder / ("owner" if token else "visitor"), self._clock, hub.endpoint, token)
        self._load(loaded, home, "from the Hub: ", offline=False)
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

    # Loading, here and from the Hub.

    def _load(self, repos: list[Repository], home: Home, where: str, *, offline: bool) -> None:
        """Load datasets and models and run the snippets of their cards, in one process; `where` is before each check's name."""
        jobs: list[dict[str, Any]] = []
        reports: list[tuple[Role, str, Callable[[Any], tuple[bool, str]]]] = []
        for repo in repos:
            folder = {"place": str(home.place(repo.kind))} if not where else {}
            if repo.role == "dataset":
                configs = sorted({split.config for split in self._context.record.published_splits})
                jobs.append({"job": "dataset", "name": repo.repo_id, "configs": configs} | folder)
                reports.append((repo.role, where + SPLITS, self._compare_splits))
            elif repo.role == "model" and (why := self._why_no_logits()):
                self.add(repo.role, where + LOGITS, "not checked", why)
            elif repo.role == "model":
                jobs.append(self._logits(repo) | folder)
                reports.append((repo.role, where + LOGITS, _compare_logits))
            code = self._snippet(repo.role)
            if code is not None:
                jobs.append({"job": "snippet", "code": code} | folder)
                reports.append((repo.role, where + SNIPPET, partial(self._compare_printed, repo.role)))
        if not jobs:
            return
        replies = home.run(jobs, f"loading and running {', '.join(repo.repo_id for repo in repos)}", offline=offline)
        for (role, name, compare), found in zip(reports, replies, strict=True):
            self.add(role, name, *((False, str(found)) if isinstance(found, ValueError) else compare(found)))

    def _compare_printed(self, role: Role, found: Any) -> tuple[bool, str]:
        """Compare what a model's snippet printed with the answer on record, where it asks what was asked there."""
        prompt = self._context.snippet_prompt
        printed = str(found).strip().removesuffix(".").strip()[:MAX_ANSWER]
        known = (
            role == "model" and prompt.as_written and prompt.answer is not None and not self._context.project.snippet
        )
        same = not known or printed == prompt.answer
        return same, f"printed {found!r}"[:300] + ("" if same else f", and {prompt.answer!r} is on record")

    def _compare_splits(self, found: Any) -> tuple[bool, str]:
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
        return not wrong, f"differing: {', '.join(wrong)}" if wrong else f"{len(splits)} splits, {rows:,} rows"

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

    def _snippet(self, role: Role) -> str | None:
        """Return the code that the card's own fragment wrote, and no other code that may be in the card."""
        if role not in SNIPPETS or (role == "base" and self._context.record.base_training is None):
            return None  # somebody else's card
        code = CODE.findall(Renderer(self._context, "hub").render(SNIPPETS[role]))
        return str(code[0]) if code else None


def _compare_logits(found: Any) -> tuple[bool, str]:
    return found["difference"] == 0, f"largest difference {found['difference']} of {found['count']:,} logits"


def links_inside(repo: Repository) -> list[str]:
    """List the links and images in a card's Markdown that lead to files which the repository does not have."""
    body = re.sub(r"\A---\n.*?\n---\n", "", repo.card, flags=re.DOTALL)
    targets = dict.fromkeys(_targets(MarkdownIt("commonmark").enable("table").parse(body)))
    inside = [link for link in targets if not (urlsplit(link).scheme or urlsplit(link).netloc or link.startswith("#"))]
    return [link for link in inside if str(PurePosixPath(unquote(urlsplit(link).path))) not in repo.files]


def _targets(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        target = token.attrGet("href") or token.attrGet("src")
        if target:
            yield str(target)
        yield from _targets(token.children or [])
