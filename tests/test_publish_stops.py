"""The publisher, stopped on its way by Ctrl-C or by force: the next run goes on, with nothing doubled or unverified in public.

Every stage stands with its outcome in the guide's troubleshooting table. The cases have a file of their own, so that they can run
beside the other faults.
"""

from __future__ import annotations

import signal
import subprocess

import pytest

from .publishing import Author, change_project
from .test_publish_faults import FIRST, STAGES, UPDATE_STAGES, author, not_published, published

pytestmark = [pytest.mark.slow, pytest.mark.hub]

__all__ = ["author"]  # a fixture


def stop_at(author: Author, stage: tuple[str, str], number: signal.Signals) -> subprocess.CompletedProcess[str]:
    """Run the publisher and send it a signal when it makes a request, which is carried out all the same."""
    from re import search

    method, path = stage
    process = author.fork(*FIRST)
    fired: list[str] = []

    def fire(asked: str, where: str) -> None:
        if not fired and asked == method and search(path, where):
            fired.append(where)
            process.send_signal(number)

    author.hub.on_request = fire
    out, err = process.communicate(timeout=120)
    author.hub.on_request = None
    assert fired
    return subprocess.CompletedProcess([], process.returncode, out, err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["SIGINT", "SIGKILL"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_first_publication_that_is_stopped(author: Author, stage: str, number: signal.Signals) -> None:
    done = stop_at(author, STAGES[stage], number)
    if number == signal.SIGINT:
        assert done.returncode == 130
        assert "run the same command again" in done.stderr
        assert "Traceback" not in done.stderr
    else:
        assert done.returncode == -signal.SIGKILL
    if stage != "when it becomes visible":  # by then it was verified, and the request may have been carried out
        not_published(author)
    assert not author.receipt_path.exists()
    again = author.publish(*FIRST)
    assert again.returncode == 0, again.stderr
    published(author, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["SIGINT", "SIGKILL"])
@pytest.mark.parametrize("stage", UPDATE_STAGES)
def test_an_update_that_is_stopped(author: Author, stage: str, number: signal.Signals) -> None:
    assert author.publish(*FIRST).returncode == 0
    repo, receipt = author.repo("dataset", "letters"), author.receipt
    head = repo.refs["main"]
    change_project(author.root, licence="cc0-1.0", licence_name="CC0")
    stop_at(author, UPDATE_STAGES[stage], number)
    assert author.receipt == receipt
    if "merged" not in stage:
        assert repo.refs["main"] == head
    again = author.publish(*FIRST)
    assert again.returncode == 0, again.stderr
    published(author, 2)
