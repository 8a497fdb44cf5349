"""Each promise of the publisher by itself, against the Hub in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import huggingface_hub as hf
import pytest

from src.documents.context import RepoNames
from src.hub import preflight, publish
from src.hub.bundle import gather
from src.hub.licenses import check_license
from src.hub.preflight import check_names
from src.hub.remote import Hub
from src.hub.repository import Repository, bytes_file
from src.hub.secrets import check_secrets
from src.hub.show import Screen
from src.record.errors import InputError
from src.record.files import sha256_file

from .hub_server import User
from .publishing import TOKEN, Bundle, Desk, commits

pytestmark = pytest.mark.slow

DATASET = {"only": ("dataset",)}


@pytest.fixture
def desk(tmp_path: Path, bundles: tuple[Bundle, Bundle], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    made = Desk(tmp_path, bundles[0], monkeypatch)
    yield made
    made.close()


def when(desk: Desk, method: str, part: str, act: Callable[[], Any]) -> None:
    """Let something happen once, just before a request."""
    done: list[str] = []

    def before(request: httpx2.Request) -> httpx2.Response | None:
        if not done and request.method == method and part in request.url.path:
            done.append(part)
            found = act()
            return found if isinstance(found, httpx2.Response) else None
        return None

    desk.transport.before = before


def answer(status: int, headers: dict[str, str] | None = None, **content: Any) -> Callable[[], httpx2.Response]:
    return lambda: httpx2.Response(
        status, headers=headers, request=httpx2.Request("GET", "https://huggingface.co"), **content
    )


# Visibility.


def test_what_its_owner_makes_private_stays_private(desk: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    assert desk.publish(**DATASET).code == 0
    desk.bundle = bundles[1]
    when(desk, "POST", "/commit/", lambda: setattr(desk.repo("dataset"), "private", True))
    done = desk.publish(**DATASET)
    assert done.code == 0, done.out
    assert desk.repo("dataset").private
    assert desk.publish(**DATASET).code == 0
    assert desk.repo("dataset").private
    again = desk.publish(**DATASET, make_public=("alice/tiny-letters",))
    assert again.code == 0, again.out
    assert not desk.repo("dataset").private


def test_a_private_repository_without_a_note_needs_a_wish(desk: Desk) -> None:
    desk.hub.add_repo("dataset", "alice/tiny-letters", private=True)
    done = desk.publish(**DATASET)
    assert done.code == 0, done.out
    assert "--make-public alice/tiny-letters" in done.out
    assert desk.repo("dataset").private


def test_a_commit_at_the_moment_of_becoming_public_is_hidden_and_told(desk: Desk) -> None:
    when(desk, "PUT", "/settings", lambda: desk.hub.edit("dataset", "alice/tiny-letters", "evil.py", b"import os"))
    done = desk.publish(**DATASET)
    assert done.code == 3
    assert "visitor: Update evil.py" in done.out
    assert "made private again" in done.out
    assert done.state[-1].startswith("alice/tiny-letters: private, commit ")
    assert not desk.receipt_path.exists()


def test_what_could_not_be_looked_up_is_unknown(desk: Desk) -> None:
    """A stranger's commit at the change of visibility, and from then on no answer: the last line does not say what nobody saw."""

    def act() -> None:
        desk.hub.edit("dataset", "alice/tiny-letters", "evil.py", b"import os")
        desk.transport.after = lambda request, response: answer(503)()

    when(desk, "PUT", "/settings", act)
    done = desk.publish(**DATASET)
    assert done.code == 4
    assert not desk.repo("dataset").private
    assert done.state[-1].startswith(
        "alice/tiny-letters: unknown, look at https://huggingface.co/datasets/alice/tiny-letters"
    )
    assert "unverified" not in done.out


