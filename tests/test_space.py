"""The Space, published to the local Hub and tried in a real browser before anybody sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from src.documents.build import Documents
from src.documents.context import Context
from src.hub.bundle import collect_space, write_bundle

from .browsing import Watched, browsing, serving
from .conftest import copy_project
from .hub_server import Fault, HubServer, User
from .publishing import TOKEN, Author, change_project, commits
from .records import without_study

pytestmark = pytest.mark.slow

BROWSER = "in a browser, the Space answers as on record"


@pytest.fixture
def author(tmp_path: Path) -> Iterator[Author]:
    server = HubServer(tmp_path / "hub")
    server.users[TOKEN] = User("alice")
    server.start()
    root = copy_project(tmp_path / "project")
    without_study(root)
    yield Author(server, root)
    server.stop()


def test_the_space_is_tried_before_it_is_released(author: Author) -> None:
    hub = author.hub
    early = author.publish("--yes", "--only", "space")
    assert early.returncode == 3
    assert "not published yet" in early.stderr
    assert not hub.repos
    done = author.publish("--yes", "--collection", "Spelling")
    assert done.returncode == 0, done.stderr
    receipt = author.receipt
    space = author.repo("space", "try-spelling-lora")
    assert not space.private
    checks = {c["name"]: c for c in receipt["checks"] if c["repo"] == "space"}
    assert checks[BROWSER]["outcome"] == "passed", checks
    assert "2 weight files from the Hub" in checks[BROWSER]["detail"]
    links = [c["outcome"] for c in receipt["checks"] if c["name"] == "links to the Hub"]
    assert links
    assert set(links) == {"passed"}  # also those to the Space, which came last
    published = {repo["role"]: repo["commit"] for repo in receipt["repos"]}
    assert set(published) == {"base", "dataset", "model", "space"}
    files = json.loads(space.commits[published["space"]].files["demo/demo.json"].path.read_text())["files"]
    assert {file["url"].split("/resolve/")[1].split("/")[0] for file in files} == {
        published["base"],
        published["model"],
    }
    assert "style.css" not in space.commits[published["space"]].files  # the Hub's own first page is gone
    (collection,) = hub.collections.values()
    assert sorted(item["type"] for item in collection["items"]) == ["dataset", "model", "model", "space"]
    card = (
        author.repo("model", "gpt2-mini-spelling-lora").commits[published["model"]].files["README.md"].path.read_text()
    )
    assert "https://huggingface.co/spaces/alice/try-spelling-lora" in card

    # Weights that do not arrive whole: the browser sees it, and what visitors see stays as it was.
    change_project(author.root, summary="Another summary.")
    hub.faults.append(Fault("GET", r"^/alice/gpt2-mini/resolve/.*model\.safetensors", "truncate", times=9))
    broken = author.publish("--yes", "--only", "space")
    assert broken.returncode == 3, broken.stderr
    assert f"space: {BROWSER}" in broken.stderr
    assert (commits(space), author.receipt) == (1, receipt)
    hub.faults.clear()
    mended = author.publish("--yes", "--only", "space")
    assert mended.returncode == 0, mended.stderr
    assert commits(space) == 2
    assert {r["role"]: r["commit"] for r in author.receipt["repos"]} == published | {"space": space.refs["main"]}


def test_private_models_have_no_space(author: Author) -> None:
    change_project(author.root, visibility="private")
    done = author.publish("--yes", "--only", "space")
    assert done.returncode == 2
    assert "could not read private models" in done.stderr
    assert not author.hub.repos


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_the_space(context: Context, tmp_path: Path, scheme: str) -> None:
    """Without a script it shows recorded answers; axe finds nothing, and nothing scrolls sideways at 320 px."""
    names = context.names.__class__.of(context.record, "alice")
    repo = collect_space(Documents(Context(context.record, names)))
    assert repo is not None
    write_bundle([repo], tmp_path / "bundle")
    with serving(tmp_path / "bundle/space", "/a/") as url, browsing() as browser:
        seen = Watched(
            browser, url, color_scheme=scheme, viewport={"width": 320, "height": 900}, java_script_enabled=True
        )
        seen.page.goto(url + "index.html", wait_until="networkidle")
        assert not [v["id"] for v in Axe().run(seen.page).response["violations"]]
        assert seen.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert not seen.wrong
