"""What becomes public, and when; what others did is named, and left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .hub_server import Blob, Commit, Repo
from .publishing import DATASET, PAGE, Bundle, Desk, after, answer, commits, fails_there, when, without

pytestmark = pytest.mark.slow


def history(repo: Repo) -> list[Commit]:
    """Return every commit that anybody can reach, but for the Hub's own first one."""
    heads = {*repo.refs.values(), *repo.tags.values()}
    return [c for head in heads for c in repo.history(repo.commits[head]) if c.title != "initial commit"]


@pytest.mark.parametrize("ending", ["smoke test", "killed", "refused"])
def test_withdrawn_text_is_in_no_public_history(desk: Desk, bundles: tuple[Bundle, Bundle], ending: str) -> None:
    if ending == "smoke test":
        desk.answers["snippet"] = fails_there
    elif ending == "killed":
        when(desk, "PUT", "/settings", desk.kill)
    else:
        when(desk, "PUT", "/settings", answer(403))
    assert desk.publish(**DATASET).code in (3, -9)
    withdrawn = desk.bundle.repo("dataset").files["README.md"].sha256
    desk.transport.before = lambda request: None
    desk.answers["snippet"] = lambda asked: "fine"
    desk.bundle = without(bundles[1], "NOTICE")
    desk.ends(
        0,
        "then public with one commit",
        "starts from scratch; its earlier commits move to alice/tiny-letters-earlier-",
        **DATASET,
    )
    assert not desk.repo("dataset").private
    (only,) = history(desk.repo("dataset"))
    assert withdrawn not in {blob.sha256 for blob in only.files.values()}


@pytest.mark.parametrize("path", ["LICENSE", "one more"])
def test_a_commit_that_is_not_what_was_sent_stays_private(desk: Desk, path: str) -> None:
    other = {path: Blob(b"other bytes")}
    after(desk, "/commit/", lambda response: desk.repo("dataset").at("main").files.update(other))
    desk.ends(3, f"is not what was sent ({path})", **DATASET)
    assert desk.repo("dataset").private


def test_what_was_private_for_several_publications_becomes_public_with_one_commit(
    desk: Desk, bundles: tuple[Bundle, Bundle]
) -> None:
    for bundle in bundles:
        project = bundle.record.project.model_copy(update={"visibility": "private"})
        desk.bundle = replace(bundle, record=replace(bundle.record, project=project))
        assert desk.publish(**DATASET).code == 0
    earlier = desk.repo("dataset")
    assert len(history(earlier)) == 2
    done = desk.ends(0, **DATASET, make_public=(PAGE,))
    assert len(history(desk.repo("dataset"))) == 1
    assert not desk.repo("dataset").private
    assert (len(history(earlier)), earlier.private) == (2, True)
    assert f"{PAGE}-earlier-{earlier.refs['main'][:8]}: private, our commit" in done.out


def test_a_branch_of_others_does_not_become_public(desk: Desk) -> None:
    when(desk, "PUT", "/settings", answer(403))
    assert desk.publish(**DATASET).code == 3
    earlier = desk.repo("dataset")
    desk.hub.add_commit(earlier, "draft", None, "Draft", "visitor", {})
    assert desk.publish(**DATASET).code == 0
    assert earlier.private
    assert desk.repo("dataset").refs.keys() == {"main"}


