"""Somebody who publishes the tiny project: as a user does over a socket, or in this process, request by request."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import huggingface_hub as hf
import pytest
import yaml
from huggingface_hub.utils._http import default_client_factory

from src.documents.build import Documents
from src.documents.context import Context, RepoNames
from src.hub import bundle as bundles
from src.hub import client, process, publish
from src.hub.bundle import collect
from src.hub.publish import Options
from src.hub.redact import Redactor
from src.hub.repository import Repository
from src.hub.show import Screen
from src.record.errors import CommandError
from src.record.load import Record, load_record
from src.record.publication import Publication

from .conftest import DEMO, REPO
from .hub_server import HubServer, InProcess, Repo, User

TINY = REPO / "tests/tiny"
TOKEN = "hf_localtesttokenofalice"
NAMES = {"dataset": "alice/tiny-letters", "base": "alice/tiny", "model": "alice/tiny-lora", "space": "alice/try-tiny"}
PAGE = NAMES["dataset"]
DATASET = {"only": ("dataset",)}
KINDS = {"dataset": "dataset", "base": "model", "model": "model", "space": "space"}


def change_project(root: Path, file: str = "project.yaml", **changes: Any) -> None:
    """Change keys of a config, by default the project's."""
    path = root / "configs" / file
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes, allow_unicode=True))


