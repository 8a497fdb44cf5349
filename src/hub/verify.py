"""Read back what lies on the Hub, at the very commit, and use it as a visitor would."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub as hf

from src.documents.context import Context
from src.documents.demo import Demo
from src.documents.renderer import Renderer
from src.exchange.shared import BENCHMARK, declared_tasks
from src.record.errors import show
from src.record.files import sha256_file
from src.record.publication import Check, Outcome, Role

from .bundle import Repository
from .client import ERRORS, Hub, explain
from .errors import Unreachable
from .eval_results import entries, file_name, read_entries
from .links import check_links
from .redact import redact
from .waiting import Waiting
from .workplace import Workplace

PROMPTS = ("Once upon a time", "Question: What is two and two?\nAnswer:", "0 1 2 a b c")
"""Texts whose logits are compared; fixed, so that the receipts of several publications can be compared."""

SNIPPET_SECONDS = 300
"""Time limit of a card's snippet, and of each probe."""

PASSED = (
    "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES",
)  # fmt: skip
"""What Python needs of this process's environment."""

PASSED_ONLINE = (
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "HF_HUB_DISABLE_XET",
)  # fmt: skip
"""What the Hub's client needs of it besides."""

SNIPPETS: dict[Role, str] = {"base": "base_card/snippet", "dataset": "dataset_card/uses", "model": "shared/snippet"}
"""The fragments that write a card's snippet."""

