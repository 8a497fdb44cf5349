"""The publisher as a user starts it, with the real libraries, against a local Hub over a socket."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import REPO, copy_tiny, invoke
from .hub_server import Fault, HubServer, Repo
from .publishing import Author, change_project, commits, online

pytestmark = [pytest.mark.slow, pytest.mark.hub]

VISITOR = """
from peft import PeftModel
from transformers import AutoModelForCausalLM
from datasets import load_dataset

loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("alice/tiny"), "alice/tiny-lora")
print(type(loaded).__name__, load_dataset("alice/tiny-letters", "letter_count", split="test").num_rows)
"""


def main_files(repo: Repo) -> dict[str, str]:
    """Hash of each file of `main`."""
    return {path: blob.sha256 for path, blob in repo.at("main").files.items()}


@pytest.fixture
def author(hub: HubServer, tmp_path: Path) -> Author:
    return Author(hub, copy_tiny(tmp_path / "project"))


def test_a_first_publication_and_an_update(author: Author, tmp_path: Path) -> None:
    hub = author.hub
    done = author.publish("--yes", "--tag", "v1.0.0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [commits(author.repo(role)) for role in ("dataset", "base", "model", "space")] == [1, 1, 1, 1]
    assert not any(repo.private for repo in hub.repos.values())
    assert not [path for _, path in hub.log if "xet" in path]
    receipt = json.loads((author.root / "results/tiny/publication.json").read_text())
    heads = {role: author.repo(role).refs["main"] for role in ("dataset", "base", "model", "space")}
    assert {entry["role"]: entry["commit"] for entry in receipt["repos"]} == heads
    assert {entry["tag"] for entry in receipt["repos"]} == {"v1.0.0"}
    assert {check["outcome"] for check in receipt["checks"]} == {"passed"}
    names = {check["name"] for check in receipt["checks"]}
    assert {"the card's snippet runs", "from the Hub: the card's snippet runs"} <= names
    assert done.stdout.strip().splitlines()[-1].startswith(f"alice/try-tiny: public, our commit {heads['space'][:12]}")

    # A visitor without a token uses it.
    command = [sys.executable, "-c", VISITOR]
    environment = online(hub, tmp_path / "visitor", HF_HUB_DISABLE_XET="1")
    seen = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert seen.stdout.split()[0] == "PeftModelForCausalLM", seen.stderr

    # Without a change there is no commit; a changed card is one commit per repository that it is in.
    requests = len(hub.log)
    assert "no commit was made" in author.publish("--yes").stderr
    assert not [entry for entry in hub.log[requests:] if "/commit/" in entry[1] or entry[0] == "PUT"]
    before = main_files(author.repo("model"))
    change_project(author.root, tags=["toy", "changed-tag"])
    done = author.publish("--yes", "--only", "model")
    assert done.returncode == 0, done.stdout + done.stderr
    after = main_files(author.repo("model"))
    assert commits(author.repo("model")) == 2
    assert before.keys() == after.keys()
    assert before["adapter_model.safetensors"] == after["adapter_model.safetensors"]
    assert before["README.md"] != after["README.md"]


STOPS = [
    pytest.param(signal.SIGINT, id="Ctrl-C"),
    pytest.param(signal.SIGKILL, id="SIGKILL", marks=pytest.mark.nightly),
    pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.nightly),
]


@pytest.mark.parametrize("number", STOPS)
def test_stopped_during_the_upload_and_started_again(author: Author, tmp_path: Path, number: signal.Signals) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    author.hub.faults = [Fault("PUT", r"^/lfs/", "silent", times=9)]
    process = author.start("--yes", "--only", "dataset", TMPDIR=str(temporary))
    deadline = time.monotonic() + 120
    while not [entry for entry in author.hub.log if entry[1].startswith("/lfs/")]:
        assert time.monotonic() < deadline, process.communicate()
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    sent = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - sent < 10
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert f"interrupted by {number.name}" in err
        assert err.strip().splitlines()[-1].startswith("alice/tiny-letters: private, commit ")
        assert not list(temporary.iterdir())
    assert author.repo("dataset").private
    author.hub.faults = []
    done = author.publish("--yes", "--only", "dataset")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not author.repo("dataset").private
    assert commits(author.repo("dataset")) == 1
    assert not list((author.root / "results/tiny").glob(".publication*"))


def test_other_bytes_from_the_hub_do_not_become_public(author: Author) -> None:
    """The file has the same rows and columns, and its first byte is another one."""
    author.hub.faults = [Fault("GET", r"/resolve/.*/letter_count/test\.parquet$", "flip", times=99)]
    done = author.publish("--yes", "--only", "dataset")
    assert done.returncode == 3, done.stdout + done.stderr
    assert (
        "the files that were loaded are the ones that were sent (other bytes: letter_count/test.parquet)" in done.stdout
    )
    assert author.repo("dataset").private


@pytest.mark.nightly
def test_a_byte_now_and_then_does_not_last_longer_than_the_timeout(author: Author) -> None:
    author.hub.faults = [Fault("GET", r"/api/datasets/alice/tiny-letters$", "slow", times=9)]
    start = time.monotonic()
    done = author.publish("--plan", "--only", "dataset", "--timeout", "15")
    assert time.monotonic() - start < 60
    assert done.returncode == 4
    assert "the time was up" in done.stderr


def test_the_guide_and_the_workflow_use_options_that_there_are() -> None:
    shown = invoke(REPO, "publish", "--help").stdout
    for file in ("docs/guides/publish.md", ".github/workflows/publish.yml"):
        for line in re.findall(r"src\.publish (.*)", (REPO / file).read_text()):
            for option in re.findall(r"(?<!\S)--[a-z-]+", line):
                assert option in shown, f"{file}: {option}"
