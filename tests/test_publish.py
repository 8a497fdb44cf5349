"""The publisher from the command line, with the real clients, against a local Hub over HTTP."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from resource import RLIMIT_FSIZE, setrlimit

import huggingface_hub as hf
import pytest
from huggingface_hub import DatasetCard, ModelCard

from src.documents.build import build
from src.documents.pages import site_pages

from .conftest import REPO, copy_project
from .hub_server import HubServer, User
from .publishing import TOKEN, Author, change_project, commits, main_files

pytestmark = [pytest.mark.slow, pytest.mark.hub]

VISITOR = """
import sys
from huggingface_hub import snapshot_download

base, model, dataset, config = sys.argv[1:]
snapshot_download(model)

from peft import PeftModel
from transformers import AutoModelForCausalLM
from datasets import load_dataset

loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), model)
print(type(loaded).__name__, load_dataset(dataset, config, split="test").num_rows)
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    server = HubServer(tmp_path / "hub")
    server.users[TOKEN] = User("alice", orgs={"lab": "admin", "club": "read"})
    server.start()
    yield server
    server.stop()


@pytest.fixture
def author(hub: HubServer, tiny_source: Path, tmp_path: Path) -> Author:
    return Author(hub, Path(shutil.copytree(tiny_source, tmp_path / "project")))


