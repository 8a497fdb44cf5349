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
from src.record.files import sha256_file

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


class Home:
    """A folder that serves the child as its home, with a Hugging Face cache that begins empty."""

    def __init__(self, folder: Path, clock: Clock, endpoint: str, token: str | None = None) -> None:
        self._folder, self._clock, self._endpoint, self._token = folder, clock, endpoint, token
        folder.mkdir(parents=True, exist_ok=True)

    def place(self, kind: str) -> Path:
        """Return the folder in which a process finds linked repositories of a kind by their names."""
        return self._folder / "by-name" / kind

    def link(self, repo: Repository) -> None:
        """Put a repository where the libraries find it by name, as they look for a folder before they ask the Hub."""
        repo.write(self.place(repo.kind) / repo.repo_id, link=True)

    def differing(self, repo: Repository) -> list[str]:
        """List the files that were downloaded with other bytes than a repository's."""
        snapshots = self._folder / "hub" / f"{repo.kind}s--{repo.repo_id.replace('/', '--')}" / "snapshots"
        found = {
            "/".join(path.relative_to(snapshots).parts[1:]): sha256_file(path)
            for path in snapshots.rglob("*")
            if path.is_file()
        }
        odd = [path for path, digest in found.items() if path in repo.files and repo.files[path].sha256 != digest]
        return sorted(odd)

    def run(self, jobs: list[dict[str, Any]], task: str, *, offline: bool) -> list[Any]:
        """Do jobs of `src.hub.probe` in one new process; return for each its result, or a `ValueError` that says why it failed."""
        asked, answered, errors = (self._folder / name for name in ("request.json", "reply.json", "errors.txt"))
        request = {"offline": offline, "jobs": [{"place": str(self._folder)} | job for job in jobs]}
        asked.write_text(json.dumps(request), encoding="utf-8")
        answered.unlink(missing_ok=True)
        with self._clock.doing(task):
            with errors.open("wb") as stream:
                child = subprocess.Popen(
                    [sys.executable, "-m", "src.hub.probe", str(asked), str(answered)],
                    cwd=self._folder,
                    env=self._environment(offline),
                    stdin=subprocess.DEVNULL,
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
        if child.returncode != 0 or not answered.is_file():
            lines = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return [ValueError(show(lines[-1] if lines else f"exit code {child.returncode}")) for _ in jobs]
        replies = json.loads(answered.read_text(encoding="utf-8"))
        return [ValueError(show(reply["error"])) if "error" in reply else reply["result"] for reply in replies]

    def _environment(self, offline: bool) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in PASSED if name in os.environ},
            "HOME": str(self._folder),
            "HF_HOME": str(self._folder),
            "HF_ENDPOINT": self._endpoint,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "1" if offline else "0",
            "PYTHONUTF8": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
            **({"HF_TOKEN": self._token} if self._token else {}),
        }