def test_a_commit_just_before_a_new_start_is_kept_and_named(desk: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    when(desk, "PUT", "/settings", answer(403))
    assert desk.publish(**DATASET).code == 3
    desk.bundle = bundles[1]
    when(desk, "POST", "/repos/move", lambda: desk.hub.edit("dataset", PAGE, "notes.txt", b"others"))
    for says in ("changed by others a moment ago, and is called", "is called"):
        desk.ends(3, f"{says} {PAGE}-earlier-", **DATASET)
        (only,) = desk.hub.repos.values()
        assert (only.private, only.history(only.commits[only.refs["main"]])[0].author) == (True, "visitor")


def test_what_its_owner_makes_private_stays_private(desk: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    assert desk.publish(**DATASET).code == 0
    desk.bundle = bundles[1]
    when(desk, "POST", "/commit/", lambda: setattr(desk.repo("dataset"), "private", True))
    desk.ends(0, **DATASET)
    assert desk.repo("dataset").private
    assert desk.publish(**DATASET).code == 0
    assert desk.repo("dataset").private
    again = desk.publish(**DATASET, make_public=("alice/tiny-letters",))
    assert again.code == 0, again.out
    assert not desk.repo("dataset").private


def test_an_owners_private_repository_needs_a_wish_and_keeps_its_history(desk: Desk) -> None:
    desk.hub.add_repo("dataset", PAGE, private=True)
    desk.ends(0, f"--make-public {PAGE}", **DATASET)
    repo = desk.repo("dataset")
    assert repo.private
    desk.ends(0, "becomes public with its whole history, 2 commits", **DATASET, make_public=(PAGE,))
    assert (repo.private, desk.repo("dataset") is repo) == (False, True)


@pytest.mark.parametrize("hidden", [True, False])
def test_a_commit_at_the_moment_of_becoming_public_is_told_and_hidden(desk: Desk, hidden: bool) -> None:
    def commit() -> None:
        desk.hub.edit("dataset", PAGE, "evil.py", b"import os")
        if not hidden:
            when(desk, "PUT", "/settings", answer(403))

    when(desk, "PUT", "/settings", commit)
    done = desk.ends(3, **DATASET)
    error = next(line for line in done.out.splitlines() if line.startswith("error: "))
    assert "visitor: Update evil.py" in error
    assert ("made private again" in error, "That commit is public" in error) == (hidden, not hidden)
    assert done.state[-1].startswith(f"{PAGE}: {'private' if hidden else 'public'}, commit ")
    assert not desk.receipt_path.exists()


def test_what_others_did_in_between_does_not_become_public_as_history(desk: Desk) -> None:
    when(desk, "PUT", "/settings", answer(403))
    assert desk.publish(**DATASET).code == 3
    repo = desk.repo("dataset")
    ours = repo.at("main")
    desk.hub.edit("dataset", "alice/tiny-letters", "notes.txt", b"not for the public")
    desk.hub.add_commit(repo, "main", repo.at("main"), "Revert", "visitor", ours.files)
    done = desk.ends(0, **DATASET)
    assert repo.private
    assert "--make-public alice/tiny-letters makes it public" in done.out


def test_what_fails_on_the_hub_does_not_become_public(desk: Desk) -> None:
    desk.answers["snippet"] = fails_there
    done = desk.ends(3, "Nothing was made public", **DATASET)
    assert done.state[-1].startswith("alice/tiny-letters: private, our commit")
    desk.answers["snippet"] = lambda asked: "fine"
    assert desk.publish(**DATASET).code == 0
    assert not desk.repo("dataset").private
    assert commits(desk.repo("dataset")) == 1


def test_a_failure_after_an_update_hides_nothing(desk: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    assert desk.publish(**DATASET).code == 0
    desk.bundle = bundles[1]
    desk.answers["snippet"] = fails_there
    done = desk.ends(3, **DATASET)
    assert done.state[-1].startswith("alice/tiny-letters: public, our commit")
    assert [check["outcome"] for check in desk.receipt["checks"] if "snippet" in check["name"]] == ["passed", "failed"]


def test_a_gated_repository_is_not_called_readable(desk: Desk) -> None:
    def gate() -> None:
        desk.repo("dataset").gated = True

    when(desk, "PUT", "/settings", gate)
    desk.ends(3, "failed: dataset: a visitor without a token reads this commit", **DATASET, smoke=False)
    (check,) = [check for check in desk.receipt["checks"] if "visitor" in check["name"]]
    assert (check["outcome"], "without a token" in check["detail"]) == ("failed", True)


def test_somebody_elses_work_is_shown_and_not_overwritten(desk: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    assert desk.publish(**DATASET).code == 0
    desk.hub.edit("dataset", "alice/tiny-letters", "README.md", b"# Mine", author="bob\x1b[2J")
    desk.bundle = bundles[1]
    done = desk.ends(3, "bob\N{REPLACEMENT CHARACTER}[2J: Update README.md", **DATASET)
    assert "\x1b" not in done.out
    assert done.state == ["nothing was changed on the Hub"]
    assert desk.publish(**DATASET, overwrite=True).code == 0


def test_a_commit_of_others_just_before_ours_is_not_overwritten(desk: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    assert desk.publish(**DATASET).code == 0
    desk.bundle = bundles[1]
    when(desk, "POST", "/commit/", lambda: desk.hub.edit("dataset", PAGE, "README.md", b"# Mine"))
    desk.ends(3, **DATASET)
    assert desk.repo("dataset").at("main").files["README.md"].content == b"# Mine"


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
