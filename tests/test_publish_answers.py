"""Answers that no Hub should give, waiting, who gets the token, and a last line that is true however it ends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx2
import huggingface_hub as hf
import pytest

from src.hub.receipt import Receipt
from src.hub.remote import Hub

from .publishing import DATASET, PAGE, TOKEN, Desk, Ending, after, answer, commits, raise_, when

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("sha", ["/tmp/x", "../../x", "main", "", None, 7])
def test_a_revision_is_forty_hex_digits(desk: Desk, sha: Any) -> None:
    info = {"id": "alice/tiny-letters", "sha": sha, "private": False}
    when(desk, "GET", "/api/datasets/alice/tiny-letters", answer(200, json=info))
    desk.ends(4, "unexpected answer from the Hub", **DATASET, plan_only=True)


@pytest.mark.parametrize(
    "content", [b"[]", b"{}", b"null", b"7", b'"a"', b"{", b"<html>", b"[" * 100_000, b'{"id": {}, "sha": []}']
)
@pytest.mark.parametrize(
    "path", ["/whoami-v2", "/api/datasets/alice/tiny-letters", "/repos/create", "/preupload/", "/batch", "/commit/"]
)
def test_an_answer_that_is_none_is_one_line(desk: Desk, path: str, content: bytes) -> None:
    when(desk, "GET" if path[1:4] in ("who", "api") else "POST", path, answer(200, content=content))
    done = desk.publish(**DATASET)
    assert done.code in (0, 3, 4), done.out
    assert "Traceback" not in done.out
    if done.code == 4:
        assert "from the Hub" in done.out


@pytest.mark.parametrize("to", ["https://evil.example/x", "/lfs/other"])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/whoami-v2"), ("POST", "/repos/create"), ("POST", "/commit/"), ("PUT", "/lfs/")]
)
def test_a_redirect_of_a_change_or_to_another_origin_is_refused(desk: Desk, method: str, path: str, to: str) -> None:
    when(desk, method, path, answer(307, {"location": to}))
    done = desk.publish(**DATASET)
    assert done.code in (3, 4)
    assert f"redirects to {to.split('/')[2]}" in done.out or to.startswith("/")
    assert not any(commit.author == "alice" for repo in desk.hub.repos.values() for commit in repo.commits.values())
    assert desk.publish(**DATASET).code == 0


def test_a_file_may_come_from_another_host_but_the_token_does_not_go_there(desk: Desk) -> None:
    assert desk.publish(**DATASET).code == 0
    hub, seen = Hub(TOKEN), []

    def before(request: httpx2.Request) -> httpx2.Response | None:
        if "/resolve/" in request.url.path:
            return httpx2.Response(302, headers={"location": "https://cdn.example/part"}, request=request)
        if request.url.host == "cdn.example":
            seen.append(request.headers.get("authorization"))
            return httpx2.Response(200, text="content", request=request)
        return None

    desk.transport.before = before
    assert hub.download(desk.bundle.repo("dataset"), "main", "README.md") == b"content"
    assert seen == [None]


def test_a_next_page_on_another_host_does_not_get_the_token(desk: Desk) -> None:
    seen: list[str] = []
    desk.hub.add_repo("dataset", PAGE)
    desk.transport.before = lambda request: seen.append(request.url.host)  # type: ignore[func-returns-value]
    link = '<https://evil.example/api/datasets/a/b/tree/main>; rel="next"'
    after(desk, "/tree/", lambda response: response.headers.update({"Link": link}))
    desk.ends(4, "leads to evil.example, which gets no token", **DATASET)
    assert "evil.example" not in seen


def test_a_token_that_a_server_echoes_is_not_shown(desk: Desk) -> None:
    token = "hf_local+test/token"
    desk.patch.setenv("HF_TOKEN", token)
    when(desk, "GET", "/whoami-v2", answer(403, {"X-Error-Message": f"Bearer {token} {quote(token, safe='')}"}))
    done = desk.ends(3, **DATASET)
    assert done.out.count("hf_…") == 2
    assert token not in done.out


def test_no_address_with_a_signature_is_printed(desk: Desk) -> None:
    def signed(response: httpx2.Response) -> httpx2.Response:
        content = re.sub(rb'(/lfs/[0-9a-f]+)"', rb'\1?X-Amz-Signature=5ec3e7"', response.content)
        headers = {"content-type": "application/json"}
        return httpx2.Response(200, content=content, headers=headers, request=response.request)

    after(desk, "/objects/batch", signed)
    done = desk.ends(0, "PUT https://huggingface.co/lfs/", **DATASET, verbose=True)
    assert "5ec3e7" not in done.out
    assert TOKEN not in done.out


def test_a_password_in_the_endpoint_is_refused(desk: Desk) -> None:
    desk.patch.setattr(hf.constants, "ENDPOINT", "https://alice:secret-password@huggingface.co")
    done = desk.ends(3, **DATASET)
    assert "secret-password" not in done.out


def test_a_lost_reply_to_a_commit_is_no_second_commit(desk: Desk) -> None:
    lost: list[httpx2.Request] = []

    def lose(response: httpx2.Response) -> None:
        if not lost:
            lost.append(response.request)
            raise httpx2.ReadError("lost", request=response.request)

    after(desk, "/commit/", lose)
    assert desk.publish(**DATASET).code == 0
    assert commits(desk.repo("dataset")) == 1


def test_as_long_as_the_hub_asks(desk: Desk) -> None:
    when(desk, "GET", "/whoami-v2", answer(429, {"Retry-After": "7"}))
    done = desk.publish(**DATASET)
    assert (done.code, done.slept) == (0, 7)


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        (answer(429, {"Retry-After": "3600"}), "the Hub limits requests (HTTP 429). Run the same command again in 3600 s"),
        (answer(503), "the Hub is busy (HTTP 503), 5 times in a row. Run the same"),
        (lambda: raise_(httpx2.ConnectError("refused")), "no answer from huggingface.co (ConnectError), 5 times in a row"),
    ],
)  # fmt: skip
def test_waiting_says_what_for(desk: Desk, fails: Callable[[], Any], says: str) -> None:
    when(desk, "GET", "/whoami-v2", fails, times=9)
    assert desk.ends(4, says, **DATASET).slept < 60


def test_what_could_not_be_looked_up_is_unknown(desk: Desk) -> None:
    """A stranger's commit at the change of visibility, and from then on no answer: the last line calls it unknown."""

    def act() -> None:
        desk.hub.edit("dataset", "alice/tiny-letters", "evil.py", b"import os")
        desk.transport.after = lambda request, response: answer(503)()

    when(desk, "PUT", "/settings", act)
    done = desk.ends(4, **DATASET)
    assert not desk.repo("dataset").private
    assert done.state[-1].startswith(
        "alice/tiny-letters: unknown, look at https://huggingface.co/datasets/alice/tiny-letters"
    )
    assert "unverified" not in done.out


