"""A tiny but real project to publish, and the publisher as a user runs it against the local Hub."""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from .conftest import MINIMAL_RESULTS, REPO, run_in
from .hub_server import HubServer, Repo

TOKEN = "hf_localtesttokenofalice"

CARD = """\
---
license: mit
library_name: transformers
---

# tiny

A tiny model without training. [Hub](https://huggingface.co/alice/tiny)

```python
from transformers import AutoModelForCausalLM

print(AutoModelForCausalLM.from_pretrained("alice/tiny").config.n_layer)
```
"""


def make_tiny(root: Path) -> Path:
    """Write a project with a base model, an adapter and a dataset of a few kilobytes."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    shutil.copytree(REPO / "configs", root / "configs")
    (root / "docs").mkdir()
    shutil.copy(REPO / "docs/references.bib", root / "docs")
    shutil.copy(REPO / "LICENSE", root / "LICENSE")
    tokenizer = AutoTokenizer.from_pretrained(REPO / "models/gpt2-mini")
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=8, n_layer=1, n_head=1))
    model.save_pretrained(root / "models/tiny")
    tokenizer.save_pretrained(root / "models/tiny")
    (root / "models/tiny/README.md").write_text(CARD)
    adapter = get_peft_model(model, LoraConfig(r=2, lora_alpha=4, target_modules=["c_attn"], init_lora_weights=False))
    adapter.save_pretrained(root / "checkpoints/best_model")
    (root / "checkpoints/best_model/README.md").unlink()
    for name in ("training/train", "letter_count/test"):
        target = root / "data" / f"{name}.parquet"
        target.parent.mkdir(parents=True)
        pq.write_table(pq.read_table(REPO / "data" / f"{name}.parquet").slice(0, 20), target)
    config = {
        "experiment_name": "tiny",
        "base_model": "models/tiny",
        "lora_config": {"r": 2, "alpha": 4},
        "training_config": {"learning_rate": 1e-3, "per_device_train_batch_size": 1, "max_steps": 1},
    }
    (root / "configs/experiments/tiny.yaml").write_text(yaml.safe_dump(config))
    change_project(
        root,
        experiment="configs/experiments/tiny.yaml",
        study=None,
        model_repo="tiny-lora",
        dataset_repo="letters",
    )
    (root / "results/tiny").mkdir(parents=True)
    (root / "results/tiny/evaluation_results.json").write_text(json.dumps(MINIMAL_RESULTS))
    # What every copy would make again, such as the report's PDF, is made once.
    done = run_in(root, "-m", "src.publish", "--dry-run", "--namespace", "alice")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(root / "dist")
    return root


def change_project(root: Path, **changes: Any) -> None:
    """Change keys of the project config."""
    path = root / "configs/project.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes, allow_unicode=True))


FORKS = multiprocessing.get_context("forkserver")
"""Starts processes that begin with what `tests.preloaded` did: most of what a short run costs."""

FORKS.set_forkserver_preload(["tests.preloaded"])


def _publish(root: Path, arguments: tuple[str, ...], environment: dict[str, str], out: Path, err: Path) -> None:
    """Be `python -m src.publish ARGUMENTS` in a process that was forked for it."""
    assert "tests.preloaded" in sys.modules  # multiprocessing passes over a preload that fails
    os.chdir(root)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate((Path(os.devnull), out, err)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
    sys.argv = ["publish", *arguments]
    runpy.run_module("src.publish", run_name="__main__", alter_sys=True)


class Forked:
    """`python -m src.publish ARGUMENTS` in a process that was forked for it, with the part of `subprocess.Popen` that tests need."""

    def __init__(self, root: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._files = [Path(self._folder.name) / name for name in ("out", "err")]
        self._process = FORKS.Process(target=_publish, args=(root, arguments, environment, *self._files))
        self._process.start()

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for its end; give what it printed."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        with self._folder:
            out, err = (file.read_text() for file in self._files)
        return out, err

    @property
    def returncode(self) -> int:
        assert self._process.exitcode is not None
        return self._process.exitcode


class Author:
    """Somebody at a project, with the local Hub in reach.

    Args:
        hub: The Hub.
        root: The project.
        token: Who it is.
        real: Whether what is published is loaded by the real model libraries, and not by their stand-ins.
    """

    def __init__(self, hub: HubServer, root: Path, token: str | None = TOKEN, *, real: bool = False) -> None:
        self.hub, self.root, self.token, self.real = hub, root, token, real

    @property
    def receipt_path(self) -> Path:
        name = yaml.safe_load((self.root / "configs/project.yaml").read_text())["experiment"]
        return self.root / "results" / Path(name).stem / "publication.json"

    @property
    def receipt(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.receipt_path.read_text())
        return found

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        token = {"HF_TOKEN": self.token} if self.token else {}
        return kept | token | {
            "PYTHONPATH": str(REPO) if self.real else f"{REPO / 'tests/standins'}{os.pathsep}{REPO}",
            "HF_ENDPOINT": self.hub.url,
            "HF_HOME": str(self.root / "hf-home"),
            "NO_COLOR": "1",
            "OMP_NUM_THREADS": "1",
        } | extra  # fmt: skip

    def start(self, *arguments: str, **extra: str) -> subprocess.Popen[str]:
        """Start the publisher as a user does, from nothing."""
        return subprocess.Popen(
            [sys.executable, "-m", "src.publish", *arguments],
            cwd=self.root,
            env=self.environment(**extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def publish(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run the publisher; the token must never be seen."""
        process = self.fork(*arguments, **extra)
        out, err = process.communicate(timeout=300)
        assert "Traceback" not in err, err
        if self.token:
            assert self.token not in out + err
            assert not self.receipt_path.exists() or self.token not in self.receipt_path.read_text()
        return subprocess.CompletedProcess(["src.publish", *arguments], process.returncode, out, err)

    def fork(self, *arguments: str, **extra: str) -> Forked:
        """Start the publisher with what every run of it does first done already."""
        return Forked(self.root, arguments, self.environment(**extra))

    def repo(self, kind: str, name: str) -> Repo:
        return self.hub.repos[(kind, f"alice/{name}")]


def commits(repo: Repo) -> int:
    """Count the commits of `main` beyond the Hub's own first one."""
    return len(repo.history(repo.commits[repo.refs["main"]])) - 1


def main_files(repo: Repo) -> dict[str, str]:
    """Hash of each file of `main`."""
    return {path: blob.sha256 for path, blob in repo.commits[repo.refs["main"]].files.items()}