def online(hub: HubServer, home: Path, **more: str) -> dict[str, str]:
    """The environment of a process that has only this Hub, and nothing of the Hub's on its disk."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return kept | {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "OMP_NUM_THREADS": "1", "NO_COLOR": "1", **more}


class Author:
    """Somebody in a project's folder, with a Hub in reach."""

    def __init__(self, hub: HubServer, root: Path) -> None:
        self.hub, self.root = hub, root

    def start(self, *arguments: str, **extra: str) -> subprocess.Popen[str]:
        """Start the publisher as a user does."""
        given = {"HF_TOKEN": TOKEN, "PYTHONPATH": str(self.root)} | extra
        return subprocess.Popen(
            [sys.executable, "-m", "src.publish", *arguments], cwd=self.root, env=online(self.hub, self.root / "hf-home", **given),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def publish(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the publisher as a user does; the token must never be seen."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        assert "Traceback" not in err, err
        assert TOKEN not in out + err
        return subprocess.CompletedProcess(["src.publish", *arguments], process.returncode, out, err)

    def repo(self, role: str) -> Repo:
        return self.hub.repos[(KINDS[role], NAMES[role])]


def new_hub() -> HubServer:
    """A Hub on which alice has an account."""
    hub = HubServer()
    hub.users[TOKEN] = User("alice")
    return hub


def commits(repo: Repo, author: str = "alice") -> int:
    """Count the commits of `main` by an author."""
    return sum(commit.author == author for commit in repo.history(repo.at("main")))


class Killed(BaseException):
    """The process is killed: nothing more is sent or written."""


@dataclass
class Ending:
    """How a publication ended.

    Attributes:
        code: The exit code; -9 for a process that was killed.
        out: Everything that was printed, the error last.
        slept: Seconds that it waited for the Hub.
    """

    code: int
    out: str
    slept: float

    @property
    def state(self) -> list[str]:
        """The last lines, which say what is on the Hub."""
        starts = ("alice/", "unknown", "nothing was changed", "nothing changed")
        return [line for line in self.out.strip().splitlines() if line.startswith(starts)]


class Desk:
    """Somebody who publishes a bundle in this process, with what models answer given; `folder` is for the receipt."""

    def __init__(self, folder: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.bundle, self.patch = folder, bundle, monkeypatch
        self.receipt_path = folder / "publication.json"
        self.hub = new_hub()
        self.transport = InProcess(self.hub)
        self.answers: dict[str, Callable[[dict[str, Any]], Any]] = dict(ANSWERS)
        self.slept = 0.0
        self.verified: dict[str | None, set[str]] = defaultdict(set)  # hashes of all that is meant to be sent, by role
        monkeypatch.setattr(Record, "publication_path", property(lambda record: folder / "publication.json"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(hf.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(hf.constants, "HF_HUB_DISABLE_TELEMETRY", True)
        monkeypatch.setattr("time.sleep", self._sleep)
        monkeypatch.setattr(client, "Client", partial(client.Client, transport=self.transport))
        monkeypatch.setattr(
            bundles, "collect", lambda documents, only, *rest, **more: [r for r in self.bundle.repos if r.role in only]
        )
        monkeypatch.setattr(publish, "local_base", lambda context: self.bundle.repo("base"))
        monkeypatch.setattr(bundles, "check_secrets", lambda *rest: [])
        at = Repository.at
        monkeypatch.setattr(Repository, "at", lambda repo, commits: self._noted(at(repo, commits)))
        monkeypatch.setattr(Documents, "check", lambda documents: None)  # most of a publication's time
        monkeypatch.setattr(process.Home, "link", lambda *rest: None)
        monkeypatch.setattr(process.Home, "run", lambda home, jobs, what, **rest: self._run(jobs, rest["offline"]))

    @property
    def receipt(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.receipt_path.read_text())
        return found

    def repo(self, role: str) -> Repo:
        return self.hub.repos[(KINDS[role], NAMES[role])]

    def _sleep(self, seconds: float) -> None:
        self.slept += seconds

    def _noted(self, repo: Repository) -> Repository:
        self.verified[repo.role] |= {file.sha256 for file in repo.files.values()}
        return repo

    def _run(self, jobs: list[dict[str, Any]], offline: bool) -> list[Any]:
        return [self.answers[job["job"]](job | {"desk": self, "offline": offline}) for job in jobs]

    def publish(self, **options: Any) -> Ending:
        """Publish, without being asked."""
        last = Publication.model_validate(self.receipt) if self.receipt_path.exists() else None
        record = replace(self.bundle.record, publication=last)
        self.slept, printed, redactor = 0.0, io.StringIO(), Redactor()
        screen = Screen(quiet=False, verbose=options.pop("verbose", False))
        with redirect_stdout(printed), redirect_stderr(printed):
            try:
                asked = Options(**{"yes": True, **options})
                publish.publish(record, asked, screen, redactor, self.bundle.context.cache)
                code = 0
            except CommandError as error:
                printed.write(f"error: {error}\n")
                code = error.exit_code
            except Killed as killed:
                code = -9
                for path in self.folder.glob("*publication.json*"):  # what was written afterwards was not
                    path.unlink()
                for path, content in killed.args[0].items():
                    path.write_bytes(content)
        return Ending(code, redactor.redact(printed.getvalue()), self.slept)

    def ends(self, code: int, *said: str, **options: Any) -> Ending:
        """Publish, which has to end with this code and to say this."""
        done = self.publish(**options)
        assert done.code == code, done.out
        for text in said:
            assert text in done.out, done.out
        return done

    def close(self) -> None:
        """Give huggingface_hub its own client back."""
        hf.set_client_factory(default_client_factory)

    def kill(self) -> None:
        """End the publication as SIGKILL does, from within a request."""
        raise Killed({path: path.read_bytes() for path in self.folder.glob("*publication.json*")})


def _splits(job: dict[str, Any]) -> Any:
    splits = job["desk"].bundle.record.published_splits
    found: dict[str, Any] = {}
    for split in splits:  # a config's splits share their columns, as datasets does it
        shared = {name for other in splits if other.config == split.config for name in other.columns}
        found.setdefault(split.config, {})[split.name] = {"rows": split.rows, "columns": sorted(shared)}
    return found


def when(desk: Desk, method: str, part: str, act: Callable[[], Any], times: int = 1) -> None:
    """Let something happen just before a request; an answer that it returns is given instead of the Hub's."""
    done: list[str] = []

    def before(request: httpx2.Request) -> httpx2.Response | None:
        if len(done) < times and request.method == method and part in request.url.path:
            done.append(part)
            found = act()
            return found if isinstance(found, httpx2.Response) else None
        return None

    desk.transport.before = before


def after(desk: Desk, part: str, act: Callable[[httpx2.Response], Any]) -> None:
    """Let something happen just after requests; an answer that it returns is given instead of the Hub's."""

    def given(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        found = act(response) if part in request.url.path else None
        return found if isinstance(found, httpx2.Response) else response

    desk.transport.after = given


def answer(status: int, headers: dict[str, str] | None = None, **content: Any) -> Callable[[], httpx2.Response]:
    """Return what gives an answer."""
    request = httpx2.Request("GET", "https://huggingface.co")
    return lambda: httpx2.Response(status, headers=headers, request=request, **content)


def fails_there(asked: dict[str, Any]) -> Any:
    """What a snippet prints that runs here, and not from the Hub."""
    return "fine" if asked["offline"] else ValueError("it does not work there")


def raise_(error: BaseException) -> Any:
    """Raise, where only an expression may stand."""
    raise error


ANSWERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "dataset": _splits,
    "logits": lambda job: {"difference": 0.0, "count": 1},
    "snippet": lambda job: "printed",
}
"""What the jobs of the child process find."""


@dataclass
class Bundle:
    """The files of one version of the tiny project, collected once for many tests."""

    record: Record
    context: Context
    repos: list[Repository]

    def repo(self, role: str) -> Repository:
        return next(repo for repo in self.repos if repo.role == role)


def without(bundle: Bundle, path: str) -> Bundle:
    """Withdraw a file of the dataset."""
    dataset = bundle.repo("dataset")
    files = {name: file for name, file in dataset.files.items() if name != path}
    return replace(bundle, repos=[replace(repo, files=files) if repo is dataset else repo for repo in bundle.repos])


def make_bundle(root: Path, cache: Path, **changes: Any) -> Bundle:
    """Collect a version of the tiny project."""
    shutil.copytree(TINY, root)
    shutil.copytree(DEMO, root / "docs/assets/demo")
    change_project(root, **changes)
    record = load_record(root)
    context = Context(record, RepoNames.of(record, "alice"), cache, inside_hub=True)
    return Bundle(record, context, collect(Documents(context)))