def test_a_defect_ends_with_what_is_on_the_hub(desk: Desk) -> None:
    def ends_with(error: BaseException) -> Ending:
        desk.patch.setattr(Receipt, "entry", lambda *rest, **more: raise_(error))
        return desk.publish(**DATASET)

    with pytest.raises(KeyError) as error:
        ends_with(KeyError("no such key"))
    (note,) = error.value.__notes__
    assert note.startswith("alice/tiny-letters: public, our commit ")
    done = ends_with(OSError("the disk is gone"))
    assert done.code == 2
    assert "error: the disk is gone" in done.out
    done = ends_with(SystemExit(1))  # as Rich does when its output is closed
    assert done.code == 141
    assert done.state[-1].startswith("alice/tiny-letters: public, our commit ")


def test_a_receipt_that_cannot_be_written_is_found_before_anything_is_sent(desk: Desk) -> None:
    def refuse(*rest: Any) -> None:
        raise PermissionError(13, "Permission denied", "results/tiny")

    desk.patch.setattr("src.hub.receipt.write_json", refuse)
    done = desk.ends(2, "results/tiny: Permission denied", **DATASET)
    assert done.state == ["nothing was changed on the Hub"]
    assert not desk.hub.repos


def test_a_receipt_of_another_hub_is_not_believed(desk: Desk) -> None:
    assert desk.publish(**DATASET, tag="v1").code == 0
    desk.receipt_path.write_text(json.dumps(desk.receipt | {"endpoint": "https://other.example"}))
    desk.ends(0, **DATASET)
    assert desk.receipt["endpoint"] == "https://huggingface.co"
    assert commits(desk.repo("dataset")) == 1
    assert desk.receipt["repos"][0]["tag"] is None


def test_a_tag_that_the_hub_does_not_take_is_not_called_taken(desk: Desk) -> None:
    when(desk, "POST", "/tag/", answer(409, {"X-Error-Message": "Reference is locked"}), times=9)
    desk.ends(3, "the tag v1 is on no commit", **DATASET, tag="v1")
