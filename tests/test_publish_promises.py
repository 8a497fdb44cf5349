"""What becomes public, what is left alone, and what is said: against the Hub in this process, with the real client."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import huggingface_hub as hf
import pytest

from .hub_server import Commit, Repo, User
from .publishing import TOKEN, Bundle, Desk, commits

pytestmark = pytest.mark.slow

DATASET = {"only": ("dataset",)}
PAGE = "alice/tiny-letters"


@pytest.fixture
def desk(tmp_path: Path, bundles: tuple[Bundle, Bundle], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    made = Desk(tmp_path, bundles[0], monkeypatch)
    yield made
    made.close()


def when(desk: Desk, method: str, part: str, act: Callable[[], Any], times: int = 1) -> None:
    """Let something happen just before a request."""
    done: list[str] = []

    def before(request: httpx2.Request) -> httpx2.Response | None:
        if len(done) < times and request.method == method and part in request.url.path:
            done.append(part)
            found = act()
            return found if isinstance(found, httpx2.Response) else None
        return None

    desk.transport.before = before


def answer(status: int, headers: dict[str, str] | None = None, **content: Any) -> Callable[[], httpx2.Response]:
    return lambda: httpx2.Response(
        status, headers=headers, request=httpx2.Request("GET", "https://huggingface.co"), **content
    )


def history(repo: Repo) -> list[Commit]:
    """Return every commit that anybody can reach, but for the Hub's own first one."""
    heads = {*repo.refs.values(), *repo.tags.values()}
    return [c for head in heads for c in repo.history(repo.commits[head]) if c.title != "initial commit"]


def without(bundle: Bundle, path: str) -> Bundle:
    """Withdraw a file of the dataset."""
    repos = [replace(r, files={p: f for p, f in r.files.items() if p != path}) if r.role == "dataset" else r for r in bundle.repos]  # fmt: skip
    return replace(bundle, repos=repos)


# What becomes public.


@pytest.mark.parametrize("ending", ["smoke test", "killed", "refused"])
def test_withdrawn_text_is_in_no_public_history(desk: Desk, bundles: tuple[Bundle, Bundle], ending: str) -> None:
    if ending == "smoke test":
        desk.answers["snippet"] = lambda asked: "fine" if asked["offline"] else ValueError("it does not work there")
    elif ending == "killed":
        when(desk, "PUT", "/settings", desk.kill)
    else:
        when(desk, "PUT", "/settings", answer(403))
    assert desk.publish(**DATASET).code in (3, -9)
    withdrawn = desk.bundle.repo("dataset").files["README.md"].sha256
    desk.transport.before = lambda request: None
    desk.answers["snippet"] = lambda asked: "fine"
    desk.bundle = without(bundles[1], "NOTICE")
    done = desk.publish(**DATASET)
    assert done.code == 0, done.out
    assert "starts from scratch: its history stays private, as alice/tiny-letters-earlier-" in done.out
    assert not desk.repo("dataset").private
    (only,) = history(desk.repo("dataset"))
    assert withdrawn not in {blob.sha256 for blob in only.files.values()}


def test_a_new_repository_becomes_public_with_one_commit(desk: Desk) -> None:
    done = desk.publish(only=("dataset", "base"))
    assert done.code == 0, done.out
    assert "then public with one commit" in done.out
    assert [len(history(repo)) for repo in desk.hub.repos.values()] == [1, 1]


def test_what_was_private_for_several_publications_becomes_public_with_one_commit(
    desk: Desk, bundles: tuple[Bundle, Bundle]
) -> None:
    private = lambda bundle: replace(bundle, record=replace(bundle.record, project=bundle.record.project.model_copy(update={"visibility": "private"})))  # noqa: E731  # fmt: skip
    for bundle in bundles:
        desk.bundle = private(bundle)
        assert desk.publish(**DATASET).code == 0
    earlier = desk.repo("dataset")
    assert len(history(earlier)) == 2
    done = desk.publish(**DATASET, make_public=(PAGE,))
    assert done.code == 0, done.out
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
        done = desk.publish(**DATASET)
        assert done.code == 3
        assert f"{says} {PAGE}-earlier-" in done.out
        (only,) = desk.hub.repos.values()
        assert (only.private, only.history(only.commits[only.refs["main"]])[0].author) == (True, "visitor")


def test_what_its_owner_hides_at_the_end_stays_private(desk: Desk) -> None:
    def act() -> None:
        desk.repo("dataset").private = True

    when(desk, "GET", "/refs", act)  # the tag is the last thing that is done
    done = desk.publish(**DATASET, tag="v1")
    assert done.code == 0, done.out
    assert desk.publish(**DATASET).code == 0
    assert desk.repo("dataset").private


