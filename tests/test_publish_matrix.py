"""Something happens between any two requests of a publication: what is public was verified, and what is said is true.

Each case is one request of a publication and one thing that happens there. All of them run nightly, a sample of them by default.
"""

from __future__ import annotations

import copy
import re
import shutil
import signal
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest

from src.hub import checks

from .hub_server import Repo
from .publishing import KINDS, NAMES, Bundle, Desk, Ending, commits, fails_there

pytestmark = pytest.mark.slow

ROLES = {(KINDS[role], name): role for role, name in NAMES.items()}

FOREIGN = b"somebody else's"

OWNERS = ("foreign commit", "visibility changed", "renamed", "deleted")
FAULTS = (
    "stale read", "lost reply", 401, 403, 409, 412, 429, 500, 503, "500 for good", "503 for good", "malformed JSON", "killed",
    "killed after", "Ctrl-C",
)  # fmt: skip
"""What happens: somebody does something just before a request, or its answer is not what it should be."""

SCENARIOS = {
    "first": ("dataset", "base"),
    "update": ("dataset", "base"),
    "space": ("space",),
    "withdrawn": ("dataset",),
}
"""Publications, and the repositories of each: a first one, an update of public repositories, the Space of published models, and
one that withdraws what an earlier one sent to a repository that is still private."""

REQUESTS = {"first": 60, "update": 45, "space": 30, "withdrawn": 40}
"""More requests than each of them sends where nothing happens; cases beyond the last are skipped."""

KEPT = {
    "dataset": ("README.md", "LICENSE", "letter_count/test.parquet"),
    "base": ("README.md", "config.json", "model.safetensors"),
    "model": ("README.md", "adapter_config.json", "adapter_model.safetensors", "evaluation_results.json"),
}
"""A file of each kind of request is enough."""


def reduced(bundle: Bundle) -> Bundle:
    """Leave out files that would only repeat the same requests."""
    repos = []
    for repo in bundle.repos:
        wanted = KEPT.get(repo.role, tuple(repo.files))
        repos.append(replace(repo, files={path: file for path, file in repo.files.items() if path in wanted}))
    return replace(bundle, repos=repos)