CODE = re.compile(r"^```python\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)

FILES = "every file's SHA-256"

VISITOR = "a visitor without a token sees this commit"


@dataclass(frozen=True)
class Target:
    """A repository at the commit that is verified.

    Attributes:
        repo: The repository as it should be.
        commit: The commit.
    """

    repo: Repository
    commit: str


class Verifier:
    """Verifies several repositories with one fresh cache.

    Args:
        hub: The Hub.
        context: What is published.
        targets: What to verify.
        workplace: Where it is done.
        report: Called with each check once it is done.
        working: Called with what is being done.
    """

    def __init__(
        self,
        hub: Hub,
        context: Context,
        targets: list[Target],
        workplace: Workplace,
        report: Callable[[Check], None],
        working: Callable[[str], None],
    ) -> None:
        self.hub, self.context, self.targets, self.workplace = hub, context, targets, workplace
        self._home = workplace.folder
        self._report, self._working = report, working
        self.checks: list[Check] = []

    def run(self) -> list[Check]:
        """Do every check and return them.

        Raises:
            Unreachable: The Hub went away meanwhile.
        """
        names = self.context.names
        own = {name for name in (names.model, names.dataset, names.base, names.space) if name}
        for target in self.targets:
            folder = self._download(target)
            intact = folder is not None and self._files(target, folder)
            if folder is not None:
                self._card(target, folder)
            for check in check_links(self.hub, target.repo, own):
                self._note(check)
            if target.repo.role == "dataset":
                self._splits(target, intact)
                self._benchmark(target, folder)
            else:
                self._eval_results(target, folder)
            if target.repo.role == "model":
                self._logits(target, intact)
            if target.repo.role == "space" and folder is not None:
                self._browser(target, intact, folder)
            self._snippet(target, intact)
        return self.checks

    def _note(self, check: Check) -> None:
        self.checks.append(check)
        self._report(check)

    def _add(self, target: Target, name: str, outcome: Outcome | bool, detail: str | None = None) -> None:
        if isinstance(outcome, bool):
            outcome = "passed" if outcome else "failed"
        self._note(Check(repo=target.repo.role, name=name, outcome=outcome, detail=detail and show(redact(detail))))

    def _download(self, target: Target) -> Path | None:
        """Download a repository at the commit; None if a file is not as long as the Hub says."""
        repo = target.repo
        self._working(f"reading {repo.repo_id} back")
        try:
            folder = Path(
                self.hub.call(
                    hf.snapshot_download,
                    repo.repo_id,
                    repo_type=repo.kind,
                    revision=target.commit,
                    cache_dir=self._home / "hub",
                    token=self.hub.token,
                )
            )
        except OSError as error:
            if isinstance(error, ERRORS):
                raise explain(error, self.hub.endpoint) from None
            self._add(target, FILES, False, str(error).splitlines()[0])
            return None
        # What the libraries load without naming a revision is this commit.
        refs = folder.parent.parent / "refs"
        refs.mkdir(exist_ok=True)
        (refs / "main").write_text(target.commit)
        return folder

    def _files(self, target: Target, folder: Path) -> bool:
        """Compare every downloaded file's hash; return whether all are what was sent, and there are no others."""
        repo = target.repo
        remote = self.hub.read(repo.repo_id, repo.kind, target.commit)
        odd = sorted((remote.files.keys() if remote else set()) ^ repo.files.keys())
        detail = f"differing: {', '.join(odd)}" if odd else f"{len(repo.files)} files"
        self._add(target, "the files are the listed ones", not odd, detail)
        wrong = [
            path
            for path, file in repo.files.items()
            if not (folder / path).is_file() or sha256_file((folder / path).resolve()) != file.sha256
        ]
        detail = f"differing: {', '.join(wrong)}" if wrong else f"{repo.size:,} bytes read back"
        self._add(target, FILES, not wrong, detail)
        return not wrong and not odd

    def _card(self, target: Target, folder: Path) -> None:
        """Parse the card that lies on the Hub and compare its metadata with what was sent and with the record."""
        repo = target.repo
        path = folder / "README.md"
        if not path.is_file():
            self._add(target, "the card's metadata", False, "there is no README.md")
            return
        kind: Any = {"dataset": hf.DatasetCard, "space": hf.SpaceCard}.get(repo.kind, hf.ModelCard)
        try:
            there = kind(path.read_text(encoding="utf-8")).data.to_dict()
        except ValueError as error:
            self._add(target, "the card's metadata", False, str(error))
            return
        sent = kind(repo.card).data.to_dict()
        self._add(target, "the card's metadata", there == sent, f"{len(there)} keys as sent")
        if repo.role == "model":
            stated = {
                result["name"]: result["value"]
                for entry in there.get("model-index") or []
                for outcome in entry["results"]
                for result in outcome["metrics"]
            }
            measured = {m.config.label: m.finetuned for m in self.context.analysis.metrics}
            same = stated.keys() == measured.keys() and all(math.isclose(stated[k], measured[k]) for k in stated)
            self._add(target, "model-index as in the record", same, f"{len(stated)} metrics")

    def _splits(self, target: Target, intact: bool) -> None:
        name = "load_dataset gives every split"
        if not intact:
            self._add(target, name, "not checked", "the files are not the ones that were sent")
            return
        splits = self.context.record.published_splits
        request: dict[str, Any] = {"job": "dataset", "repo_id": target.repo.repo_id, "revision": target.commit}
        request["configs"] = sorted({split.config for split in splits})
        found, problem = self._probe(f"loading {target.repo.repo_id} with datasets", request)
        if found is None:
            self._add(target, name, False, problem)
            return
        for split in splits:
            loaded = found.get(split.config, {}).get(split.name)
            right = loaded == {"rows": split.rows, "columns": sorted(split.columns)}
            self._add(
                target,
                f"{name}: {split.config}/{split.name}",
                right,
                f"{split.rows:,} rows, {len(split.columns)} columns",
            )

    def _benchmark(self, target: Target, folder: Path | None) -> None:
        """Read the benchmark's declaration back, and look that the dataset holds what it names."""
        if folder is None or BENCHMARK not in target.repo.files:
            return
        tasks = declared_tasks((folder / BENCHMARK).read_text(encoding="utf-8", errors="replace"))
        held = all(f"{config}/{split}.parquet" in target.repo.files for _, config, split in tasks)
        detail = f"{len(tasks)} tasks: {', '.join(task for task, _, _ in tasks)}"
        self._add(target, f"{BENCHMARK} declares splits of this dataset", bool(tasks) and held, detail)

    def _eval_results(self, target: Target, folder: Path | None) -> None:
        """Read the evaluation results back, from the file and as the Hub understands them, and compare them with the record."""
        name = file_name(self.context)
        if folder is None or name not in target.repo.files:
            return
        sent = read_entries(target.repo.files[name].content.decode()) or []
        dataset = next((t.commit for t in self.targets if t.repo.role == "dataset"), None)
        revision = sent[0].dataset_revision if sent else None
        found = read_entries((folder / name).read_text(encoding="utf-8", errors="replace"))
        same = found == entries(self.context, target.repo.role, revision)
        self._add(target, f"{name} says what the record says", same, f"{len(found or [])} results")
        if dataset is not None and revision is not None:
            held = self.hub.read(self.context.names.dataset, "dataset", revision)
            there = self.hub.read(self.context.names.dataset, "dataset", dataset)
            self._add(
                target,
                "the results name the dataset's commit",
                held is not None and there is not None and held.files == there.files,
                revision,
            )
        info = self.hub.call(
            self.hub.api.model_info, target.repo.repo_id, revision=target.commit, expand=["evalResults"]
        )
        if info.eval_results is None:
            self._add(
                target, "the Hub's own reading of the results", "not checked", "the Hub lists none at this commit"
            )
        else:
            self._add(
                target,
                "the Hub's own reading of the results",
                info.eval_results == sent,
                f"{len(info.eval_results)} results",
            )

    def _logits(self, target: Target, intact: bool) -> None:
        name = "the adapter's logits equal the local model's"
        if not intact:
            self._add(target, name, "not checked", "the files are not the ones that were sent")
            return
        record, names = self.context.record, self.context.names
        base = next((t for t in self.targets if t.repo.role == "base"), None)
        found, problem = self._probe(
            f"loading {target.repo.repo_id} with transformers and peft",
            {
                "job": "model",
                "repo_id": target.repo.repo_id,
                "revision": target.commit,
                "base": names.base,
                "base_revision": base.commit if base else None,
                "checkpoint": str(record.checkpoint.absolute()),
                "local_base": str(record.base_folder.absolute()) if record.base_folder else names.base,
                "tokenizer": record.checkpoint_has_tokenizer,
                "prompts": PROMPTS,
            },
        )
        if found is None:
            self._add(target, name, False, problem)
            return
        for prompt in PROMPTS:
            seen = found[prompt]
            same = seen["same_shape"] and seen["difference"] == 0
            detail = f"{prompt!r}: largest difference {seen['difference']} of {seen['count']:,} logits"
            self._add(target, name, same, detail)

    def _browser(self, target: Target, intact: bool, folder: Path) -> None:
        """Ask both models a question of the record in the Space's page, with the weights that it loads from the Hub."""
        name = "in a browser, the Space answers as on record"
        demo = self.context.demo
        if not intact or not isinstance(demo, Demo):
            self._add(target, name, "not checked", "the files are not the ones that were sent")
            return
        row = demo.examples[0]
        places = {"count": ".try-it-answers li", "spelling": ".try-it-letters"}
        where = places.get(next(iter(demo.questions)), f'.try-it-grid [data-position="{row["position"]}"]')
        request = {
            "folder": str(folder),
            "endpoint": self.hub.endpoint,
            "word": row["word"],
            "question": row["question"],
            "answers": where,
            "seconds": SNIPPET_SECONDS - 20,
        }
        found, problem = self._probe(f"trying {target.repo.repo_id} in a browser", request, "src.hub.browse")
        if found is None:
            self._add(target, name, False, problem)
            return
        recorded = [row["base_answer"], row["finetuned_answer"]]
        weights = [url for url in found["loaded"] if url.endswith(".safetensors")]
        right = found["answers"] == recorded and len(weights) == 2
        detail = f"{row['question']} {' and '.join(found['answers']) or found['said']}; {len(weights)} weight files from the Hub"
        self._add(target, name, right, detail)

    def _snippet(self, target: Target, intact: bool) -> None:
        """Run the code that the card's own fragment wrote, and no other code that may stand in the card.

        It gets no token and asks no Hub: what it loads was downloaded by the checks before, at the verified commits.
        """
        role, name = target.repo.role, "the card's snippet runs"
        if role == "base" and self.context.record.base_training is None:
            return  # somebody else's card
        if role not in SNIPPETS:
            return
        code = CODE.findall(Renderer(self.context, "hub").fragment(SNIPPETS[role]))
        if not code:
            return
        if not intact:
            self._add(target, name, "not checked", "the files are not the ones that were sent")
            return
        file = self._home / "snippet.py"
        file.write_text(code[0], encoding="utf-8")
        what = f"running the snippet of {target.repo.repo_id}"
        done = self._python(what, [str(file)], PASSED, {"HF_HUB_OFFLINE": "1"})
        if done is None:
            self._add(target, name, False, f"longer than {SNIPPET_SECONDS} s")
            return
        last = (done.stderr if done.returncode else done.stdout).strip().splitlines()
        said = last[-1] if last else "nothing"
        self._add(target, name, done.returncode == 0, said if done.returncode else f"printed {said!r}")

    def _probe(
        self, what: str, request: dict[str, Any], module: str = "src.hub.probe"
    ) -> tuple[dict[str, Any] | None, str | None]:
        asked, answered = self._home / "request.json", self._home / "reply.json"
        asked.write_text(json.dumps(request | {"patience": self.hub.waiting.patience}), encoding="utf-8")
        answered.unlink(missing_ok=True)
        token = {"HF_TOKEN": self.hub.token} if isinstance(self.hub.token, str) and module == "src.hub.probe" else {}
        if module == "src.hub.browse":  # playwright looks for its browsers at home, which is another one there
            browsers = Path("~/.cache/ms-playwright").expanduser()
            token = {"PLAYWRIGHT_BROWSERS_PATH": os.environ.get("PLAYWRIGHT_BROWSERS_PATH", str(browsers))}
        source = os.pathsep.join(str(p) for p in (Path(__file__).parents[2], os.environ.get("PYTHONPATH")) if p)
        arguments = ["-m", module, str(asked), str(answered)]
        done = self._python(what, arguments, (*PASSED, *PASSED_ONLINE), token | {"PYTHONPATH": source})
        if done is None:
            return None, f"longer than {SNIPPET_SECONDS} s"
        lines = done.stderr.strip().splitlines()
        if done.returncode == Unreachable.exit_code:
            raise Unreachable(redact(lines[-1]))
        if done.returncode != 0 or not answered.is_file():
            return None, lines[-1] if lines else f"exit code {done.returncode}"
        reply: dict[str, Any] = json.loads(answered.read_text(encoding="utf-8"))
        return reply, None

    def _python(
        self, what: str, arguments: list[str], kept: tuple[str, ...], extra: dict[str, str]
    ) -> subprocess.CompletedProcess[str] | None:
        """Run Python with the fresh cache and little else; None if it took too long."""
        self._working(what)
        environment = {name: value for name in kept if (value := os.environ.get(name)) is not None}
        environment |= {
            "HOME": str(self._home),
            "HF_HOME": str(self._home / "home"),
            "HF_HUB_CACHE": str(self._home / "hub"),
            "HF_DATASETS_CACHE": str(self._home / "datasets"),
            "HF_ENDPOINT": self.hub.endpoint,
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            **extra,
        }
        with self.hub.waiting.announced(what):
            return self.workplace.python(arguments, environment, SNIPPET_SECONDS)


def check_visible(repos: list[tuple[Repository, str]], waiting: Waiting) -> list[Check]:
    """Look at public repositories, each with its commit, as a visitor without a token; return a check for each."""
    visitor = Hub(False, waiting)
    checks = []
    for repo, commit in repos:
        seen = visitor.read(repo.repo_id, repo.kind)
        right = seen is not None and seen.head == commit
        detail = commit[:12] if right else f"saw {seen.head[:12] if seen else 'no such repository'}"
        checks.append(Check(repo=repo.role, name=VISITOR, outcome="passed" if right else "failed", detail=detail))
    return checks
