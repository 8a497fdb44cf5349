"""No secret is published."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from src.hub.bundle import gather
from src.hub.repository import Repository, hashed
from src.hub.secrets import check_secrets
from src.record.errors import InputError

from .publishing import Bundle

pytestmark = pytest.mark.slow


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
