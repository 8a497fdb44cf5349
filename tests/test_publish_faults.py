"""What goes wrong on the way: the publisher recovers, or stops with nothing lost, doubled or unverified in public.

Every fault of the tables here stands with its outcome in the guide's troubleshooting table.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import REPO
from .hub_server import Fault, HubServer, User
from .publishing import TOKEN, Author, change_project, commits, main_files

pytestmark = [pytest.mark.slow, pytest.mark.hub]

DATASET = r"/api/datasets/alice/letters"
FIRST = ("--yes", "--only", "dataset")

REQUESTS = {
    "who am I": ("GET", r"/api/whoami-v2$"),
    "what is there": ("GET", rf"{DATASET}$"),
    "the files that are there": ("GET", rf"{DATASET}/tree/"),
    "is the metadata valid": ("POST", r"/api/validate-yaml$"),
    "create": ("POST", r"/api/repos/create$"),
    "how to upload": ("POST", rf"{DATASET}/preupload/"),
    "where to upload": ("POST", r"/info/lfs/objects/batch$"),
    "upload": ("PUT", r"^/lfs/"),
    "commit": ("POST", rf"{DATASET}/commit/"),
    "read back": ("GET", r"/datasets/alice/letters/resolve/"),
    "make visible": ("PUT", rf"{DATASET}/settings$"),
}
"""Every kind of request of a first publication."""

UPDATE_REQUESTS = {
    **{k: v for k, v in REQUESTS.items() if k not in ("create", "where to upload", "upload", "make visible")},
    "may I write": ("GET", rf"{DATASET}/auth-check/write$"),
    "open pull requests": ("GET", rf"{DATASET}/discussions$"),
    "merge": ("POST", rf"{DATASET}/discussions/\d+/merge$"),
}
"""Every kind of request of an update of the card, in a repository that visitors see."""


STAGES = {
    "before the repository is made": ("POST", r"/api/repos/create$"),
    "before the upload": ("POST", r"/preupload/"),
    "during the upload": ("PUT", r"^/lfs/"),
    "when the commit is sent": ("POST", r"/commit/"),
    "during the verification": ("GET", r"/resolve/"),
    "when it becomes visible": ("PUT", r"/settings$"),
}
UPDATE_STAGES = {
    "when the pull request is sent": ("POST", r"/commit/"),
    "while a pull request is verified": ("GET", r"/resolve/.*LICENSE"),
    "when the pull request is merged": ("POST", r"/merge$"),
}
"""Where a publication, and an update, are stopped (test_publish_stops)."""


@pytest.fixture
def author(tiny_source: Path, tmp_path: Path) -> Iterator[Author]:
    hub = HubServer(tmp_path / "hub")
    hub.users[TOKEN] = User("alice")
    hub.start()
    yield Author(hub, Path(shutil.copytree(tiny_source, tmp_path / "project")))
    hub.stop()


def published(author: Author, count: int) -> None:
    """The files are there, with so many commits, visible, and the receipt says what is true."""
    repo = author.repo("dataset", "letters")
    assert not repo.private
    assert commits(repo) == count
    assert len(main_files(repo)) == 5
    receipt = author.receipt
    assert receipt["repos"][0]["commit"] == repo.refs["main"]
    assert receipt["repos"][0]["visibility"] == "public"
    assert not [check for check in receipt["checks"] if check["outcome"] == "failed"]
    assert sum(pull.status == "merged" for pull in repo.pulls.values()) == count - 1
    assert not [pull for pull in repo.pulls.values() if pull.status == "open"]


def not_published(author: Author) -> None:
    """Nobody sees anything, and no receipt says otherwise."""
    assert all(repo.private for repo in author.hub.repos.values())
    assert not author.receipt_path.exists()


@dataclass(frozen=True)
class Case:
    """A fault, and what the guide says of it.

    Attributes:
        name: Words of the guide's table.
        faults: What the server does.
        code: How the first run ends.
        said: What it says.
        update: Whether it is the second publication, through a pull request.
    """

    name: str
    faults: tuple[Fault, ...]
    code: int = 0
    said: str = ""
    update: bool = False


CASES = (
    Case(
        "429 with Retry-After, once on each kind of request",
        tuple(Fault(m, p, 429, headers={"Retry-After": "1"}) for m, p in REQUESTS.values()),
        said="trying again in 1 s",
    ),
    Case("500, once on each kind of request", tuple(Fault(m, p, 500) for m, p in REQUESTS.values())),
    Case("503, once on each kind of request", tuple(Fault(m, p, 503) for m, p in REQUESTS.values())),
    Case("a dropped connection, once on each kind", tuple(Fault(m, p, "drop") for m, p in REQUESTS.values())),
    Case("a lost reply, once on each kind", tuple(Fault(m, p, "lose") for m, p in REQUESTS.values())),
    *(
        Case(
            f"{name} at an update, once on each kind",
            tuple(Fault(m, p, kind) for m, p in UPDATE_REQUESTS.values()),
            update=True,
        )
        for name, kind in (("500", 500), ("503", 503), ("a dropped connection", "drop"), ("a lost reply", "lose"))
    ),
    Case(
        "429 for an hour",
        (Fault("GET", r"/api/whoami-v2$", 429, times=99, headers={"Retry-After": "3600"}),),
        code=4,
        said="again in 1 h 00 min",
    ),
    Case("503 for good", (Fault("GET", r"/api/whoami-v2$", 503, times=99),), code=4, said="HTTP 503"),
    Case("503 for good while uploading", (Fault("PUT", r"^/lfs/", 503, times=99),), code=4, said="HTTP 503"),
    Case("503 for good at the commit", (Fault("POST", rf"{DATASET}/commit/", 503, times=99),), code=4, said="HTTP 503"),
    Case(
        "503 for good when it should become visible",
        (Fault("PUT", rf"{DATASET}/settings$", 503, times=99),),
        code=4,
        said="HTTP 503",
    ),
    Case(
        "503 for good at the merge",
        (Fault("POST", rf"{DATASET}/discussions/\d+/merge$", 503, times=99),),
        code=4,
        said="HTTP 503",
        update=True,
    ),
    Case(
        "a truncated download, once",
        (Fault("GET", r"/datasets/alice/letters/resolve/", "truncate"),),
    ),
    Case(
        "a truncated download, always",
        (Fault("GET", r"/datasets/alice/letters/resolve/.*train", "truncate", times=99),),
        code=4,
        said="cannot be reached",
    ),
    Case(
        "a corrupted download",
        (Fault("GET", r"/datasets/alice/letters/resolve/.*LICENSE", "corrupt"),),
        code=3,
        said="every file's SHA-256",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_and_the_next_run(author: Author, case: Case) -> None:
    repos = author.hub.repos
    if case.update:
        assert author.publish(*FIRST).returncode == 0
        change_project(author.root, licence="cc0-1.0", licence_name="CC0")
        receipt, head = author.receipt, author.repo("dataset", "letters").refs["main"]
    author.hub.faults = list(case.faults)
    done = author.publish(*FIRST)
    assert done.returncode == case.code, done.stderr
    assert case.said in done.stderr
    if case.code:
        assert "run the same command again" in done.stderr.lower()
        if case.update:
            assert author.receipt == receipt
            assert author.repo("dataset", "letters").refs["main"] == head
        else:
            not_published(author)
        author.hub.faults = []
        again = author.publish(*FIRST)
        assert again.returncode == 0, again.stderr
    else:
        assert not [fault.path for fault in case.faults if not fault.seen]
    published(author, 2 if case.update else 1)
    assert len(repos) == 1


def test_the_guide_lists_every_fault_with_its_outcome() -> None:
    guide = (REPO / "docs/guides/publish.md").read_text()
    for name in (*(case.name for case in CASES), *STAGES, *UPDATE_STAGES):
        rows = [line for line in guide.splitlines() if line.startswith(f"| {name} |")]
        assert len(rows) == 1, name
    for case in CASES:
        row = next(line for line in guide.splitlines() if line.startswith(f"| {case.name} |"))
        outcome = row.split("|")[2]
        assert (f"exit code {case.code}" in outcome) if case.code else ("goes through" in outcome), row