def visit(hub: HubServer, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Use the repositories as somebody without a token and with nothing cached."""
    script = folder / "visitor.py"
    script.write_text(VISITOR)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(folder / "visitor-home")}
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


# A life of a publication.


def test_the_committed_record_is_published_and_used_by_a_visitor(hub: HubServer, tmp_path: Path) -> None:
    author = Author(hub, copy_project(tmp_path / "project"), real=True)
    done = author.publish("--yes")
    assert done.returncode == 0, done.stderr
    assert not any(repo.private for repo in hub.repos.values())
    assert [commits(repo) for repo in hub.repos.values()] == [1, 1, 1, 1]
    names = ("alice/gpt2-mini", "alice/gpt2-mini-spelling-lora", "alice/spelling-and-letters", "letter_count")
    seen = visit(hub, tmp_path, *names)
    assert seen.stdout.split() == ["PeftModelForCausalLM", "2400"], seen.stderr
    receipt = author.receipt
    assert {r["role"]: r["commit"] for r in receipt["repos"]} == {
        role: author.repo(kind, name).refs["main"]
        for role, kind, name in (
            ("base", "model", "gpt2-mini"),
            ("dataset", "dataset", "spelling-and-letters"),
            ("model", "model", "gpt2-mini-spelling-lora"),
            ("space", "space", "try-spelling-lora"),
        )
    }
    assert {check["outcome"] for check in receipt["checks"]} <= {"passed", "not checked"}
    left = [check for check in receipt["checks"] if check["outcome"] == "not checked"]
    assert all("other sites" in check["name"] for check in left), left
    dataset = author.repo("dataset", "spelling-and-letters").refs["main"]
    stated = json.loads((author.root / "results/gpt2-mini/evaluation_results.json").read_text())
    for name, section in (("gpt2-mini", "base_model"), ("gpt2-mini-spelling-lora", "finetuned_model")):
        info = hf.HfApi(endpoint=hub.url, token=False).model_info(f"alice/{name}", expand=["evalResults"])
        found = {entry.task_id: entry for entry in info.eval_results or []}
        assert found["letter_count"].value == round(stated[section]["metrics"]["letter_count_accuracy"], 6)
        assert {entry.dataset_revision for entry in found.values()} == {dataset}
        assert {entry.dataset_id for entry in found.values()} == {"alice/spelling-and-letters"}
        assert "levenshtein" not in str(found).lower()
    requests = len(hub.log)
    again = author.publish("--yes")
    assert again.returncode == 0
    assert "no commit was made" in again.stderr
    assert not [entry for entry in hub.log[requests:] if "/commit/" in entry[1] or entry[0] == "PUT"]
    assert author.receipt == receipt
    page = site_pages(build(author.root, author.root / ".cache"), pdf=True)["model-card.md"]
    assert "Published and verified" in page
    assert receipt["repos"][2]["commit"][:12] in page


def test_a_changed_card_goes_through_a_pull_request(author: Author) -> None:
    assert author.publish("--yes").returncode == 0
    author.real = True
    repo = author.repo("model", "tiny-lora")
    before = repo.refs["main"]
    change_project(author.root, question="Does it spell?", tags=["changed-tag"])
    at_merge: list[str] = []
    author.hub.on_request = lambda method, path: at_merge.append(repo.refs["main"]) if path.endswith("/merge") else None
    done = author.publish("--yes", "--only", "model")
    assert done.returncode == 0, done.stderr
    assert "+  - changed-tag" in done.stdout.replace("+- ", "+  - ")
    assert at_merge == [before]
    assert commits(repo) == 2
    assert commits(author.repo("dataset", "letters")) == commits(author.repo("model", "tiny")) == 1
    assert next(r for r in author.receipt["repos"] if r["role"] == "model")["commit"] == repo.refs["main"]
    assert len(author.receipt["repos"]) == 3


def test_a_first_publication_with_create_pr_is_verified_and_not_seen(author: Author) -> None:
    first = author.publish("--yes", "--only", "dataset", "--create-pr")
    assert first.returncode == 0, first.stderr
    repo, visitor = author.repo("dataset", "letters"), hf.HfApi(endpoint=author.hub.url, token=False)
    assert "passed      dataset the card's snippet runs" in first.stdout
    with pytest.raises(hf.errors.RepositoryNotFoundError):
        visitor.dataset_info("alice/letters")
    assert author.publish("--yes", "--only", "dataset").returncode == 0
    assert visitor.dataset_info("alice/letters").sha == repo.refs["main"]
    assert commits(repo) == 1


def test_create_pr_stops_before_the_merge_and_the_next_run_goes_on(author: Author) -> None:
    assert author.publish("--yes", "--only", "dataset").returncode == 0
    repo, receipt = author.repo("dataset", "letters"), author.receipt
    change_project(author.root, licence="cc0-1.0", licence_name="CC0")
    done = author.publish("--yes", "--only", "dataset", "--create-pr")
    assert done.returncode == 0, done.stderr
    assert f"{author.hub.url}/datasets/alice/letters/discussions/1" in done.stderr
    assert (commits(repo), repo.pulls[1].status, author.receipt) == (1, "open", receipt)
    change_project(author.root, licence="cc-by-4.0", licence_name="CC BY 4.0")  # what was left open is superseded
    assert author.publish("--yes", "--only", "dataset", "--create-pr").returncode == 0
    assert author.publish("--yes", "--only", "dataset").returncode == 0
    assert [pull.status for pull in repo.pulls.values()] == ["closed", "merged"]
    assert commits(repo) == 2
    assert b"cc-by-4.0" in repo.commits[repo.refs["main"]].files["README.md"].path.read_bytes()


def test_another_persons_edit_is_shown_and_not_overwritten(author: Author) -> None:
    assert author.publish("--yes", "--only", "dataset").returncode == 0
    repo = author.repo("dataset", "letters")
    author.hub.edit("dataset", "alice/letters", "README.md", b"# Mine\n[bold]now[/bold] \x1b[31mred\n", author="bob")
    edited = repo.refs["main"]
    done = author.publish("--yes", "--only", "dataset")
    assert done.returncode == 3
    assert "bob: Update README.md" in done.stdout
    assert "-# Mine" in done.stdout
    assert "-[bold]now[/bold] \N{REPLACEMENT CHARACTER}[31mred" in done.stdout
    assert "\x1b" not in done.stdout
    assert "--overwrite" in done.stderr
    assert repo.refs["main"] == edited
    assert author.publish("--plan", "--only", "dataset").returncode == 3
    assert author.publish("--yes", "--only", "dataset", "--overwrite").returncode == 0
    assert b"# Mine" not in repo.commits[repo.refs["main"]].files["README.md"].path.read_bytes()


def test_a_repository_that_was_never_published_from_here_is_not_overwritten(author: Author) -> None:
    author.hub.add_repo("dataset", "alice/letters")
    author.hub.edit("dataset", "alice/letters", "notes.txt", b"keep me", author="alice")
    done = author.publish("--yes", "--only", "dataset")
    assert done.returncode == 3
    assert "removed" in done.stdout
    assert "notes.txt" in main_files(author.repo("dataset", "letters"))


def test_a_repository_that_is_deleted_meanwhile(author: Author) -> None:
    def delete(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("/settings"):
            author.hub.repos.clear()

    author.hub.on_request = delete
    done = author.publish("--yes", "--only", "dataset")
    assert done.returncode == 3
    assert "the Hub refused: HTTP 404" in done.stderr
    assert not author.receipt_path.exists()


def test_a_private_repository_stays_private(author: Author) -> None:
    change_project(author.root, visibility="private")
    assert author.publish("--yes", "--only", "dataset").returncode == 0
    assert author.repo("dataset", "letters").private
    assert author.receipt["repos"][0]["visibility"] == "private"
    change_project(author.root, licence="cc0-1.0", licence_name="CC0")
    assert author.publish("--yes", "--only", "dataset").returncode == 0
    assert author.repo("dataset", "letters").private
    assert commits(author.repo("dataset", "letters")) == 2


def test_what_was_made_private_on_the_hub_is_not_made_public_again(author: Author) -> None:
    assert author.publish("--yes", "--only", "dataset").returncode == 0
    author.repo("dataset", "letters").private = True
    done = author.publish("--yes", "--only", "dataset")
    assert done.returncode == 3
    assert "it was made private" in done.stdout
    assert author.repo("dataset", "letters").private


def test_tag_and_collection(author: Author) -> None:
    done = author.publish("--yes", "--only", "dataset", "--tag", "v1.0.0", "--collection", "Spelling")
    assert done.returncode == 0, done.stderr
    repo = author.repo("dataset", "letters")
    assert repo.tags == {"v1.0.0": repo.refs["main"]}
    assert author.receipt["repos"][0]["tag"] == "v1.0.0"
    (collection,) = author.hub.collections.values()
    assert [(item["id"], item["type"]) for item in collection["items"]] == [("alice/letters", "dataset")]
    assert author.publish("--yes", "--only", "dataset", "--tag", "v1.0.0", "--collection", "Spelling").returncode == 0
    assert len(author.hub.collections) == 1
    change_project(author.root, licence="cc0-1.0", licence_name="CC0")
    done = author.publish("--yes", "--only", "dataset", "--tag", "v1.0.0")
    assert done.returncode == 3
    assert "has the tag v1.0.0 already" in done.stderr


def test_verify_only_finds_what_is_not_the_record(author: Author) -> None:
    assert author.publish("--verify-only", "--only", "dataset").returncode == 3
    assert author.publish("--yes", "--only", "dataset").returncode == 0
    before = author.receipt
    done = author.publish("--verify-only", "--only", "dataset")
    assert done.returncode == 0, done.stderr
    assert [c["name"] for c in author.receipt["checks"]] == [c["name"] for c in before["checks"]]
    author.hub.edit("dataset", "alice/letters", "LICENSE", b"other")
    now = author.receipt
    done = author.publish("--verify-only", "--only", "dataset")
    assert done.returncode == 3
    assert re.search(r"failed +dataset every file's SHA-256 \(differing: LICENSE\)", done.stdout)
    assert "not checked dataset the card's snippet runs" in done.stdout
    assert author.receipt == now


def test_plan_and_json_change_nothing(author: Author) -> None:
    done = author.publish("--plan", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)["plan"]
    assert [(p["role"], p["action"], p["visibility"]) for p in plan] == [
        (role, "create", "public") for role in ("base", "dataset", "model")
    ]
    assert all(file["change"] == "added" for repo in plan for file in repo["files"])
    assert not author.hub.repos
    assert not author.receipt_path.exists()
    assert {method for method, _ in author.hub.log} == {"GET", "POST"}
    assert {path for method, path in author.hub.log if method == "POST"} == {"/api/validate-yaml"}
    author.root.joinpath("dist").mkdir()
    done = author.publish("--dry-run", "--json", HF_ENDPOINT="http://127.0.0.1:1")
    assert set(json.loads(done.stdout)["files"]) == {"base", "dataset", "model"}


def test_the_author_is_asked_at_a_terminal(author: Author) -> None:
    done = author.publish("--only", "dataset")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "src.publish", "--only", "dataset"],
        cwd=author.root, env=author.environment(COLUMNS="100"), stdin=child, stdout=child, stderr=child,
    )  # fmt: skip
    os.close(child)
    seen = b""
    while b"[y/N]" not in seen:
        seen += os.read(parent, 1000)
    os.write(parent, b"n\n")
    assert process.wait(60) == 3
    os.close(parent)
    assert "letter_count/test.parquet" in seen.decode()
    assert not author.hub.repos


def test_a_trusted_publisher_needs_no_stored_token(author: Author, tmp_path: Path) -> None:
    assert author.publish("--yes").returncode == 0
    change_project(author.root, question="Does it spell?", licence="cc0-1.0", licence_name="CC0")
    author.token = None
    for role, trusted in (("dataset", "datasets/alice/letters"), ("model", "alice/tiny-lora")):
        done = author.publish(
            "--yes", "--only", role, "--namespace", "alice", HF_OIDC_RESOURCE=trusted, HF_OIDC_ID_TOKEN="ci-identity"
        )
        assert done.returncode == 0, done.stderr
        assert "hf_jwt" not in done.stdout + done.stderr
    assert commits(author.repo("dataset", "letters")) == commits(author.repo("model", "tiny-lora")) == 2
    assert [r["role"] for r in author.receipt["repos"]] == ["base", "dataset", "model"]
    done = author.publish(
        "--yes", "--only", "dataset", HF_OIDC_RESOURCE="datasets/alice/letters", HF_OIDC_ID_TOKEN="forged"
    )
    assert done.returncode in (3, 4)


# Who may publish what.


@pytest.mark.parametrize(
    ("user", "arguments", "said"),
    [
        (None, [], "hf auth login"),
        (User("alice", role="read"), [], "may only read"),
        (User("alice", expired=True), [], "does not accept the token"),
        (User("alice"), ["--namespace", "stranger"], "may not write to stranger"),
        (User("alice", orgs={"club": "read"}), ["--namespace", "club"], "may not write to club"),
        (
            User(
                "alice",
                role="fineGrained",
                scopes=[{"entity": {"name": "alice"}, "permissions": ["repo.content.read"]}],
            ),
            [],
            "no write permission",
        ),
    ],
    ids=[
        "no token",
        "read-only token",
        "expired login",
        "wrong namespace",
        "reader of an organisation",
        "fine-grained",
    ],
)
def test_who_may_not_publish_is_told_before_anything_is_sent(
    author: Author, user: User | None, arguments: list[str], said: str
) -> None:
    author.hub.users.clear()
    if user is None:
        author.token = None
    else:
        author.hub.users[TOKEN] = user
    done = author.publish("--yes", *arguments)
    assert done.returncode == 3
    assert said in done.stderr
    assert not author.hub.repos


def test_an_organisations_member_publishes_there(author: Author) -> None:
    author.hub.users[TOKEN] = User(
        "alice",
        role="fineGrained",
        orgs={"lab": "write"},
        scopes=[{"entity": {"name": "lab"}, "permissions": ["repo.write"]}],
    )
    assert author.publish("--yes", "--only", "dataset", "--namespace", "lab").returncode == 0
    assert list(author.hub.repos) == [("dataset", "lab/letters")]


def test_a_name_that_is_taken_by_another_kind_of_repository(author: Author) -> None:
    author.hub.add_repo("space", "alice/letters")
    done = author.publish("--yes")
    assert done.returncode == 3
    assert "alice/letters is a space" in done.stderr
    assert len(author.hub.repos) == 1


def test_a_base_model_on_the_hub_must_exist(author: Author) -> None:
    path = author.root / "configs/experiments/tiny.yaml"
    path.write_text(path.read_text().replace("models/tiny", "somebody/else"))
    done = author.publish("--yes", "--only", "model")
    assert done.returncode == 3
    assert "somebody/else is not on the Hub" in done.stderr
    assert not author.hub.repos


def test_a_hub_that_is_not_there(author: Author) -> None:
    done = author.publish("--plan", HF_ENDPOINT="http://127.0.0.1:1")
    assert done.returncode == 4
    assert "cannot be reached" in done.stderr
    assert author.publish("--plan", HF_HUB_OFFLINE="1").returncode == 4


# What may not be published.


def test_hostile_text_is_only_text(author: Author, tmp_path: Path) -> None:
    hostile = (
        "---\nlicense: [stolen\n---\n# <script>alert(1)</script> {{ 7 * 7 }} {% raw %} | `rm` $(touch pwned) "
        "[x](javascript:1) &amp; ![i](http://evil.example/x)"
    )
    line = hostile.replace("\n", " ")
    change_project(author.root, summary=hostile, question=line, title=line, limitations=[hostile])
    done = author.publish("--yes")
    assert done.returncode in (0, 3), done.stderr
    for kind, name in (("model", "tiny-lora"), ("dataset", "letters")):
        repo = author.repo(kind, name)
        text = repo.commits[repo.refs["main"]].files["README.md"].path.read_text()
        card = (DatasetCard if kind == "dataset" else ModelCard)(text)
        assert card.data.license == "mit"
        assert "49" not in re.findall(r"\b49\b", text)
        if done.returncode == 3:
            assert repo.private
    assert not list(author.root.rglob("pwned"))


def test_a_secret_in_a_text_is_refused_and_not_shown(author: Author) -> None:
    secret = "hf_" + "Ab1" * 12
    for text in (f"Use {secret} to log in.", "-----BEGIN RSA PRIVATE KEY-----", f"mine is {TOKEN}"):
        change_project(author.root, summary=text)
        done = author.publish("--yes")
        assert done.returncode == 2, text
        assert "looks like a secret" in done.stderr
        assert secret not in done.stdout + done.stderr
    assert not author.hub.repos


@pytest.mark.parametrize(
    ("old", "new", "said", "sent"),
    [
        ("license: mit", "license: [mit]", "does not accept the metadata", False),
        ("https://huggingface.co/alice/tiny", "https://huggingface.co/alice/nothing", "links to the Hub", True),
        ("[Hub](https://huggingface.co/alice/tiny)", "![chart](charts/none.png)", "links to its own files", True),
    ],
    ids=["metadata", "dead link", "missing picture"],
)
def test_a_card_with_a_fault_is_never_seen(author: Author, old: str, new: str, said: str, sent: bool) -> None:
    card = author.root / "models/tiny/README.md"
    assert old in card.read_text()
    card.write_text(card.read_text().replace(old, new))
    done = author.publish("--yes", "--only", "base")
    assert done.returncode == 3
    assert said in done.stderr
    assert bool(author.hub.repos) == sent
    assert all(repo.private for repo in author.hub.repos.values())
    assert not author.receipt_path.exists()


def test_a_snippet_that_fails_is_never_seen(author: Author) -> None:
    folder = author.root / "data/letter_count"
    (folder / "test.parquet").rename(folder / "validation.parquet")  # the snippet loads the test questions
    done = author.publish("--yes", "--only", "dataset")
    assert done.returncode == 3
    assert "the card's snippet runs" in done.stderr
    assert author.repo("dataset", "letters").private
    assert not author.receipt_path.exists()


def test_every_request_is_shown_without_the_token(author: Author) -> None:
    process = author.start("--plan", "--only", "dataset", "--verbose", HF_DEBUG="1")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "/api/whoami-v2" in err
    assert TOKEN not in out + err


def test_the_three_inputs_may_lie_anywhere(author: Author, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.move(author.root / "results/tiny", elsewhere)
    shutil.move(author.root / "checkpoints/best_model", tmp_path / "adapter")
    shutil.move(author.root / "configs/experiments/tiny.yaml", tmp_path / "run.yaml")
    paths = ("--config", str(tmp_path / "run.yaml"), "--model", str(tmp_path / "adapter"))
    done = author.publish("--plan", "--json", *paths, "--results", str(elsewhere / "evaluation_results.json"))
    assert done.returncode == 0, done.stderr
    assert [p["role"] for p in json.loads(done.stdout)["plan"]] == ["base", "dataset", "model"]


def test_links_out_of_the_folder_are_refused(author: Author, tmp_path: Path) -> None:
    outside = tmp_path / "outside.safetensors"
    weights = author.root / "checkpoints/best_model/adapter_model.safetensors"
    shutil.move(weights, outside)
    weights.symlink_to(outside)
    done = author.publish("--yes")
    assert done.returncode == 2
    assert "symbolic link" in done.stderr
    weights.unlink()
    shutil.move(outside, weights)
    shutil.move(author.root / "data/training", tmp_path / "training")
    (author.root / "data/training").symlink_to(tmp_path / "training")
    done = author.publish("--yes")
    assert done.returncode == 2
    assert "another folder" in done.stderr
    results = author.root / "results/tiny/evaluation_results.json"
    changed = json.loads(results.read_text()) | {"predictions": {"file": "../../secret", "sha256": "0" * 64}}
    results.write_text(json.dumps(changed))
    done = author.publish("--yes")
    assert done.returncode == 2
    assert "predictions.file" in done.stderr
    assert not author.hub.repos


def test_a_large_file_needs_little_memory(author: Author) -> None:
    """A sparse gigabyte is hashed, uploaded, read back and hashed again in at most 50 MB more than a small file needs."""

    def peak(*arguments: str) -> int:
        process, most = author.start(*arguments), 0
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
                most = max(most, *(int(m) for m in re.findall(r"VmHWM:\s+(\d+)", status)), 0)
            except (FileNotFoundError, ProcessLookupError):
                break
            time.sleep(0.02)
        process.communicate(timeout=500)
        return most

    small = peak("--yes", "--only", "base")
    weights = author.root / "models/tiny/model.safetensors"
    size = 1024**3
    header = json.dumps({"w": {"dtype": "F16", "shape": [size // 2], "data_offsets": [0, size]}}).encode()
    with weights.open("wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        stream.truncate(8 + len(header) + size)
    repo = author.repo("model", "tiny")
    large = peak("--yes", "--only", "base")
    assert repo.commits[repo.refs["main"]].files["model.safetensors"].size > size
    assert large - small < 50 * 1024, f"{small} kB, then {large} kB"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a megabyte, where the system lets us mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)], check=False).returncode == 0
    )
    yield disk
    if mounted:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_while_the_bundle_is_written_keeps_the_old_one(author: Author, small_disk: Path) -> None:
    output = small_disk / "bundle"
    arguments = ("--dry-run", "--only", "dataset", "--output", str(output))
    assert author.publish(*arguments).returncode == 0
    before = {p: p.read_bytes() for p in output.rglob("*") if p.is_file()}
    process = subprocess.run(
        [sys.executable, "-m", "src.publish", "--dry-run", "--output", str(output)],
        cwd=author.root,
        env=author.environment(),
        capture_output=True,
        text=True,
        check=False,
        # Where no small disk could be mounted, files that may not grow.
        preexec_fn=None if small_disk.is_mount() else lambda: setrlimit(RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert process.returncode == 2
    assert "No space left" in process.stderr or "File too large" in process.stderr
    assert "was not touched" in process.stderr
    assert {p: p.read_bytes() for p in output.rglob("*") if p.is_file()} == before
    assert [p.name for p in small_disk.iterdir()] == ["bundle"]


def test_the_guide_and_the_workflow_use_options_that_there_are() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "src.publish", "--help"], cwd=REPO, capture_output=True, text=True, check=True
    ).stdout
    for file in ("docs/guides/publish.md", ".github/workflows/publish.yml"):
        for line in re.findall(r"src\.publish (.*)", (REPO / file).read_text()):
            for option in re.findall(r"(?<!\S)--[a-z-]+", line):
                assert option in shown, f"{file}: {option}"
