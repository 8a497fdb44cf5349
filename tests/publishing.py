"""Somebody who publishes the tiny project: as a user does over a socket, or in this process, request by request."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import huggingface_hub as hf
import pytest
import yaml

from src.hub import client, dry_run, process, publish, verify
from src.hub.bundle import Repository
from src.hub.options import Options
from src.hub.show import Screen
from src.record.errors import CommandError
from src.record.load import load_record

from .conftest import REPO
from .hub_server import HubServer, InProcess, Repo, User

TINY = REPO / "tests/tiny"
TOKEN = "hf_localtesttokenofalice"
NAMES = {"dataset": "alice/tiny-letters", "base": "alice/tiny", "model": "alice/tiny-lora", "space": "alice/try-tiny"}
KINDS = {"dataset": "dataset", "base": "model", "model": "model", "space": "space"}


def change_project(root: Path, **changes: Any) -> None:
    """Change keys of the project config."""
    path = root / "configs/project.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes, allow_unicode=True))


def new_hub(folder: Path) -> HubServer:
    """A Hub on which alice has an account."""
    hub = HubServer(folder)
    hub.users[TOKEN] = User("alice", orgs={"lab": "admin", "club": "read"})
    return hub


class Author:
    """Somebody at a copy of the tiny project, with a Hub in reach.

    Args:
        hub: The Hub.
        root: The project.
    """

    def __init__(self, hub: HubServer, root: Path) -> None:
        self.hub, self.root = hub, root
        shutil.copytree(TINY, root)
        shutil.copytree(REPO / "docs/assets/demo", root / "docs/assets/demo")  # the widget, which is not an author's
        (root / ".cache").symlink_to(os.environ["CACHE_OF_TESTS"])
        self.token: str | None = TOKEN

    @property
    def receipt_path(self) -> Path:
        return self.root / "results/tiny/publication.json"

    @property
    def receipt(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.receipt_path.read_text())
        return found

    def repo(self, role: str) -> Repo:
        return self.hub.repos[(KINDS[role], NAMES[role])]

    def start(self, *arguments: str, **extra: str) -> subprocess.Popen[str]:
        """Start the publisher as a user does."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        token = {"HF_TOKEN": self.token} if self.token else {}
        environment = kept | token | {
            "PYTHONPATH": str(REPO), "HF_ENDPOINT": self.hub.url, "HF_HOME": str(self.root / "hf-home"), "NO_COLOR": "1",
            "OMP_NUM_THREADS": "1",
        } | extra  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-m", "src.publish", *arguments],
            cwd=self.root, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def publish(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run the publisher as a user does; the token must never be seen."""
        process = self.start(*arguments, **extra)
        out, err = process.communicate(timeout=300)
        assert "Traceback" not in err, err
        assert TOKEN not in out + err
        return subprocess.CompletedProcess(["src.publish", *arguments], process.returncode, out, err)


def commits(repo: Repo, author: str = "alice") -> int:
    """Count the commits of `main` by an author."""
    return sum(commit.author == author for commit in repo.history(repo.commits[repo.refs["main"]]))


def main_files(repo: Repo) -> dict[str, str]:
    """Hash of each file of `main`."""
    return {path: blob.sha256 for path, blob in repo.commits[repo.refs["main"]].files.items()}
