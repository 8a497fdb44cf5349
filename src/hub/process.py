"""A temporary Hugging Face home, and the one child process that works in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from src.record.errors import show

from .repository import Repository
from .waiting import Clock

PASSED = (
    "PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
"""What the child needs of this process's environment; everything else, tokens included, stays here."""

ROOT = Path(__file__).parents[2]
"""Where the child imports `src` from."""

LOCAL = "0" * 40
"""The revision of a repository that is only in the cache."""

OPTIONAL = (
    "config.json", "adapter_config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json", "vocab.json",
    "merges.txt", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "chat_template.json",
    "processor_config.json", "preprocessor_config.json", "model.safetensors", "model.safetensors.index.json",
    "adapter_model.safetensors", "additional_chat_templates", "custom_generate/generate.py",
)  # fmt: skip
"""Files that the libraries ask for; of those that a repository lacks, the cache has to know that it lacks them."""


class Home:
    """A folder that serves the child as its home, with a Hugging Face cache that begins empty.

    Args:
        folder: The folder.
        clock: Ends the child when the time is up.
        endpoint: The Hub.
    """

    def __init__(self, folder: Path, clock: Clock, endpoint: str) -> None:
        self.folder, self._clock, self._endpoint = folder, clock, endpoint
        folder.mkdir(parents=True, exist_ok=True)

    def fill(self, repo: Repository) -> None:
        """Put a repository into the cache as if it had been downloaded from the Hub."""
        place = self.folder / "hub" / f"{repo.kind}s--{repo.repo_id.replace('/', '--')}"
        for name in ("snapshots", ".no_exist"):
            (place / name / LOCAL).mkdir(parents=True, exist_ok=True)
        (place / "refs").mkdir(exist_ok=True)
        (place / "refs/main").write_text(LOCAL)
        repo.write(place / "snapshots" / LOCAL, link=True)
        for name in OPTIONAL:
            if name not in repo.files:
                missing = place / ".no_exist" / LOCAL / name
                missing.parent.mkdir(parents=True, exist_ok=True)
                missing.touch()

    def link(self, repo: Repository) -> None:
        """Put a dataset where `load_dataset` finds it by name: offline it does not look into the cache."""
        repo.write(self.by_name / repo.repo_id, link=True)

    @property
    def by_name(self) -> Path:
        """The folder with a folder for each dataset, in which a process finds it by name."""
        return self.folder / "by-name"

    def run(self, jobs: list[dict[str, Any]], what: str, *, offline: bool, token: str | None = None) -> list[Any]:
        """Do jobs of `src.hub.probe` in one new process.

        Args:
            jobs: Each with its name, as `job`, and its arguments; `place` is the folder to work in, the home by default.
            what: What is said while they run.
            offline: Whether the network is off.
            token: An access token, for what only its owner sees.

        Returns:
            For each its result, or a `ValueError` that says why it failed.
        """
        asked, answered, errors = (self.folder / name for name in ("request.json", "reply.json", "errors.txt"))
        request = {"offline": offline, "jobs": [{"place": str(self.folder)} | job for job in jobs]}
        asked.write_text(json.dumps(request), encoding="utf-8")
        answered.unlink(missing_ok=True)
        environment = {
            **{name: os.environ[name] for name in PASSED if name in os.environ},
            "HOME": str(self.folder),
            "HF_HOME": str(self.folder),
            "HF_ENDPOINT": self._endpoint,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "1" if offline else "0",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
            **({"HF_TOKEN": token} if token else {}),
        }
        with self._clock.doing(what):
            with errors.open("wb") as stream:
                child = subprocess.Popen(
                    [sys.executable, "-m", "src.hub.probe", str(asked), str(answered)],
                    cwd=self.folder,
                    env=environment,
                    stdin=subprocess.PIPE,  # closed when this process dies, which ends the child
                    stdout=subprocess.DEVNULL,
                    stderr=stream,
                    start_new_session=True,
                )
            try:
                child.wait()
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                if child.stdin is not None:
                    child.stdin.close()
        if child.returncode != 0 or not answered.is_file():
            lines = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return [ValueError(show(lines[-1] if lines else f"exit code {child.returncode}")) for _ in jobs]
        replies = json.loads(answered.read_text(encoding="utf-8"))
        return [ValueError(show(reply["error"])) if "error" in reply else reply["result"] for reply in replies]
