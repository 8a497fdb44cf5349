"""The site of other records: hostile, minimal, another project's, large; served, changed and deployed."""

from __future__ import annotations

import csv
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser

from gen.site import theme_language

from .browsing import Watched, overflow, serving
from .conftest import REPO, copy_tiny, run_in
from .publishing import change_project
from .records import HOSTILE, edit_text, hostile_answers, tables

pytestmark = pytest.mark.slow


@pytest.mark.nightly
def test_hostile_answers_show_as_text_everywhere(tmp_path: Path, browser: Browser) -> None:
    root = copy_tiny(tmp_path / "project")
    hostile_answers(root, HOSTILE, word="<b>word</b>|`", tokens=["<b>wo", "rd</b>|`"])
    done = run_in(root, "-m", "mkdocs", "build")
    assert done.returncode == 0, done.stdout + done.stderr
    with serving(root / "site") as address:
        seen = Watched(browser, address, viewport={"width": 400, "height": 800})
        for path in ("examples/", "results/", "results/breakdowns/", "model-card/"):
            seen.page.goto(address + path, wait_until="networkidle")
            assert seen.page.evaluate("window.pwned") is None
            assert seen.page.locator("article img[src='x'], article a[href^='javascript']").count() == 0
            assert overflow(seen.page) <= 0, path
            text = seen.page.locator("article").inner_text()
            assert not re.search(r"[\x00\x1b\u202e\u2066\u200b]", text), path
            assert "x" * 400 not in text
        seen.page.goto(address + "examples/?outcome=fixed", wait_until="networkidle")
        assert seen.page.get_by_text("<script>window.pwned = 1</script>").first.is_visible()
        seen.page.locator(".explorer-form input").fill("word")
        assert seen.page.locator("td", has_text="<b>word</b>|`").first.is_visible()
        seen.page.wait_for_timeout(500)
        assert seen.page.evaluate("window.pwned") is None
        assert not seen.wrong
    index = (root / "site/search/search_index.json").read_text()
    assert "<script>window" not in index
    with (root / "site/assets/data/answers.csv").open(newline="", encoding="utf-8") as stream:
        table = list(csv.reader(stream))
    assert len(table) == len(tables(root)[0]) + 1
    assert {len(row) for row in table} == {len(table[0])}
    assert not [cell for row in table for cell in row if cell.startswith(("=", "@")) or "\x00" in cell]
    scores = [row[table[0].index("base_score")] for row in table[1:]]
    assert all(float(score) < 0 for score in scores), "numbers stay numbers"


# Serving and deploying.


@pytest.mark.nightly
def test_serve_rebuilds_once_for_a_change_and_shows_it(minimal: Path, tmp_path: Path) -> None:
    root, log = minimal, tmp_path / "log"
    (root / "src").unlink()
    shutil.copytree(REPO / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{found.getsockname()[1]}"
    environment = {**os.environ, "PYTHONPATH": str(root), "ENABLE_MKDOCSTRINGS": "false"}
    command = [sys.executable, "-m", "mkdocs", "serve", "-a", place]
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=stream, stderr=stream)

    def builds() -> int:
        """Count builds; "Documentation built in 4.37 seconds" is not logged where another took as long."""
        return sum(log.read_text().count(end) for end in ("Serving on", "Reloading browsers"))

    changes = (
        ("docs/guides/inputs.md", "Anything else is", "Anything zebra is", "guides/inputs/"),
        ("src/fragments/pages/results/index.md.j2", "How the questions", "How the zebra", "results/"),
        ("configs/project.yaml", "headline: How many", "headline: How zebra", ""),
        ("docs/fragments/glossary.md.j2", "a piece of text", "a piece of zebra", "guides/glossary/"),
        ("results/tiny/evaluation_results.json", "0.43", "0.44", "results/"),
    )
    try:
        for number, (name, old, new, where) in enumerate((("", "", "", ""), *changes), start=1):
            if name:
                edit_text(root / name, (old, new))
            deadline = time.monotonic() + 240  # a cold build on a busy machine
            while builds() < number and time.monotonic() < deadline:
                assert process.poll() is None, log.read_text()
                time.sleep(0.2)
            time.sleep(3)  # a loop would build again by now
            assert builds() == number, log.read_text()
            shown = "44.0%" if new == "0.44" else new.removeprefix("headline: ")
            assert shown in urlopen(f"http://{place}/{where}").read().decode(), name
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.nightly
def test_gh_deploy_publishes_a_site_that_works_under_a_path(minimal: Path, tmp_path: Path, browser: Browser) -> None:
    """Link previews have a picture there, since the address is known."""
    bare = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    for command in ("init -q -b main", "commit -q --allow-empty -m start", f"remote add origin {bare}"):
        author = ["-c", "user.name=Author", "-c", "user.email=author@example.org"]
        subprocess.run(["git", *author, *command.split()], cwd=minimal, check=True)
    names = {f"GIT_{who}_{what}": "author@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    known = "https://example.org/spelling/"
    change_project(minimal, site_url=known)
    done = run_in(minimal, "-m", "mkdocs", "gh-deploy", "--force", SITE_URL="https://example.org/elsewhere/", **names)
    assert done.returncode == 0, done.stdout + done.stderr
    subprocess.run(["git", "clone", "-q", "-b", "gh-pages", str(bare), str(tmp_path / "pages")], check=True)
    page = (tmp_path / "pages/results/index.html").read_text()
    assert f'<meta property="og:image" content="{known}assets/social.png">' in page
    assert struct.unpack(">II", (tmp_path / "pages/assets/social.png").read_bytes()[16:24]) == (1200, 630)
    with serving(tmp_path / "pages", "/spelling/") as address:
        seen = Watched(browser, address)
        for path in ("", "results/training/", "model-card/", "reference/hub/", "404.html"):
            seen.page.goto(address + path, wait_until="networkidle")
        assert not seen.wrong


def test_the_site_is_in_the_projects_language_and_at_its_address(project: Path) -> None:
    change_project(project, language="de", site_url="https://example.org/tiere")
    done = run_in(project, "-m", "mkdocs", "build", SITE_URL="https://example.org/elsewhere/")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (project / "site/methodology/index.html").read_text()
    assert '<html lang="de"' in page
    assert 'placeholder="Suche"' in page
    assert '<link rel="canonical" href="https://example.org/tiere/methodology/">' in page
    assert 'href="/tiere/assets/stylesheets/' in (project / "site/404.html").read_text()
    assert theme_language("tlh") == "en"  # which the theme does not speak