def test_an_owners_private_repository_keeps_its_history(desk: Desk) -> None:
    desk.hub.add_repo("dataset", PAGE, private=True)
    done = desk.publish(**DATASET, make_public=(PAGE,))
    assert done.code == 0, done.out
    assert "becomes public with its whole history" in done.out
    assert len(history(desk.repo("dataset"))) == 2


def test_a_strangers_commit_that_could_not_be_hidden_is_said_first(desk: Desk) -> None:
    def refuse_the_second() -> None:
        desk.hub.edit("dataset", PAGE, "evil.py", b"import os")
        when(desk, "PUT", "/settings", answer(403))

    when(desk, "PUT", "/settings", refuse_the_second)
    done = desk.publish(**DATASET)
    assert done.code == 3
    error = next(line for line in done.out.splitlines() if line.startswith("error: "))
    assert (
        error.index("Update evil.py") < error.index("That commit is public") < error.index("the token may not do this")
    )


def test_a_gated_repository_is_not_called_readable(desk: Desk) -> None:
    def gate() -> None:
        desk.repo("dataset").gated = True

    when(desk, "PUT", "/settings", gate)
    done = desk.publish(**DATASET, smoke=False)
    assert done.code == 3
    assert "failed: dataset: a visitor without a token reads this commit" in done.out
    (check,) = [check for check in desk.receipt["checks"] if "visitor" in check["name"]]
    assert (check["outcome"], "without a token" in check["detail"]) == ("failed", True)


def test_a_token_for_one_repository_is_refused_before_anything_is_created(desk: Desk) -> None:
    scopes = [{"entity": {"type": "dataset", "name": PAGE}, "permissions": ["repo.write"]}]
    desk.hub.users[TOKEN] = User("alice", role="fineGrained", scopes=scopes)
    done = desk.publish(only=("dataset", "base"))
    assert done.code == 3
    assert f"the token may only write to {PAGE}" in done.out
    assert not desk.hub.repos
    desk.hub.add_repo("dataset", PAGE)
    assert desk.publish(**DATASET).code == 0


# What is left alone.


