"""What becomes public is what was verified, and one's own work is known again."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from safetensors.numpy import load_file, save_file

from .hub_server import Fault, User
from .publishing import Author, change_project, commits
from .test_publish_faults import FIRST, author, not_published, published
from .test_publish_stops import stop_at

pytestmark = [pytest.mark.slow, pytest.mark.hub]

__all__ = ["author"]  # a fixture

NAME = ("dataset", "alice/letters")


def when(author: Author, method: str, path: str, act: Any) -> None:
    """Let something happen once, just before a request is carried out."""
    happened: list[str] = []

    def watch(asked: str, where: str) -> None:
        if not happened and asked == method and re.search(path, where):
            happened.append(where)
            act()

    author.hub.on_request = watch


def published_once(author: Author) -> tuple[str, dict[str, Any]]:
    """Publish, change the card, and return the head and the receipt before the update."""
    assert author.publish(*FIRST).returncode == 0
    change_project(author.root, licence="cc0-1.0", licence_name="CC0")
    return author.repo("dataset", "letters").refs["main"], author.receipt


@pytest.mark.parametrize("path", ["evil.py", ".gitattributes"])
def test_a_commit_at_the_moment_of_release_is_hidden_again(author: Author, path: str) -> None:
    when(author, "PUT", r"/settings$", lambda: author.hub.edit(*NAME, path, b"import os"))
    done = author.publish(*FIRST)
    assert done.returncode == 3
    assert "somebody changed `main` at the moment of its release" in done.stderr
    assert "made private" in done.stderr
    not_published(author)
    again = author.publish(*FIRST)
    assert again.returncode == 3
    assert f"visitor: Update {path}" in again.stdout
    not_published(author)


def test_a_commit_during_the_verification_is_not_released(author: Author) -> None:
    when(author, "GET", r"/resolve/", lambda: author.hub.edit(*NAME, "evil.py", b"import os"))
    done = author.publish(*FIRST)
    assert done.returncode == 3
    assert "`main` changed while it was verified" in done.stderr
    assert ("PUT", "/api/datasets/alice/letters/settings") not in author.hub.log
    not_published(author)


def test_a_commit_that_changes_nothing_is_still_not_the_verified_one(author: Author) -> None:
    def touch() -> None:
        files = author.repo("dataset", "letters").commits[author.repo("dataset", "letters").refs["main"]].files
        author.hub.edit(*NAME, "LICENSE", files["LICENSE"].path.read_bytes())

    when(author, "PUT", r"/settings$", touch)
    assert author.publish(*FIRST).returncode == 3
    not_published(author)


@pytest.mark.parametrize("ref", ["main", "refs/pr/1"])
def test_nothing_is_merged_that_nobody_verified(author: Author, ref: str) -> None:
    head, receipt = published_once(author)
    repo = author.repo("dataset", "letters")
    when(author, "GET", r"/resolve/.*LICENSE", lambda: author.hub.edit(*NAME, "evil.py", b"import os", ref=ref))
    done = author.publish(*FIRST)
    assert done.returncode == 3
    what = "`main` changed while the pull request" if ref == "main" else "the pull request changed while it"
    assert what in done.stderr
    assert f"{author.hub.url}/datasets/alice/letters/discussions/1" in done.stderr
    assert not [path for method, path in author.hub.log if path.endswith("/merge")]
    assert repo.pulls[1].status == "open"
    assert (repo.refs["main"] == head) == (ref != "main")
    assert not repo.private
    assert author.receipt == receipt


def test_a_combination_that_a_merge_made_is_hidden(author: Author) -> None:
    _, receipt = published_once(author)
    when(author, "POST", r"/merge$", lambda: author.hub.edit(*NAME, "evil.py", b"import os"))
    done = author.publish(*FIRST)
    assert done.returncode == 3
    assert "made private" in done.stderr
    assert author.repo("dataset", "letters").private
    assert author.receipt == receipt


def test_the_receipt_names_the_verified_commit_only(author: Author) -> None:
    """Somebody's commit right after the release is theirs: the receipt does not certify it."""
    settings: list[str] = []

    def watch(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("/settings"):
            settings.append(author.repo("dataset", "letters").refs["main"])
        elif settings and author.hub.log[-2:][0][1].endswith("/tree/" + settings[0]):
            author.hub.on_request = None
            author.hub.edit(*NAME, "evil.py", b"import os")

    author.hub.on_request = watch
    done = author.publish(*FIRST)
    assert done.returncode == 3
    assert "a visitor without a token sees this commit" in done.stderr
    assert author.receipt["repos"][0]["commit"] == settings[0] != author.repo("dataset", "letters").refs["main"]


def test_a_visitor_is_somebody_without_a_token(author: Author) -> None:
    def hide() -> None:
        author.repo("dataset", "letters").hidden = True

    when(author, "PUT", r"/settings$", hide)
    done = author.publish(*FIRST)
    assert done.returncode == 3
    assert "failed      dataset a visitor without a token sees this commit" in done.stdout
    assert [c["outcome"] for c in author.receipt["checks"]][-1] == "failed"


def test_a_commit_during_the_upload_is_not_built_upon(author: Author) -> None:
    when(author, "POST", r"/commit/", lambda: author.hub.edit(*NAME, "evil.py", b"import os"))
    done = author.publish(*FIRST)
    assert done.returncode == 3
    assert "was changed during the upload" in done.stderr
    assert commits(author.repo("dataset", "letters")) == 1  # theirs
    not_published(author)


def test_an_adapter_that_answers_otherwise_on_the_hub(author: Author, tmp_path: Path) -> None:
    """Every file of the adapter is the one that was sent, but the base model on the Hub is not the one that was evaluated."""
    assert author.publish("--yes").returncode == 0
    receipt = author.receipt
    weights = load_file(author.root / "models/tiny/model.safetensors")
    save_file({name: 2 * value for name, value in weights.items()}, tmp_path / "other", {"format": "pt"})
    author.hub.edit("model", "alice/tiny", "model.safetensors", (tmp_path / "other").read_bytes())
    change_project(author.root, question="Does it spell?")
    done = author.publish("--yes", "--only", "model")
    assert done.returncode == 3
    assert re.search(r"failed +model +the adapter's logits equal the local model's", done.stdout)
    assert author.repo("model", "tiny-lora").pulls[1].status == "open"
    assert author.receipt == receipt


# One's own work.


def test_ones_own_interrupted_update_of_a_private_repository(author: Author) -> None:
    change_project(author.root, visibility="private")
    assert author.publish(*FIRST).returncode == 0
    change_project(author.root, licence="cc0-1.0", licence_name="CC0")
    stop_at(author, ("GET", r"/resolve/.*LICENSE"), signal.SIGKILL)
    repo = author.repo("dataset", "letters")
    assert commits(repo) == 2
    change_project(author.root, licence="cc-by-4.0", licence_name="CC BY 4.0")
    done = author.publish(*FIRST)
    assert done.returncode == 0, done.stdout + done.stderr
    assert commits(repo) == 3
    assert author.receipt["repos"][0]["commit"] == repo.refs["main"]


def test_ones_own_interrupted_merge(author: Author) -> None:
    published_once(author)
    stop_at(author, ("POST", r"/merge$"), signal.SIGKILL)
    repo = author.repo("dataset", "letters")
    assert commits(repo) == 2
    change_project(author.root, licence="cc-by-4.0", licence_name="CC BY 4.0")
    done = author.publish(*FIRST)
    assert done.returncode == 0, done.stdout + done.stderr
    published(author, 3)


def test_a_commit_that_only_says_that_it_is_ours(author: Author) -> None:
    published_once(author)
    repo = author.repo("dataset", "letters")
    title = repo.commits[repo.refs["main"]].title
    assert re.fullmatch("Publish dataset [0-9a-f]{16}", title)
    author.hub.edit(*NAME, "LICENSE", b"mine", author="alice", title=title)
    done = author.publish(*FIRST)
    assert done.returncode == 3
    assert f"alice: {title}" in done.stdout


# Tag and collection.


def test_a_tag_that_cannot_be_put_leaves_a_receipt(author: Author) -> None:
    author.hub.faults = [Fault("POST", r"/tag/", 403)]
    done = author.publish(*FIRST, "--tag", "v1.0.0", "--collection", "Spelling")
    assert done.returncode == 3
    published(author, 1)
    assert author.receipt["repos"][0]["tag"] is None
    author.hub.faults = [Fault("POST", r"/collections", 403)]
    assert author.publish(*FIRST, "--tag", "v1.0.0", "--collection", "Spelling").returncode == 3
    assert author.receipt["repos"][0]["tag"] == "v1.0.0"
    assert author.receipt["collection"] is None
    author.hub.faults = []
    assert author.publish(*FIRST, "--tag", "v1.0.0", "--collection", "Spelling").returncode == 0
    assert author.receipt["collection"]
    published(author, 1)


@pytest.mark.parametrize("option", ["--tag", "--collection"])
def test_what_an_open_pull_request_cannot_have_is_said(author: Author, option: str) -> None:
    done = author.publish(*FIRST, "--create-pr", option, "v1")
    assert done.returncode == 2
    assert "the run that merges" in re.sub(r"[\s│]+", " ", done.stderr)
    assert not author.hub.log


# What is refused before anything is sent.


@pytest.mark.parametrize("tag", ["release/1.0", "main", "a b", "", "a..b", "x.lock", "-v1", "v" * 97])
@pytest.mark.parametrize("mode", ["--yes", "--dry-run"])
def test_a_tag_that_cannot_be_is_told_before_anything_is_sent(author: Author, tag: str, mode: str) -> None:
    done = author.publish(mode, "--only", "dataset", f"--tag={tag}")
    assert done.returncode == 2
    assert "error: --tag: found" in done.stderr
    assert not author.hub.log


@pytest.mark.parametrize("name", ["a--b", "a..b", "name.git", "a.", "a-"])
@pytest.mark.parametrize("mode", ["--yes", "--dry-run"])
def test_a_repository_name_that_cannot_be(author: Author, name: str, mode: str) -> None:
    for key in ("model_repo", "dataset_repo"):
        change_project(author.root, model_repo="tiny-lora", dataset_repo="letters")
        change_project(author.root, **{key: name})
        done = author.publish(mode)
        assert done.returncode == 2
        assert key in done.stderr
    assert not author.hub.log
    change_project(author.root, model_repo="tiny-lora", dataset_repo="letters")
    assert author.publish(mode, "--namespace", f"{name}-").returncode == 2


@pytest.mark.parametrize("mode", ["--yes", "--dry-run"])
def test_two_repositories_of_one_name(author: Author, mode: str) -> None:
    change_project(author.root, model_repo="tiny")
    done = author.publish(mode)
    assert done.returncode == 2
    assert "as the base model is called" in done.stderr
    assert not author.hub.log


@pytest.mark.parametrize("mode", ["--plan", "--dry-run"])
def test_what_would_not_load_or_be_nothing_is_refused(author: Author, mode: str) -> None:
    weights = author.root / "models/tiny/model.safetensors"
    kept = weights.read_bytes()
    weights.unlink()
    done = author.publish(mode)
    assert done.returncode == 2
    assert "models/tiny/model.safetensors: found no such file" in done.stderr
    weights.write_bytes(kept)
    shutil.rmtree(author.root / "data")
    done = author.publish(mode, "--only", "dataset")
    assert done.returncode == 2
    assert "found no dataset" in done.stderr
    assert not author.hub.repos
    assert not (author.root / "dist").exists()


def test_a_card_that_is_not_utf8_and_a_token_that_is_not_ascii(author: Author) -> None:
    (author.root / "models/tiny/README.md").write_bytes(b"\xff\xfe")
    assert author.publish("--plan", "--only", "base").returncode in (0, 3)
    author.token = "hf_\u00e4"
    done = author.publish("--plan")
    assert done.returncode == 3
    assert "characters that no token has" in done.stderr
    assert not author.hub.repos


# What the Hub answers.


@pytest.mark.parametrize("role", ["base", "dataset"])
def test_a_download_of_the_wrong_size(author: Author, role: str) -> None:
    author.hub.faults = [Fault("GET", r"/alice/(tiny|letters)/resolve/.*LICENSE", "short", times=99)]
    if role == "dataset":  # the second repository; the first one's card must not stand in for its own
        author.hub.faults[0].path = r"/alice/letters/resolve/.*LICENSE"
    done = author.publish("--yes")
    assert done.returncode == 3
    assert re.search(rf"failed +{role} +every file's SHA-256", done.stdout)
    assert not re.search(rf"passed +{role} +the card's metadata", done.stdout)
    not_published(author)


def test_a_redirect_loop(author: Author) -> None:
    author.hub.faults = [Fault("GET", r"/api/whoami-v2$", "loop", times=99)]
    done = author.publish(*FIRST)
    assert done.returncode == 4
    assert "leads in circles" in done.stderr


def test_a_page_is_no_answer(author: Author) -> None:
    author.hub.faults = [Fault("POST", r"/api/validate-yaml$", "html", times=99)]
    done = author.publish(*FIRST)
    assert done.returncode == 4
    assert "run the same command again" in done.stderr
    assert not author.hub.repos


def test_links_to_the_hubs_own_pages(author: Author) -> None:
    pages = ("docs/hub/models-cards", "papers/2106.09685", "blog/lora", "learn/nlp-course", "datasets/squad")
    links = " ".join(f"[{page}](https://huggingface.co/{page})" for page in pages)
    change_project(author.root, question=f"See {links}?")
    done = author.publish(*FIRST)
    assert done.returncode == 0, done.stderr
    assert not [
        path for _, path in author.hub.log if re.search(r"/api/models/(docs|papers|blog|learn|datasets)/", path)
    ]
    (line,) = [check for check in author.receipt["checks"] if check["name"] == "links to other sites"]
    assert line["outcome"] in ("passed", "not checked")


# Whose code runs, and what it sees.


def test_only_the_cards_own_snippet_is_run_and_it_gets_no_token(author: Author, tmp_path: Path) -> None:
    spy = tmp_path / "spy"
    spy.mkdir()
    (spy / "sitecustomize.py").write_text(
        "import json, os, sys\n"
        f"open({str(spy)!r} + f'/{{os.getpid()}}.json', 'w').write(json.dumps([sys.orig_argv, dict(os.environ)]))\n"
    )
    code = "```python\nopen('pwned', 'w')\nraise SystemExit('pwned')\n```"
    change_project(author.root, limitations=[f"Some code:\n\n{code}\n"], summary=f"What it is.\n\n{code}\n\nAnd so on.")
    card = author.root / "models/tiny/README.md"
    card.write_text(card.read_text() + f"\n{code}\n")
    path = f"{author.environment()['PYTHONPATH']}:{spy}"
    done = author.publish("--yes", PYTHONPATH=path, AWS_SECRET_ACCESS_KEY="hunter2")
    assert done.returncode == 0, done.stderr
    runs = [json.loads(file.read_text()) for file in spy.glob("*.json")]
    snippets = [environment for argv, environment in runs if argv[-1].endswith("snippet.py")]
    assert len(snippets) == 2  # the dataset's and the model's; the base model's card is not ours
    checks = [c for c in author.receipt["checks"] if c["name"] == "the card's snippet runs"]
    assert [(c["repo"], c["outcome"]) for c in checks] == [("dataset", "passed"), ("model", "passed")]
    for environment in snippets:
        assert author.token not in environment.values()
        assert environment["HF_HUB_OFFLINE"] == "1"
    for argv, environment in runs:
        if "src.publish" not in argv:
            assert "hunter2" not in environment.values(), argv


# What is shown.


def test_control_characters_of_a_name_do_not_reach_the_terminal(author: Author) -> None:
    assert author.publish(*FIRST).returncode == 0
    author.hub.edit(*NAME, "evil\x1b[31m\x07.txt", b"red", author="bob\x1b[2J")
    for mode in ("--plan", "--verify-only"):
        done = author.publish(mode, "--only", "dataset")
        assert done.returncode == 3
        assert "evil\N{REPLACEMENT CHARACTER}[31m" in done.stdout
        assert "\x1b" not in done.stdout + done.stderr


def test_a_long_line_that_changed_shows_the_words_that_differ(author: Author) -> None:
    words = [f"word{n}" for n in range(200)]
    change_project(author.root, question=" ".join(words))
    assert author.publish(*FIRST).returncode == 0
    words[120] = "another"
    change_project(author.root, question=" ".join(words))
    done = author.publish("--plan", "--only", "dataset")
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert (
        "-… word114 word115 word116 word117 word118 word119 word120 word121 word122 word123 word124 word125 word126 …"
        in lines
    )
    assert (
        "+… word114 word115 word116 word117 word118 word119 another word121 word122 word123 word124 word125 word126 …"
        in lines
    )


# What protects the person who publishes.


def test_a_server_that_echoes_the_token_cannot_make_it_appear(author: Author) -> None:
    """Not in an error, and not in its URL-encoded form either."""
    author.token = "hf_local+test/token"
    author.hub.users[author.token] = User("alice")
    echo = {"X-Error-Message": f"bad header: Bearer {author.token} {quote(author.token, safe='')}"}
    for method, path in (("GET", r"/api/whoami-v2$"), ("POST", r"/validate-yaml$"), ("POST", r"/create$")):
        author.hub.faults = [Fault(method, path, 403, times=99, headers=echo)]
        done = author.publish(*FIRST)  # which looks for the token in all output
        assert done.returncode == 3
        assert "bad header: Bearer hf_… hf_…" in done.stderr


def test_large_files_take_the_plain_way(author: Author) -> None:
    """hf_xet, which ignores signals, is installed and would be used by default."""
    import hf_xet

    assert hf_xet
    assert "HF_HUB_DISABLE_XET" not in author.environment()
    assert author.publish(*FIRST).returncode == 0
    assert ("PUT", "/lfs/") in {(method, path[:5]) for method, path in author.hub.log}
    assert not [path for _, path in author.hub.log if "xet" in path]


def test_a_repository_that_its_owner_makes_private_stays_private(author: Author) -> None:
    published_once(author)
    repo = author.repo("dataset", "letters")
    when(author, "GET", r"/resolve/.*LICENSE", lambda: setattr(repo, "private", True))
    done = author.publish(*FIRST)
    assert done.returncode == 3
    assert "somebody made it private while it was verified" in done.stderr
    assert repo.private