@dataclass
class Act:
    """What happens at one request; `happened` is whether it could."""

    desk: Desk
    what: str | int
    at: int
    requests: int = 0
    happened: bool = False
    repo: Repo | None = None
    private: bool = False
    state: Any = None

    def before(self, request: httpx2.Request) -> httpx2.Response | None:
        """Do it, if this is the request."""
        self.requests += 1
        if not (self.requests == self.at or (self.requests > self.at and "for good" in str(self.what))):
            return None
        self.happened = True
        if self.what in OWNERS:
            self._owner(request)
        elif self.what == "killed":
            self.desk.kill()
        elif self.what == "Ctrl-C":
            signal.raise_signal(signal.SIGINT)
        elif status := re.match(r"\d+", str(self.what)):
            return httpx2.Response(int(status[0]), text="fault", request=request)
        elif self.what == "stale read":
            self._stale(request)
        return None

    def after(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        """Replace the answer, if this was the request."""
        if self.state is not None:
            repo, head = self.state
            repo.refs["main"], self.state = head, None
        if self.requests != self.at:
            return response
        if self.what == "lost reply":
            raise httpx2.ReadError("lost", request=request)
        if self.what == "killed after":
            self.desk.kill()
        if self.what == "malformed JSON":
            return httpx2.Response(response.status_code, content=b'{"a": [', headers=response.headers, request=request)
        return response

    def _of(self, request: httpx2.Request) -> Repo | None:
        """Return the repository that a request is about, or the first one where it is about none."""
        _, asked = self.desk.hub.asked(request)
        if asked.name:
            return self.desk.hub.repos.get((asked.kind, asked.name))
        return next(iter(self.desk.hub.repos.values()), None)

    def _owner(self, request: httpx2.Request) -> None:
        hub, repo = self.desk.hub, self._of(request)
        self.repo, self.happened = repo, repo is not None
        if repo is None:
            return
        if self.what == "foreign commit":
            hub.edit(repo.kind, repo.name, "notes.txt", FOREIGN)
        elif self.what == "visibility changed":
            repo.private = not repo.private
            self.private = repo.private
        elif self.what == "renamed":
            hub.rename(repo.kind, repo.name, f"{repo.name}-renamed")
        else:
            del hub.repos[(repo.kind, repo.name)]

    def _stale(self, request: httpx2.Request) -> None:
        repo = self._of(request)
        head = repo.at("main") if repo is not None else None
        self.happened = request.method == "GET" and head is not None and head.parent is not None
        if repo is not None and head is not None and head.parent is not None and self.happened:
            self.state = (repo, repo.refs["main"])
            repo.refs["main"] = head.parent


@pytest.fixture
def desk(tmp_path: Path, bundles: tuple[Bundle, Bundle], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(checks, "links_inside", lambda repo: [])
    made = Desk(tmp_path, reduced(bundles[0]), monkeypatch)
    yield made
    made.close()


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory, bundles: tuple[Bundle, Bundle]) -> Callable[[str], Desk]:
    """Do what comes before a scenario, once."""

    @cache
    def start(scenario: str) -> Desk:
        with pytest.MonkeyPatch.context() as patch:
            desk = Desk(tmp_path_factory.mktemp(scenario), reduced(bundles[0]), patch)
            if scenario == "space":
                assert desk.publish(only=("dataset", "base", "model")).code == 0
            elif scenario == "update":
                assert desk.publish(only=SCENARIOS[scenario]).code == 0
            elif scenario == "withdrawn":
                desk.answers["snippet"] = fails_there
                assert desk.publish(only=SCENARIOS[scenario]).code == 3
                desk.verified.clear()
            desk.close()
        return desk

    return start


def begin(desk: Desk, scenario: str, bundles: tuple[Bundle, Bundle], starts: Callable[[str], Desk]) -> dict[str, Any]:
    """Take over what comes before a scenario; return the options of the publication."""
    before = starts(scenario)
    for name in ("repos", "objects", "_serial"):
        setattr(desk.hub, name, copy.deepcopy(getattr(before.hub, name)))
    for role, hashes in before.verified.items():
        desk.verified[role] |= hashes
    for path in before.folder.glob("*publication.json*"):
        shutil.copy(path, desk.folder)
    if scenario in ("update", "withdrawn"):
        desk.bundle = reduced(bundles[1])
    return {"only": SCENARIOS[scenario]}


def cases() -> list[Any]:
    found = []
    for scenario in SCENARIOS:
        for what in (*OWNERS, *FAULTS):
            for at in range(1, REQUESTS[scenario] + 1):
                name = f"{scenario}-{what}-{at}"
                marks = [] if zlib.crc32(name.encode()) % 120 == 0 else [pytest.mark.nightly]
                found.append(pytest.param(scenario, what, at, id=name.replace(" ", "_"), marks=marks))
    return found


def snapshot(desk: Desk) -> dict[Any, Any]:
    """Return visibility and head of every repository."""
    return {key: (repo.private, repo.refs["main"]) for key, repo in desk.hub.repos.items()}


def role_of(kind: str, name: str) -> str | None:
    return ROLES.get((kind, name.removesuffix("-renamed")))


def check(desk: Desk, act: Act, done: Ending, before: dict[Any, Any]) -> None:
    """The one assertion: nothing unverified is public, what is said is true, nobody else's work or wish is changed."""
    hub = desk.hub
    for repo in hub.repos.values():
        ours = [commit for commit in repo.commits.values() if commit.author == "alice"]
        owners_wish = act.what == "visibility changed" and act.repo is repo
        if not repo.private and not owners_wish:
            verified = desk.verified[role_of(repo.kind, repo.name)]
            for commit in ours:
                sent = {
                    path: blob for path, blob in commit.files.items() if path not in (".gitattributes", "notes.txt")
                }
                odd = [path for path, blob in sent.items() if blob.sha256 not in verified]
                assert not odd, (repo.name, odd)
        if any(commit.author == "visitor" for commit in repo.commits.values()):
            history = repo.history(repo.at("main"))
            assert any(commit.author == "visitor" for commit in history), "somebody else's commit is not undone"
            assert "notes.txt" in history[0].files
    for kind, name, files in hub.revealed:
        if "notes.txt" in files and act.happened and (kind, name) in hub.repos:
            assert hub.repos[(kind, name)].private, "what nobody verified was made public, and stayed so"
    if act.what == "visibility changed" and act.repo is not None and act.private:
        assert act.repo.private, "the owner made it private"
    # The last lines are true.
    if done.code != -9:
        assert done.state, done.out
        for line in done.state:
            told = re.match(
                r"(alice/[\w-]+): (public|private), (our commit|commit) ([0-9a-f]{12}); https://huggingface.co/(datasets/|spaces/)?alice/",
                line,
            )
            if told:
                repo = hub.repos[({"datasets/": "dataset", "spaces/": "space"}.get(told[5] or "", "model"), told[1])]
                head = repo.at("main")
                assert (told[2] == "private", told[4]) == (repo.private, head.oid[:12])
                assert (told[3] == "our commit") <= (head.author == "alice"), line
            elif line.startswith("nothing"):
                for key, repo in hub.repos.items():
                    if act.repo is not repo:
                        assert before.get(key) == (repo.private, repo.refs["main"])
            else:
                assert "look at https://huggingface.co/" in line, line
                assert act.what not in (429, "lost reply"), line
    # The receipt is true.
    for entry in desk.receipt["repos"] if desk.receipt_path.exists() else ():
        for (kind, name), repo in hub.repos.items():
            if (kind, name.removesuffix("-renamed")) == (entry["kind"], entry["repo_id"]):
                files = {p: blob for p, blob in repo.commits[entry["commit"]].files.items() if p != ".gitattributes"}
                assert {blob.sha256 for blob in files.values()} <= desk.verified[entry["role"]]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_request_is_one_of_the_cases(
    desk: Desk, bundles: tuple[Bundle, Bundle], starts: Callable[[str], Desk], scenario: str
) -> None:
    options = begin(desk, scenario, bundles, starts)
    act = Act(desk, "nothing", 0)
    desk.transport.before = act.before
    assert desk.publish(**options).code == 0
    assert act.requests <= REQUESTS[scenario]


@pytest.mark.parametrize(("scenario", "what", "at"), cases())
def test_whatever_happens(
    desk: Desk, bundles: tuple[Bundle, Bundle], starts: Callable[[str], Desk], scenario: str, what: str | int, at: int
) -> None:
    options = begin(desk, scenario, bundles, starts)
    before = snapshot(desk)
    act = Act(desk, what, at)
    desk.transport.before, desk.transport.after = act.before, act.after
    done = desk.publish(**options)
    desk.transport.before, desk.transport.after = (lambda request: None), (lambda request, response: response)
    if not act.happened:  # known only now: what a request is about, and whether there is anything to change
        pytest.skip(f"{what} cannot happen at request {at} of {scenario}, which has nothing to lose or change")
    check(desk, act, done, before)
    assert done.code in (0, 3, 4, 130, -9)
    # A rerun succeeds, or says why not.
    before = snapshot(desk)
    again = desk.publish(**options)
    check(desk, act, again, before)
    if what in FAULTS:
        assert again.code == 0, again.out
        for role in SCENARIOS[scenario]:
            repo = desk.repo(role)
            assert not repo.private or "--make-public" in again.out
            assert commits(repo) == (2 if scenario == "update" else 1), "a commit was made twice"
        assert {entry["role"] for entry in desk.receipt["repos"]} >= set(SCENARIOS[scenario])
    else:
        assert again.code == 0 or (again.code == 3 and "error: " in again.out), again.out