def test_files_that_we_never_published_are_left_alone(desk: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    repo = desk.hub.add_repo("dataset", PAGE)
    for path, content in (("cat.png", b"cat"), ("model.gguf", b"gguf"), ("README.md", b"# By hand\n\nMy words.\n")):
        desk.hub.edit("dataset", PAGE, path, content, author="alice")
    done = desk.publish(**DATASET)
    assert done.code == 3
    assert "3 files that were not published from here" in done.out
    done = desk.publish(**DATASET, overwrite=True)
    assert done.code == 0, done.out
    assert "left alone: cat.png, model.gguf" in done.out
    assert "changed: README.md" in done.out
    assert "README.md: -My words." in done.out
    assert "removed" not in done.out
    files = repo.commits[repo.refs["main"]].files
    assert {"cat.png", "model.gguf"} <= files.keys()
    desk.bundle = bundles[1]
    assert desk.publish(**DATASET).code == 0
    assert {"cat.png", "model.gguf"} <= repo.commits[repo.refs["main"]].files.keys()


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_file_of_ours_that_is_withdrawn_is_removed_by_name(desk: Desk, interrupted: bool) -> None:
    everything = desk.bundle
    desk.bundle = without(everything, "eval.yaml")
    assert desk.publish(**DATASET).code == 0
    desk.hub.edit("dataset", PAGE, "cat.png", b"cat", author="alice")
    desk.bundle = everything
    if interrupted:
        desk.transport.after = lambda request, response: (
            (desk.kill() if "/commit/" in request.url.path else None) or response
        )
    assert desk.publish(**DATASET, overwrite=True).code == (-9 if interrupted else 0)
    desk.transport.after = lambda request, response: response
    desk.bundle = without(everything, "eval.yaml")
    done = desk.publish(**DATASET, overwrite=True)
    assert done.code == 0, done.out
    assert "removed: eval.yaml" in done.out
    repo = desk.repo("dataset")
    files = repo.commits[repo.refs["main"]].files
    assert "eval.yaml" not in files
    assert "cat.png" in files


# Who is waited for, and who gets the token.


def test_an_optional_request_holds_nothing_up(desk: Desk) -> None:
    desk.patch.setattr("huggingface_hub.utils._detect_agent._registry", None)
    desk.patch.setattr(hf.constants, "AGENT_HARNESSES_PATH", str(desk.folder / "harnesses.json"))
    when(desk, "GET", "/api/agent-harnesses", answer(429, {"Retry-After": "40"}), times=9)
    done = desk.publish(**DATASET, plan_only=True)
    assert done.code == 0, done.out
    assert done.slept == 0


def test_a_next_page_on_another_host_does_not_get_the_token(desk: Desk) -> None:
    seen: list[str] = []

    def after(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if request.url.host == "evil.example":
            seen.append(request.headers.get("authorization", ""))
        if "/tree/" in request.url.path:
            response.headers["Link"] = '<https://evil.example/api/datasets/a/b/tree/main>; rel="next"'
        return response

    desk.hub.add_repo("dataset", PAGE)
    desk.transport.after = after
    done = desk.publish(**DATASET)
    assert done.code == 4
    assert "leads to evil.example, which gets no token" in done.out
    assert not seen


def test_no_address_with_a_signature_is_printed(desk: Desk) -> None:
    def after(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if not request.url.path.endswith("/objects/batch"):
            return response
        content = re.sub(rb'(/lfs/[0-9a-f]+)"', rb'\1?X-Amz-Signature=5ec3e7"', response.content)
        return httpx2.Response(200, content=content, headers={"content-type": "application/json"}, request=request)

    desk.transport.after = after
    done = desk.publish(**DATASET, verbose=True)
    assert done.code == 0, done.out
    assert "PUT https://huggingface.co/lfs/" in done.out
    assert "5ec3e7" not in done.out


# What is said.


def test_a_large_file_that_nobody_asked_about(desk: Desk) -> None:
    other = {"oid": "1" * 64, "size": 1, "actions": {"upload": {"href": "https://huggingface.co/lfs/1"}}}
    when(desk, "POST", "/objects/batch", answer(200, json={"transfer": "basic", "objects": [other]}))
    done = desk.publish(**DATASET)
    assert done.code == 4
    assert "unexpected answer from the Hub" in done.out
    assert done.state[-1].startswith(f"{PAGE}: private, commit ")


def test_our_own_earlier_commit_is_not_called_others(desk: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    assert desk.publish(**DATASET).code == 0
    desk.bundle = bundles[1]
    desk.transport.after = lambda request, response: (
        (desk.kill() if "/commit/" in request.url.path else None) or response
    )
    assert desk.publish(**DATASET).code == -9
    desk.transport.after = lambda request, response: response
    desk.bundle = bundles[0]
    done = desk.publish(**DATASET)
    assert done.code == 0, done.out
    assert "changed by others" not in done.out
    assert commits(desk.repo("dataset")) == 3


@pytest.mark.parametrize(
    ("fails", "says", "not_said"),
    [
        (answer(429, {"Retry-After": "3600"}), "the Hub limits requests (HTTP 429). Run the same command again in 3600 s", "connection"),
        (answer(503), "the Hub is busy (HTTP 503), 5 times in a row. Run the same", "connection"),
        (lambda: raise_(httpx2.ConnectError("refused")), "no answer from huggingface.co (ConnectError), 5 times in a row. Check the connection", "busy"),
    ],
)  # fmt: skip
def test_waiting_says_what_for(desk: Desk, fails: Callable[[], Any], says: str, not_said: str) -> None:
    when(desk, "GET", "/whoami-v2", fails, times=9)
    done = desk.publish(**DATASET)
    assert done.code == 4
    assert says in done.out, done.out
    assert not_said not in done.out
    assert "1 times" not in done.out


def test_a_short_timeout_is_in_seconds(desk: Desk) -> None:
    assert "--timeout is 20 seconds" in desk.publish(**DATASET, plan_only=True, timeout=20.4).out


def test_a_full_disk_is_named_with_a_path(desk: Desk) -> None:
    desk.patch.setattr("src.hub.process.Home.link", lambda *rest: raise_(OSError(28, "No space left on device")))
    done = desk.publish(**DATASET)
    assert done.code == 2
    assert re.search(r"error: /\S+: No space left on device", done.out), done.out


def test_a_tag_that_the_hub_does_not_take_is_not_called_taken(desk: Desk) -> None:
    when(desk, "POST", "/tag/", answer(409, {"X-Error-Message": "Reference is locked"}), times=9)
    done = desk.publish(**DATASET, tag="v1")
    assert done.code == 3
    assert "Reference is locked" in done.out
    assert "on another commit" not in done.out


def raise_(error: BaseException) -> Any:
    raise error
