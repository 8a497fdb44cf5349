"""What others did is named, and left alone."""

from __future__ import annotations

import pytest

from .publishing import DATASET, PAGE, Bundle, Desk, after, commits, without

pytestmark = pytest.mark.slow


def test_somebody_elses_work_is_shown_and_not_overwritten(desk: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    assert desk.publish(**DATASET).code == 0
    desk.hub.edit("dataset", "alice/tiny-letters", "README.md", b"# Mine", author="bob\x1b[2J")
    desk.bundle = bundles[1]
    done = desk.ends(3, "bob\N{REPLACEMENT CHARACTER}[2J: Update README.md", **DATASET)
    assert "\x1b" not in done.out
    assert done.state == ["nothing was changed on the Hub"]
    assert desk.publish(**DATASET, overwrite=True).code == 0


def test_files_that_we_never_published_are_left_alone(desk: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    repo = desk.hub.add_repo("dataset", PAGE)
    for path, content in (("cat.png", b"cat"), ("model.gguf", b"gguf"), ("README.md", b"# By hand\n\nMy words.\n")):
        desk.hub.edit("dataset", PAGE, path, content, author="alice")
    desk.ends(3, "3 files that were not published from here", **DATASET)
    done = desk.ends(0, "left alone: cat.png, model.gguf", "changed: README.md", **DATASET, overwrite=True)
    assert "removed" not in done.out
    files = repo.at("main").files
    assert {"cat.png", "model.gguf"} <= files.keys()
    desk.bundle = bundles[1]
    assert desk.publish(**DATASET).code == 0
    assert {"cat.png", "model.gguf"} <= repo.at("main").files.keys()


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_file_of_ours_that_is_withdrawn_is_removed_by_name(desk: Desk, interrupted: bool) -> None:
    everything = desk.bundle
    desk.bundle = without(everything, "eval.yaml")
    assert desk.publish(**DATASET).code == 0
    desk.hub.edit("dataset", PAGE, "cat.png", b"cat", author="alice")
    desk.bundle = everything
    if interrupted:
        after(desk, "/commit/", lambda response: desk.kill())
    assert desk.publish(**DATASET, overwrite=True).code == (-9 if interrupted else 0)
    desk.transport.after = lambda request, response: response
    desk.bundle = without(everything, "eval.yaml")
    desk.ends(0, "removed: eval.yaml", **DATASET, overwrite=True)
    repo = desk.repo("dataset")
    files = repo.at("main").files
    assert "eval.yaml" not in files
    assert "cat.png" in files


def test_our_own_earlier_commit_is_not_called_others(desk: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    assert desk.publish(**DATASET).code == 0
    desk.bundle = bundles[1]
    after(desk, "/commit/", lambda response: desk.kill())
    assert desk.publish(**DATASET).code == -9
    desk.transport.after = lambda request, response: response
    desk.bundle = bundles[0]
    done = desk.ends(0, **DATASET)
    assert "changed by others" not in done.out
    assert commits(desk.repo("dataset")) == 3


def test_a_repository_of_another_kind_may_have_the_same_name(desk: Desk) -> None:
    desk.hub.add_repo("model", "alice/tiny-letters")
    assert desk.publish(**DATASET).code == 0


def test_a_renamed_repository_is_not_followed(desk: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    assert desk.publish(**DATASET).code == 0
    desk.hub.rename("dataset", "alice/tiny-letters", "alice/other")
    desk.bundle = bundles[1]
    desk.ends(3, "alice/tiny-letters: is called alice/other on the Hub", **DATASET)
    assert commits(desk.hub.repos[("dataset", "alice/other")]) == 1
