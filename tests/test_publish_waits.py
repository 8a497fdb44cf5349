"""Waiting for the Hub: it is announced, bounded and as long as the Hub asks, and whoever stops it has the prompt back at once."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from .hub_server import Fault
from .publishing import Author, change_project
from .test_publish_faults import DATASET, FIRST, author, not_published, published

pytestmark = [pytest.mark.slow, pytest.mark.hub]

__all__ = ["author"]  # a fixture

AT_ONCE = 10.0
"""Seconds until the prompt is back, most of them for a busy machine; who waits for the Hub first takes minutes."""


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


def first_line(process: subprocess.Popen[str], wanted: str) -> float:
    """Wait for a line on standard error and return when it came."""
    assert process.stderr is not None
    for line in process.stderr:
        if wanted in line:
            return time.monotonic()
    raise AssertionError(f"{wanted!r} was never said")


def children(process: subprocess.Popen[str]) -> list[int]:
    """List the processes that a process started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if re.search(rf"^PPid:\s+{process.pid}$", text, flags=re.MULTILINE) and "\nState:\tZ" not in text:
            found.append(int(status.parent.name))
    return found


SILENT = {
    "the first request": ("GET", r"/api/whoami-v2$"),
    "the upload": ("PUT", r"^/lfs/"),
    "the commit": ("POST", rf"{DATASET}/commit/"),
    "a download": ("GET", r"/datasets/alice/letters/resolve/"),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("where", SILENT)
def test_silence_is_announced_and_can_be_ended(
    author: Author, temporary: Path, where: str, number: signal.Signals
) -> None:
    method, path = SILENT[where]
    asked: list[float] = []
    author.hub.faults = [Fault(method, path, "silent", times=99)]
    author.hub.on_request = lambda m, p: asked.append(time.monotonic()) if m == method and re.search(path, p) else None
    process = author.start(*FIRST, TMPDIR=str(temporary))
    said = first_line(process, "still waiting" if where != "a download" else "trying again")
    assert said - asked[0] < 20  # ten seconds, and what a busy machine takes; said later, it would be after thirty
    sent = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - sent < AT_ONCE
    assert process.returncode == 128 + number
    assert "run the same command again" in err
    assert "Traceback" not in err
    assert not list(temporary.iterdir())
    not_published(author)


@pytest.mark.parametrize("where", SILENT)
def test_silence_is_bounded(author: Author, temporary: Path, where: str) -> None:
    """All tries together take no longer than the patience, whatever the request and the client's own timeouts."""
    method, path = SILENT[where]
    asked: list[float] = []
    author.hub.faults = [Fault(method, path, "silent", times=99)]
    author.hub.on_request = lambda m, p: asked.append(time.monotonic()) if m == method and re.search(path, p) else None
    done = author.publish(*FIRST, "--patience", "15", TMPDIR=str(temporary))
    assert 12 < time.monotonic() - asked[0] < 27  # a second try with a patience of its own would end after thirty
    assert done.returncode == 4
    assert "run the same command again" in done.stderr
    assert not list(temporary.iterdir())
    not_published(author)


@pytest.mark.parametrize("where", ["the first request", "the upload", "the commit", "a download"])
def test_an_hours_wait_is_left_to_the_author(author: Author, where: str) -> None:
    method, path = SILENT[where]
    asked: list[float] = []
    author.hub.faults = [Fault(method, path, 429, times=99, headers={"Retry-After": "3600"})]
    author.hub.on_request = lambda m, p: asked.append(time.monotonic()) if m == method and re.search(path, p) else None
    done = author.publish(*FIRST)
    assert time.monotonic() - asked[0] < 60  # and not after the patience, which is three times that
    assert done.returncode == 4
    assert "too many requests" in done.stderr
    assert "run the same command again in 1 h 00 min." in done.stderr
    not_published(author)


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "4"}, {"ratelimit": '"api";r=0;t=4'}], ids=["Retry-After", "limit"]
)
def test_a_wait_that_the_hub_asks_for_is_kept_at_commit_and_merge(author: Author, headers: dict[str, str]) -> None:
    times: dict[str, list[float]] = {"commit": [], "merge": []}

    def note(method: str, path: str) -> None:
        for what in times:
            if method == "POST" and re.search(rf"/{what}(/main)?$", path):
                times[what].append(time.monotonic())

    author.hub.on_request = note
    author.hub.faults = [Fault("POST", r"/commit/main$", 429, headers=headers)]
    assert author.publish(*FIRST).returncode == 0
    change_project(author.root, licence="cc0-1.0", licence_name="CC0")
    author.hub.faults = [Fault("POST", r"/merge$", 429, headers=headers)]
    done = author.publish(*FIRST)
    assert done.returncode == 0, done.stderr
    assert "HTTP 429); trying again in 4 s" in done.stderr
    assert times["commit"][1] - times["commit"][0] >= 4
    assert times["merge"][1] - times["merge"][0] >= 4
    published(author, 2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_no_process_is_left_behind(author: Author, temporary: Path, number: signal.Signals) -> None:
    process = author.start(*FIRST, TMPDIR=str(temporary))
    threading.Thread(target=process.stderr.read, daemon=True).start()  # type: ignore[union-attr]
    deadline = time.monotonic() + 120
    while not (running := children(process)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    sent = time.monotonic()
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert time.monotonic() - sent < AT_ONCE
    assert not [pid for pid in running if Path(f"/proc/{pid}").exists()]
    assert not list(temporary.iterdir())
    not_published(author)


def test_what_a_killed_run_left_is_swept_by_the_next(author: Author, temporary: Path) -> None:
    process = author.start(*FIRST, TMPDIR=str(temporary))
    author.hub.on_request = lambda method, path: process.kill() if "/resolve/" in path else None
    process.communicate(timeout=120)
    author.hub.on_request = None
    assert len(list(temporary.iterdir())) == 1
    external_changes = temporary / "somebody-elses"
    external_changes.mkdir()
    seen: list[int] = []
    author.hub.on_request = lambda method, path: (
        seen.append(len(list(temporary.iterdir()))) if "/resolve/" in path else None
    )
    assert author.publish(*FIRST, TMPDIR=str(temporary)).returncode == 0
    assert set(seen) == {2}  # its own, and what is not ours to remove
    assert list(temporary.iterdir()) == [external_changes]


def test_a_run_beside_this_one_keeps_its_folder(author: Author, temporary: Path) -> None:
    """The first waits for a download while the second begins, and so sweeps, and ends."""
    author.hub.faults = [Fault("GET", r"/resolve/.*LICENSE", "silent")]
    first = author.start(*FIRST, TMPDIR=str(temporary))
    deadline = time.monotonic() + 120
    while not author.hub.faults[0].seen:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (folder,) = temporary.iterdir()
    (mark := folder / "mark").touch()  # a folder that the first run made again would not have it
    assert author.publish("--plan", "--only", "dataset", TMPDIR=str(temporary)).returncode == 0
    assert list(temporary.iterdir()) == [folder]
    assert mark.exists()
    _, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
    assert not list(temporary.iterdir())