def test_one_stale_read_accuses_and_hides_nobody(desk: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    assert desk.publish(**DATASET).code == 0
    desk.bundle = bundles[1]
    repo, stale = desk.repo("dataset"), []

    def before(request: httpx2.Request) -> None:
        if stale and stale[0] != repo.refs["main"]:
            return
        if (
            request.method == "GET"
            and request.url.path == "/api/datasets/alice/tiny-letters"
            and commits(repo) == 2
            and not stale
        ):
            stale.append(repo.refs["main"])
            repo.refs["main"] = repo.commits[repo.refs["main"]].parent or ""

    def after(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if stale:
            repo.refs["main"] = stale[0]
        return response

    desk.transport.before, desk.transport.after = before, after
    done = desk.publish(**DATASET)
    assert stale
    assert done.code == 0, done.out
    assert "changed by others" not in done.out
    assert not repo.private


def test_what_others_did_in_between_does_not_become_public_as_history(desk: Desk) -> None:
    when(desk, "PUT", "/settings", answer(403))
    assert desk.publish(**DATASET).code == 3
    repo = desk.repo("dataset")
    ours = repo.commits[repo.refs["main"]]
    desk.hub.edit("dataset", "alice/tiny-letters", "notes.txt", b"not for the public")
    desk.hub.add_commit(repo, "main", repo.commits[repo.refs["main"]], "Revert", "visitor", ours.files)
    done = desk.publish(**DATASET)
    assert done.code == 0, done.out
    assert repo.private
    assert "--make-public alice/tiny-letters makes it public" in done.out


# Others.


def test_somebody_elses_work_is_shown_and_not_overwritten(desk: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    assert desk.publish(**DATASET).code == 0
    desk.hub.edit("dataset", "alice/tiny-letters", "README.md", b"# Mine", author="bob\x1b[2J")
    desk.bundle = bundles[1]
    done = desk.publish(**DATASET)
    assert done.code == 3
    assert "bob\N{REPLACEMENT CHARACTER}[2J: Update README.md" in done.out
    assert "\x1b" not in done.out
    assert done.state == ["nothing was changed on the Hub"]
    assert desk.publish(**DATASET, overwrite=True).code == 0


def test_a_repository_of_another_kind_may_have_the_same_name(desk: Desk) -> None:
    desk.hub.add_repo("model", "alice/tiny-letters")
    assert desk.publish(**DATASET).code == 0


def test_a_renamed_repository_is_not_followed(desk: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    assert desk.publish(**DATASET).code == 0
    desk.hub.rename("dataset", "alice/tiny-letters", "alice/other")
    desk.bundle = bundles[1]
    done = desk.publish(**DATASET)
    assert done.code == 3
    assert "alice/tiny-letters: is called alice/other on the Hub" in done.out
    assert commits(desk.hub.repos[("dataset", "alice/other")]) == 1


# Answers that no Hub gives.


@pytest.mark.parametrize("sha", ["/tmp/x", "../../x", "main", "", None, 7])
def test_a_revision_is_forty_hex_digits(desk: Desk, sha: Any) -> None:
    info = {"id": "alice/tiny-letters", "sha": sha, "private": False}
    when(desk, "GET", "/api/datasets/alice/tiny-letters", answer(200, json=info))
    done = desk.publish(**DATASET, plan_only=True)
    assert done.code == 4
    assert "unexpected answer from the Hub" in done.out


@pytest.mark.parametrize(
    "content", [b"[]", b"{}", b"null", b"7", b'"a"', b"{", b"<html>", b"[[[[", b'{"id": {}, "sha": []}']
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


@pytest.mark.parametrize("path", ["/whoami-v2", "/repos/create", "/commit/"])
def test_a_redirect_to_another_origin_is_refused(desk: Desk, path: str) -> None:
    when(desk, "GET" if path == "/whoami-v2" else "POST", path, answer(307, {"location": "https://evil.example/x"}))
    done = desk.publish(**DATASET)
    assert done.code == 4
    assert "redirects" in done.out
    assert "evil.example" in done.out


def test_an_hours_wait_is_left_to_the_author(desk: Desk) -> None:
    when(desk, "GET", "/whoami-v2", answer(429, {"Retry-After": "3600"}))
    done = desk.publish(**DATASET)
    assert done.code == 4
    assert "again in 3600 s" in done.out
    assert done.slept == 0
    when(desk, "GET", "/whoami-v2", answer(429, {"Retry-After": "7"}))
    done = desk.publish(**DATASET)
    assert done.code == 0
    assert done.slept == 7


def test_a_token_that_a_server_echoes_is_not_shown(desk: Desk) -> None:
    token = "hf_local+test/token"
    desk.patch.setenv("HF_TOKEN", token)
    when(desk, "GET", "/whoami-v2", answer(403, {"X-Error-Message": f"Bearer {token} {quote(token, safe='')}"}))
    done = desk.publish(**DATASET)
    assert done.code == 3
    assert done.out.count("hf_…") == 2
    assert token not in done.out


# Answers that are cut off, lead elsewhere, or never end.


@pytest.mark.parametrize("to", ["https://evil.example/x", "/lfs/other"])
def test_an_upload_is_not_redirected(desk: Desk, to: str) -> None:
    when(desk, "PUT", "/lfs/", answer(307, {"location": to}))
    done = desk.publish(**DATASET)
    assert done.code in (3, 4)
    assert done.state[-1].startswith("alice/tiny-letters: private, commit ")
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


@pytest.mark.parametrize("content", [b'{"transfer": "basic", "objects": [', b'{"objects": []}', b"[" * 100_000])
def test_a_cut_off_answer_about_large_files(desk: Desk, content: bytes) -> None:
    when(desk, "POST", "/objects/batch", answer(200, content=content))
    done = desk.publish(**DATASET)
    assert done.code in (3, 4)
    assert done.state[-1].startswith("alice/tiny-letters: private, commit ")
    assert desk.publish(**DATASET).code == 0


def test_an_endpoint_that_is_none(desk: Desk) -> None:
    desk.transport.before = lambda request: raise_(httpx2.UnsupportedProtocol("no scheme"))
    done = desk.publish(**DATASET)
    assert done.code == 4
    assert "Correct HF_ENDPOINT" in done.out
    assert done.slept == 0


def test_a_password_in_the_endpoint_is_refused(desk: Desk) -> None:
    desk.patch.setattr(hf.constants, "ENDPOINT", "https://alice:secret-password@huggingface.co")
    done = desk.publish(**DATASET)
    assert done.code == 3
    assert "secret-password" not in done.out


def raise_(error: BaseException) -> Any:
    raise error


def test_every_request_is_listed_on_request(desk: Desk) -> None:
    done = desk.publish(**DATASET, plan_only=True, verbose=True)
    assert "GET https://huggingface.co/api/whoami-v2: 200" in done.out
    assert TOKEN not in done.out


# What is on disk.


@pytest.mark.parametrize(
    ("path", "moment"), [("letter_count/test.parquet", "/preupload/"), ("LICENSE", "/repos/create")]
)
def test_a_file_that_changed_after_the_plan_is_not_published(
    desk: Desk, tmp_path: Path, path: str, moment: str
) -> None:
    dataset = desk.bundle.repo("dataset")
    copy = tmp_path / path.replace("/", "-")
    copy.write_bytes(dataset.files[path].content)
    files = dataset.files | {path: replace(dataset.files[path], source=copy)}
    desk.bundle = replace(
        desk.bundle, repos=[replace(r, files=files) if r is dataset else r for r in desk.bundle.repos]
    )
    when(desk, "POST", moment, lambda: copy.write_bytes(copy.read_bytes()[:-4] + b"evil"))
    done = desk.publish(**DATASET)
    assert done.code == 3
    assert f"{path}: changed on disk" in done.out
    assert commits(desk.repo("dataset")) == 0


def test_a_receipt_of_another_hub_is_not_believed(desk: Desk) -> None:
    assert desk.publish(**DATASET, tag="v1").code == 0
    desk.receipt_path.write_text(json.dumps(desk.receipt | {"endpoint": "https://other.example"}))
    done = desk.publish(**DATASET)
    assert done.code == 0, done.out
    assert desk.receipt["endpoint"] == "https://huggingface.co"
    assert commits(desk.repo("dataset")) == 1
    assert desk.receipt["repos"][0]["tag"] is None


# Endings.


def test_a_defect_ends_with_what_is_on_the_hub(desk: Desk) -> None:
    desk.patch.setattr(publish, "receipt_entry", lambda *rest, **more: {}["no such key"])
    with pytest.raises(KeyError) as error:
        desk.publish(**DATASET)
    (note,) = error.value.__notes__
    assert note.startswith("alice/tiny-letters: public, our commit ")
    desk.patch.setattr(publish, "receipt_entry", lambda *rest, **more: raise_(OSError("the disk is gone")))
    done = desk.publish(**DATASET)
    assert done.code == 2
    assert "error: the disk is gone" in done.out


def test_an_output_that_nobody_reads_any_more(desk: Desk) -> None:
    desk.patch.setattr(publish, "receipt_entry", lambda *rest, **more: raise_(SystemExit(1)))  # as Rich does
    done = desk.publish(**DATASET)
    assert done.code == 141
    assert done.state[-1].startswith("alice/tiny-letters: public, our commit ")


def test_a_repository_that_is_hidden_while_it_is_looked_up(desk: Desk) -> None:
    def act() -> httpx2.Response:
        desk.hub.edit("dataset", "alice/tiny-letters", "notes.txt", b"others")
        gone = answer(404, {"X-Error-Code": "RepoNotFound"})
        desk.transport.before = lambda request: gone() if "/commits/" in request.url.path else None
        return answer(403)()

    when(desk, "PUT", "/settings", act)
    done = desk.publish(**DATASET)
    assert done.code == 3
    assert done.state[-1].startswith("alice/tiny-letters: not on the Hub, or hidden from this token; look at ")


# Trusted publishers.


@pytest.fixture
def ci(desk: Desk) -> Desk:
    """A CI job whose identity the Hub exchanges for a token for one repository."""
    desk.patch.delenv("HF_TOKEN")
    desk.patch.setenv("HF_OIDC_RESOURCE", "datasets/alice/tiny-letters")
    desk.patch.setenv("HF_OIDC_ID_TOKEN", "ci-identity")
    desk.patch.setattr("huggingface_hub.utils._auth._OIDC_TOKEN_CACHE", None)
    return desk


def test_a_trusted_publisher_updates_and_creates_nothing(ci: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    done = ci.publish(**DATASET)
    assert done.code == 3
    assert "a trusted publisher cannot create it" in done.out
    assert not ci.hub.repos
    with ci.patch.context() as person:
        person.delenv("HF_OIDC_RESOURCE")
        person.setenv("HF_TOKEN", TOKEN)
        assert ci.publish(only=("dataset", "base")).code == 0
    ci.bundle = bundles[1]
    done = ci.publish(**DATASET)
    assert done.code == 0, done.out
    assert commits(ci.repo("dataset"), "alice/tiny-letters") == 1
    done = ci.publish(only=("base",))
    assert done.code == 3
    assert commits(ci.repo("base"), "alice/tiny-letters") == 0


def test_an_identity_that_the_hub_does_not_know(ci: Desk) -> None:
    ci.patch.setenv("HF_OIDC_ID_TOKEN", "forged-identity")
    done = ci.publish(**DATASET)
    assert done.code == 3
    assert "HTTP 400" in done.out
    assert "forged-identity" not in done.out
    ci.patch.delenv("HF_OIDC_ID_TOKEN")
    done = ci.publish(**DATASET)
    assert done.code == 3
    assert "no token for HF_OIDC_RESOURCE" in done.out


# What is proved first.


@pytest.mark.parametrize("job", ["dataset", "snippet"])
def test_what_fails_here_is_never_sent(desk: Desk, job: str) -> None:
    desk.answers[job] = lambda asked: ValueError("it does not work")
    done = desk.publish(**DATASET)
    assert done.code == 3
    assert "it does not work" in done.out
    assert done.state == ["nothing was changed on the Hub"]
    assert not desk.hub.repos


def test_what_fails_on_the_hub_does_not_become_public(desk: Desk) -> None:
    desk.answers["snippet"] = lambda asked: "fine" if asked["offline"] else ValueError("it does not work there")
    done = desk.publish(**DATASET)
    assert done.code == 3
    assert "Nothing was made public" in done.out
    assert done.state[-1].startswith("alice/tiny-letters: private, our commit")
    desk.answers["snippet"] = lambda asked: "fine"
    assert desk.publish(**DATASET).code == 0
    assert not desk.repo("dataset").private
    assert commits(desk.repo("dataset")) == 1


def test_a_failure_after_an_update_hides_nothing(desk: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    assert desk.publish(**DATASET).code == 0
    desk.bundle = bundles[1]
    desk.answers["snippet"] = lambda asked: "fine" if asked["offline"] else ValueError("it does not work there")
    done = desk.publish(**DATASET)
    assert done.code == 3
    assert done.state[-1].startswith("alice/tiny-letters: public, our commit")
    assert [check["outcome"] for check in desk.receipt["checks"] if "snippet" in check["name"]] == ["passed", "failed"]


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"private": True}, "acme/base is private or not on the Hub"),
        ({"gated": True}, "acme/base is gated: visitors need access to it"),
        ({"labels": ["custom_code"]}, "acme/base brings code of its own, which transformers runs only with trust_remote_code=True"),
    ],
)  # fmt: skip
def test_a_base_model_that_not_everybody_loads_is_told_and_not_called_verified(
    desk: Desk, state: dict[str, Any], says: str
) -> None:
    desk.patch.setattr(type(desk.bundle.record), "base_folder", property(lambda record: None))
    desk.bundle = replace(desk.bundle, repos=[r for r in desk.bundle.repos if r.role == "model"])
    desk.patch.setattr(publish, "local_base", lambda context: None)
    desk.patch.setattr(
        publish.RepoNames,
        "of",
        staticmethod(lambda record, namespace=None: replace(OF(desk.bundle.record, "alice"), base="acme/base")),
    )
    desk.hub.add_repo("model", "acme/base", private=False)
    vars(desk.hub.repos[("model", "acme/base")]).update(state)
    done = desk.publish(only=("model",), smoke=False)
    assert says in " ".join(done.out.split())
    assert done.code == 0, done.out
    assert [c["outcome"] for c in desk.receipt["checks"] if "logits" in c["name"]] == ["not checked"]


OF = RepoNames.of


def test_a_receipt_that_cannot_be_written_is_found_before_anything_is_sent(desk: Desk) -> None:
    def refuse(*rest: Any) -> None:
        raise PermissionError(13, "Permission denied", "results/tiny")

    desk.patch.setattr("src.hub.receipt.write_json", refuse)
    done = desk.publish(**DATASET)
    assert done.code == 2
    assert "results/tiny: Permission denied" in done.out
    assert done.state == ["nothing was changed on the Hub"]
    assert not desk.hub.repos


def test_without_the_packages_it_plans_and_names_the_line_to_install(desk: Desk) -> None:
    desk.patch.setattr(preflight, "NEEDED", ("no_such_package",))
    done = desk.publish(**DATASET)
    assert done.code == 3
    assert " added; " in done.out
    assert '-e ".[publish]"' in done.out
    assert not desk.hub.repos


@pytest.mark.parametrize(
    "user", [None, User("alice", role="read"), User("alice", expired=True)], ids=["unknown", "reader", "expired"]
)
def test_who_may_not_publish_is_told_before_anything_is_sent(desk: Desk, user: User | None) -> None:
    desk.hub.users.clear()
    if user is not None:
        desk.hub.users[TOKEN] = user
    done = desk.publish(**DATASET)
    assert done.code == 3
    assert not desk.hub.repos


def test_names_and_tags_that_the_hub_cannot_take(desk: Desk) -> None:
    names = OF(desk.bundle.record, "alice")
    for tag in ("release/1.0", "main", "a b", "", "a..b", "x.lock", "-v1", "v" * 97):
        with pytest.raises(InputError, match="--tag"):
            check_names(names, tag)
    for name in ("a--b", "a..b", "name.git", "a."):
        with pytest.raises(InputError, match="dataset_repo"):
            check_names(replace(names, dataset=f"alice/{name}"), None)
    with pytest.raises(InputError, match="is the base model's name too"):
        check_names(replace(names, model=names.base or ""), None)


def test_a_license_and_its_text(tmp_path: Path, bundles: tuple[Bundle, Bundle]) -> None:
    text = bundles[0].record.root / "LICENSE"
    check_license("mit", text)
    for other in ("apache-2.0", "gpl-3.0", "cc0-1.0", "other"):
        with pytest.raises(InputError, match=other):
            check_license(other, text)


# Secrets.

SECRET = "hf_" + "Ab1" * 12


def holding(path: str, content: bytes) -> list[Repository]:
    return [Repository("dataset", "alice/x", "dataset", {path: bytes_file(path, content)})]


@pytest.mark.parametrize("token", ["my-own-login-token", "my-other/token"])
def test_the_own_token_is_found_in_all_bytes(token: str) -> None:
    for path in ("README.md", "weights.safetensors"):
        with pytest.raises(InputError, match="the token that you are logged in with") as error:
            check_secrets(holding(path, b"\x00\xff" * 50 + quote(token, safe="").encode() + b"\x00"), token, {}, None)
        assert token not in str(error.value)


LETTERS = "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD"
KEYS = {
    "GitHub": f"ghp_{LETTERS}aB3d", "Hugging Face": SECRET, "private key": "-----BEGIN RSA PRIVATE KEY-----", "Stripe": f"sk_live_{LETTERS[:24]}",
}  # fmt: skip


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_is_known_by_its_kind(kind: str) -> None:
    with pytest.raises(InputError, match="looks like a secret"):
        check_secrets(holding("README.md", f"Text.\n{KEYS[kind]}\nMore text.\n".encode()), None, {}, None)


@pytest.mark.parametrize(
    "text",
    [
        "Set HF_TOKEN=hf_... first",         "sha256: " + "0123456789abcdef" * 4, "commit " + "ab" * 20, "hf_hub_download", "token: tokenizer", "sk-learn is a package", "Bearer TOKEN",
        "Your password is asked for at the next login", "api_key: see the settings", "key-value pairs", "an access token has 37 characters",
    ],
)  # fmt: skip
def test_what_is_harmless_is_not_refused(text: str) -> None:
    assert check_secrets(holding("README.md", text.encode()), None, {}, None) == []


def test_an_exception_is_named_by_file_and_hash() -> None:
    repos = holding("README.md", SECRET.encode())
    with pytest.raises(InputError, match="allow_secrets") as error:
        check_secrets(repos, None, {}, None)
    digest = str(error.value).split("add ")[1].split(" ")[0]
    assert check_secrets(repos, None, {"dataset/README.md": [digest]}, None) == []
    with pytest.raises(InputError):
        check_secrets(repos, SECRET, {"dataset/README.md": [digest]}, None)


def test_what_points_at_a_person_is_a_warning() -> None:
    found = check_secrets(holding("README.md", b"see /home/bob/x\nand bob@gmail.com"), None, {}, None)
    assert found == [
        "dataset/README.md: contains a path of a home folder, line 1",
        "dataset/README.md: contains an e-mail address, line 2",
    ]


def test_all_that_is_gathered_is_searched(bundles: tuple[Bundle, Bundle]) -> None:
    with pytest.raises(InputError, match="the token that you are logged in with"):
        gather(bundles[0].context, ("dataset",), Screen(quiet=True), "letter_count")


# The bundle.


def test_further_adapters_have_folders_of_their_own(bundles: tuple[Bundle, Bundle]) -> None:
    found = bundles[0].context.record.further_folders
    assert found
    for name, folder in found.items():
        published = bundles[0].repo("model").files[f"{name}/adapter_model.safetensors"]
        assert published.sha256 == sha256_file(folder / "adapter_model.safetensors")
