"""What is proved before anything is sent, and that no secret is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from src.documents.context import RepoNames
from src.hub import preflight, publish
from src.hub.bundle import gather
from src.hub.preflight import check_license, check_names
from src.hub.repository import Repository, hashed
from src.hub.secrets import check_secrets
from src.record.errors import InputError
from src.record.files import sha256_file

from .hub_server import User
from .publishing import DATASET, PAGE, TOKEN, Bundle, Desk, commits, when

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("job", ["dataset", "snippet"])
def test_what_fails_here_is_never_sent(desk: Desk, job: str) -> None:
    desk.answers[job] = lambda asked: ValueError("it does not work")
    done = desk.ends(3, "it does not work", **DATASET)
    assert done.state == ["nothing was changed on the Hub"]
    assert not desk.hub.repos


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
    desk.ends(3, f"{path}: changed on disk", **DATASET)
    assert commits(desk.repo("dataset")) == 0


def external_base(desk: Desk, visibility: str = "public", **state: Any) -> list[bool]:
    """Give the adapter a base model that is only on the Hub. The list that is returned notes whether each load was offline."""
    record = desk.bundle.record
    names = replace(RepoNames.of(record, "alice"), base="acme/base")
    desk.patch.setattr(type(record), "base_folder", property(lambda record: None))
    record = replace(record, project=record.project.model_copy(update={"visibility": visibility}))
    desk.bundle = replace(desk.bundle, record=record, repos=[r for r in desk.bundle.repos if r.role == "model"])
    desk.patch.setattr(publish, "local_base", lambda context: None)
    desk.patch.setattr(publish.RepoNames, "of", staticmethod(lambda record, namespace=None: names))
    vars(desk.hub.add_repo("model", "acme/base")).update(state)
    offline: list[bool] = []
    desk.answers["logits"] = lambda job: offline.append(job["offline"]) or {"difference": 0.0, "count": 1}
    return offline


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"private": True, "visibility": "private"}, "is private or not on the Hub"),
        ({"gated": True}, "is gated: visitors need access to it"),
        (
            {"labels": ["custom_code"]},
            "brings code of its own, which transformers runs only with trust_remote_code=True",
        ),
        ({}, None),
    ],
)
def test_a_base_model_that_not_everybody_loads_is_told_and_not_called_verified(
    desk: Desk, state: dict[str, Any], says: str | None
) -> None:
    offline = external_base(desk, **state)
    done = desk.ends(0, only=("model",), smoke=False)
    assert says is None or f"acme/base {says}" in done.out
    outcomes = [c["outcome"] for c in desk.receipt["checks"] if "logits" in c["name"]]
    assert (outcomes, offline) == ((["not checked"], []) if says else (["passed"], [False]))


def test_nothing_becomes_public_whose_base_model_no_visitor_can_read(desk: Desk) -> None:
    external_base(desk, private=True)
    desk.ends(3, "acme/base is private or not on the Hub", only=("model",))
    assert desk.hub.repos.keys() == {("model", "acme/base")}, desk.hub.repos.keys()


def test_without_the_packages_it_plans_and_names_the_line_to_install(desk: Desk) -> None:
    desk.patch.setattr(preflight, "NEEDED", ("no_such_package",))
    done = desk.ends(3, " added; ", **DATASET)
    assert '-e ".[publish]"' in done.out
    assert not desk.hub.repos


@pytest.mark.parametrize("user", [None, User("alice", role="read")], ids=["unknown", "reader"])
def test_who_may_not_publish_is_told_before_anything_is_sent(desk: Desk, user: User | None) -> None:
    desk.hub.users.clear()
    if user is not None:
        desk.hub.users[TOKEN] = user
    desk.ends(3, **DATASET)
    assert not desk.hub.repos


def test_a_token_for_one_repository_is_refused_before_anything_is_created(desk: Desk) -> None:
    scopes = [{"entity": {"type": "dataset", "name": PAGE}, "permissions": ["repo.write"]}]
    desk.hub.users[TOKEN] = User("alice", role="fineGrained", scopes=scopes)
    desk.ends(3, f"the token may only write to {PAGE}", only=("dataset", "base"))
    assert not desk.hub.repos
    desk.hub.add_repo("dataset", PAGE)
    assert desk.publish(**DATASET).code == 0


@pytest.fixture
def ci(desk: Desk) -> Desk:
    """A CI job whose identity the Hub exchanges for a token for one repository."""
    desk.patch.delenv("HF_TOKEN")
    desk.patch.setenv("HF_OIDC_RESOURCE", "datasets/alice/tiny-letters")
    desk.patch.setenv("HF_OIDC_ID_TOKEN", "ci-identity")
    desk.patch.setattr("huggingface_hub.utils._auth._OIDC_TOKEN_CACHE", None)
    return desk


def test_a_trusted_publisher_updates_and_creates_nothing(ci: Desk, bundles: tuple[Bundle, Bundle]) -> None:
    ci.ends(3, "a trusted publisher cannot create it", **DATASET)
    assert not ci.hub.repos
    with ci.patch.context() as person:
        person.delenv("HF_OIDC_RESOURCE")
        person.setenv("HF_TOKEN", TOKEN)
        assert ci.publish(only=("dataset", "base")).code == 0
    ci.bundle = bundles[1]
    ci.ends(0, **DATASET)
    assert commits(ci.repo("dataset"), "alice/tiny-letters") == 1
    ci.ends(3, only=("base",))
    assert commits(ci.repo("base"), "alice/tiny-letters") == 0


def test_an_identity_that_the_hub_does_not_know(ci: Desk) -> None:
    ci.patch.setenv("HF_OIDC_ID_TOKEN", "forged-identity")
    done = ci.ends(3, "HTTP 400", **DATASET)
    assert "forged-identity" not in done.out
    ci.patch.delenv("HF_OIDC_ID_TOKEN")
    ci.ends(3, "no token for HF_OIDC_RESOURCE", **DATASET)


@pytest.mark.parametrize("tag", ["release/1.0", "main", "a b", "", "a..b", "x.lock", "-v1", "v" * 97])
def test_a_tag_that_the_hub_cannot_take_is_refused(desk: Desk, tag: str) -> None:
    names = RepoNames.of(desk.bundle.record, "alice")
    check_names(names, "v1.0.0")
    with pytest.raises(InputError, match="--tag"):
        check_names(names, tag)


def test_a_name_that_the_hub_cannot_take_is_refused(desk: Desk) -> None:
    names = RepoNames.of(desk.bundle.record, "alice")
    for odd in (replace(names, dataset="alice/a--b"), replace(names, model=names.base or "")):
        with pytest.raises(InputError, match="the project config"):
            check_names(odd, None)


def test_a_license_and_its_text(bundles: tuple[Bundle, Bundle]) -> None:
    record = bundles[0].record
    check_license(record)
    with pytest.raises(InputError, match="is the MIT License"):
        check_license(replace(record, project=record.project.model_copy(update={"license": "apache-2.0"})))


def test_further_adapters_have_folders_of_their_own(bundles: tuple[Bundle, Bundle]) -> None:
    found = bundles[0].context.record.further_folders
    assert found
    for name, folder in found.items():
        published = bundles[0].repo("model").files[f"{name}/adapter_model.safetensors"]
        assert published.sha256 == sha256_file(folder / "adapter_model.safetensors")


SECRET = "hf_" + "Ab1" * 12


def holding(path: str, content: bytes) -> list[Repository]:
    return [Repository("dataset", "alice/x", "dataset", hashed({path: content}))]


@pytest.mark.parametrize("token", ["my-own-login-token", "my-other/token"])
def test_the_own_token_is_found_in_all_bytes(token: str) -> None:
    for path in ("README.md", "weights.safetensors"):
        with pytest.raises(InputError, match="the token that you are logged in with") as error:
            check_secrets(holding(path, b"\x00\xff" * 50 + quote(token, safe="").encode() + b"\x00"), token, {}, None)
        assert token not in str(error.value)


LETTERS = "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD"
KEYS = (f"ghp_{LETTERS}aB3d", SECRET, "-----BEGIN RSA PRIVATE KEY-----", f"sk_live_{LETTERS[:24]}")


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_known_and_not_shown(key: str) -> None:
    with pytest.raises(InputError, match="looks like a secret") as error:
        check_secrets(holding("README.md", f"Text.\n{key}\nMore text.\n".encode()), None, {}, None)
    assert key not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "Set HF_TOKEN=hf_... first",
        "sha256: " + "0123456789abcdef" * 4,
        "commit " + "ab" * 20,
        "Your password is asked for at the next login",
        "api_key: see the settings",
    ],
)
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
        gather(bundles[0].context, ("dataset",), "letter_count", "https://huggingface.co")
