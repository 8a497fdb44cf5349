"""The site, built as a user builds it and looked at in a real browser, every page of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from src.cli import COMMANDS
from src.hub.repository import write_bundle

from .browsing import CHROMIUM, Watched, axe, overflow, serving
from .conftest import REPO, TINY, run_in, succeeds
from .publishing import Bundle
from .records import tables

pytestmark = pytest.mark.slow

WIDTHS = (320, 390, 768, 1280, 2560)
"""Widths in pixels at which nothing scrolls sideways."""


def pages(site: Path) -> list[str]:
    """List the addresses of all pages, relative to the site's root."""
    return sorted(path.relative_to(site).as_posix().removesuffix("index.html") for path in site.rglob("index.html"))


def test_the_build_prints_neither_warning_nor_advertisement(built: tuple[Path, str]) -> None:
    _, output = built
    lines = [line for line in output.splitlines() if line.strip()]
    assert all(line.startswith("INFO") for line in lines), output
    assert "MkDocs 2" not in output
    assert "end of life" not in output


ONE_TEMPLATE = {f"reference/{package}/" for package in ("record", "analysis", "documents", "hub", "experiment")}
"""Long pages of one template, of which axe looks at the shortest."""


KINDS = (
    "", "try-it/", "results/", "results/claims/", "results/breakdowns/", "examples/", "methodology/", "model-card/",
    "reference/configuration/", "guides/publish/",
)  # fmt: skip
"""A page of each kind."""


@pytest.mark.parametrize(
    "every", [False, pytest.param(True, marks=pytest.mark.nightly)], ids=["a page of each kind", "all pages"]
)
def test_pages_in_a_browser(built: tuple[Path, str], address: str, browser: Browser, every: bool) -> None:
    """No request leaves the site, nothing fails, nothing scrolls sideways, and axe finds nothing, whatever the impact.

    The dark scheme differs only in its colors, and the rows of a table not even in them.
    """
    seen = Watched(browser, address, color_scheme="light", reduced_motion="reduce")  # colors change at once
    page = seen.page
    problems: list[str] = []

    assert set(KINDS) <= set(pages(built[0]))
    for path in pages(built[0]) if every else KINDS:
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(address + path, wait_until="networkidle")
        assert page.locator("h1").count() == 1, path
        assert len(page.locator("meta[name=description]").get_attribute("content") or "") > 20, path
        for width in WIDTHS if every else (320, 390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            if overflow(page) > 0:
                page.wait_for_timeout(500)  # the theme may still be moving its parts
            if (over := overflow(page)) > 0:
                problems.append(f"{path} scrolls sideways by {over} px at {width} px")
        if path not in ONE_TEMPLATE:
            page.set_viewport_size({"width": 1280, "height": 900})
            problems += axe(page, f"{path} (light)")
            if not every and path not in ("", "results/"):
                continue
            page.evaluate("document.querySelectorAll('tbody tr:nth-child(n+4)').forEach(row => row.remove())")
            page.evaluate("document.body.dataset.mdColorScheme = 'slate'")
            problems += axe(page, f"{path} (dark)", ["color-contrast"])
    assert not problems, "\n".join(problems)
    assert not seen.wrong


def test_charts_follow_the_scheme_and_have_alternatives_and_tables(address: str, browser: Browser) -> None:
    for scheme, other in (("light", "dark"), ("dark", "light")):
        page = browser.new_context(color_scheme=scheme).new_page()  # type: ignore[arg-type]
        page.goto(address + "results/runs/", wait_until="networkidle")
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")  # all sections, not only the chosen one
        shown = page.locator(f"figure.chart img[src*='.{scheme}.svg']")
        hidden = page.locator(f"figure.chart img[src*='.{other}.svg']")
        assert shown.count() == hidden.count() >= 5
        for i in range(shown.count()):
            shown.nth(i).evaluate("i => i.scrollIntoView()")  # images load when they come into view
            page.wait_for_function("i => i.complete && i.naturalWidth > 0", arg=shown.nth(i).element_handle())
            assert shown.nth(i).is_visible()
            assert not hidden.nth(i).is_visible()
            assert len(shown.nth(i).get_attribute("alt") or "") > 20
        chart = page.locator("figure.chart").first
        assert len(chart.locator("figcaption").inner_text()) > 20
        chart.get_by_text("Numbers", exact=True).click()
        assert chart.locator("table").is_visible()
        with page.expect_download() as download:
            chart.locator("a[download]").click()
        assert Path(download.value.path()).read_text().count("\n") == chart.locator("tbody tr").count() + 1


@pytest.mark.parametrize("path", ["", "results/", "examples/", "examples/?outcome=fixed"])
def test_everything_is_reached_and_seen_by_keyboard(address: str, browser: Browser, path: str) -> None:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(address + path, wait_until="networkidle")
    wanted = page.locator(
        "article a[href]:visible, article button:visible, article input:visible, article select:visible"
    )
    names = wanted.evaluate_all(
        "all => all.filter(e => e.tabIndex >= 0 && !e.disabled).map((e, i) => e.dataset.n = String(i))"
    )
    reached: set[str] = set()
    for _ in range(len(names) + 60):
        page.keyboard.press("Tab")
        state = page.evaluate(
            """() => { const e = document.activeElement, s = getComputedStyle(e), b = e.getBoundingClientRect();
            return [e.dataset.n ?? null, e.tagName, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0, b.width * b.height] }"""
        )
        if state[1] == "BODY":
            break
        if state[0] is not None:
            reached.add(state[0])
            assert state[2], f"the focus on {state} cannot be seen"
            assert state[3] > 0
    radios = page.evaluate("document.querySelectorAll('article input[type=radio]:not(:checked)').length")
    assert len(names) - len(reached) <= radios  # of a group of tabs one is a stop, the arrows reach the others


def test_reduced_motion_and_print(address: str, browser: Browser) -> None:
    page = browser.new_context(reduced_motion="reduce").new_page()
    page.goto(address + "examples/?outcome=fixed", wait_until="networkidle")
    moving = (
        "[...document.querySelectorAll('*')].filter(e => parseFloat(getComputedStyle(e).transitionDuration) > 0).length"
    )
    assert page.evaluate(moving) == 0
    page.emulate_media(media="print")
    assert not page.locator(".explorer-form").is_visible()
    page.set_viewport_size({"width": 700, "height": 990})  # an A4 page
    for path in ("", "results/runs/", "results/breakdowns/"):
        page.goto(address + path, wait_until="networkidle")
        assert page.locator("figure.chart table").first.is_visible()
        cut = "[...document.querySelectorAll('article table')].filter(t => t.getBoundingClientRect().right > innerWidth).length"
        assert page.evaluate(cut) == 0, path


def test_no_markdown_is_left_as_it_was_written(built: tuple[Path, str]) -> None:
    """A list or a table glued to the paragraph before it, or marks that stayed marks."""
    marks = re.compile(r"\n\s*(?:[-*]|\d+\.)\s|^\|.*\||\*\*|\[[^\]]+\]\([^)]+\)", re.MULTILINE)
    for path in sorted(built[0].rglob("*.html")):
        for paragraph in re.findall(r"<p>(.*?)</p>", path.read_text(encoding="utf-8"), re.DOTALL):
            text = re.sub("<[^>]+>", "", paragraph)
            assert not marks.search(text), (path, text[:200])


def test_internal_links_lead_somewhere(built: tuple[Path, str]) -> None:
    site, _ = built
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r'(?:href|src)="([^"]+)"', text):
            if re.match(r"[a-z]+:|//|#", target) or page.name == "404.html":
                continue
            path, _, anchor = target.partition("#")
            resolved = (page.parent / path.split("?")[0]).resolve() if path else page
            file = resolved / "index.html" if resolved.is_dir() else resolved
            assert file.is_file(), f"{page.relative_to(site)} links to {target}"
            if anchor and file.suffix == ".html" and not anchor.startswith("__"):
                assert f'id="{anchor}"' in file.read_text(encoding="utf-8"), f"{page.relative_to(site)}: {target}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_the_space(bundles: tuple[Bundle, Bundle], browser: Browser, tmp_path: Path, scheme: Any) -> None:
    """Axe finds nothing, and nothing scrolls sideways at 320 px."""
    write_bundle([bundles[0].repo("space")], tmp_path)
    with serving(tmp_path / "space", "/a/") as url:
        seen = Watched(browser, url, color_scheme=scheme, viewport={"width": 320, "height": 900})
        seen.page.goto(url + "index.html", wait_until="networkidle")
        assert not axe(seen.page, scheme)
        assert overflow(seen.page) <= 0
        assert not seen.wrong


# Claims.


def test_a_claims_mark_opens_the_condition_under_which_it_is_stated(address: str, browser: Browser) -> None:
    seen = Watched(browser, address, viewport={"width": 390, "height": 900}, reduced_motion="reduce")
    page = seen.page
    for path in ("results/", "try-it/"):
        page.goto(address + path, wait_until="networkidle")
        marks = page.locator("article .claim-mark")
        assert marks.count() == 2, path
        why = page.locator("article .claim-why")
        assert not why.first.is_visible()
        marks.first.focus()
        page.keyboard.press("Enter")
        assert why.first.is_visible()
        assert why.first.get_by_role("link", name="All conditions").is_visible()
        assert "published run, letter count accuracy: valid answers" in why.first.inner_text()
        assert overflow(page) <= 0
        box = why.first.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert not axe(page, f"{path} with a claim's condition open")
        page.keyboard.press("Escape")
        assert not why.first.is_visible()
    assert not seen.wrong


# The examples.


def test_the_examples_are_searched_filtered_sorted_and_linked(address: str, browser: Browser) -> None:
    questions, base, finetuned = (table.to_pylist() for table in tables(TINY))
    page = browser.new_context().new_page()
    answers: list[str] = []
    page.on("response", lambda r: answers.append(r.url) if r.url.endswith("examples.json") else None)
    page.goto(address + "examples/", wait_until="networkidle")
    assert not answers  # nothing is loaded that nobody asked for
    page.get_by_role("button", name="Search and filter all answers").click()
    page.wait_for_selector("[data-ready]")
    status = page.locator(".explorer-count")
    rows = page.locator(".explorer tbody tr")
    assert status.inner_text() == f"{len(questions)} of {len(questions)} questions"
    assert rows.count() == 25
    heads = page.locator(".explorer thead th").all_inner_texts()

    def column(name: str) -> list[str]:
        return page.locator(f".explorer tbody tr td:nth-child({heads.index(name) + 1})").all_inner_texts()

    task = "letter_position_reworded"
    page.locator("select[name=task]").select_option(task)
    page.locator("select[name=outcome]").select_option("both wrong")
    page.locator("select[name=sort]").select_option("by_word")
    wanted = [
        row
        for row, first, second in zip(questions, base, finetuned, strict=True)
        if row["task"] == task and not first["correct"] and not second["correct"]
    ]
    assert 0 < len(wanted) <= 25
    assert status.inner_text() == f"{len(wanted)} of {len(questions)} questions"
    assert column("Word") == sorted(row["word"] for row in wanted)
    assert set(column("Outcome")) == {"both wrong"}
    position = wanted[0]["position"]
    page.locator("select[name=by_position]").select_option(str(position))
    there = [row for row in wanted if row["position"] == position]
    assert sorted(column("Right answer")) == sorted(row["reference"] for row in there)
    page.locator("select[name=by_position]").select_option("")
    page.locator("select[name=task]").select_option("")
    page.get_by_role("button", name="Next").click()
    again = browser.new_context().new_page()
    again.goto(page.url, wait_until="networkidle")
    again.wait_for_selector("[data-ready]")
    assert again.locator(".explorer tbody tr").first.inner_text() == rows.first.inner_text()
    page.locator("select[name=outcome]").select_option("")
    word = wanted[0]["word"]
    page.locator(".explorer-form input").fill(word.upper())
    assert set(column("Word")) == {word}


def test_pages_work_without_scripts(address: str, browser: Browser) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(address + "examples/")
    assert page.locator("article table tbody tr").count() >= 6
    assert page.get_by_text("answers.csv").is_visible()
    page.goto(address + "try-it/")
    assert page.locator(".try-it table tbody tr").count() >= 3
    assert "With JavaScript" in page.locator(".try-it noscript").inner_text()
    page.goto(address + "results/runs/")
    sections = page.locator("[data-choice]")
    assert sections.filter(visible=True).count() == sections.count() > 3


def test_one_metric_is_chosen_and_shown(address: str, browser: Browser) -> None:
    seen = Watched(browser, address)
    page = seen.page
    page.goto(address + "results/runs/", wait_until="networkidle")
    sections = page.locator("[data-choice]")
    choice = page.get_by_label("Metric")
    assert sections.count() > 3
    assert sections.filter(visible=True).count() == 1
    label = sections.nth(2).get_attribute("data-choice")
    choice.select_option(label=label)
    assert sections.filter(visible=True).get_by_role("heading").inner_text().startswith(label or "?")
    page.goto(f"{address}results/runs/#{sections.nth(1).locator('h2').get_attribute('id')}")
    assert sections.nth(1).is_visible()
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert sections.filter(visible=True).count() == sections.count()
    assert not seen.wrong


# Weight, marks and previews.


@pytest.mark.nightly
def test_lighthouse_on_a_phone(address: str, tmp_path: Path) -> None:
    """Accessibility, best practices and search engines: 100 each. The score that depends on the clock is not asked for."""
    program = REPO / ".cache/npm/node_modules/.bin/lighthouse"
    assert CHROMIUM, "Chromium is not installed: install it, so that it is on the PATH"
    assert program.is_file(), "Lighthouse is not installed: `make .cache/npm/lighthouse` installs it, with npm"
    output = tmp_path / "scores.json"
    command = [
        str(program), f"{address}examples/", "--quiet", "--output=json", f"--output-path={output}",
        "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
        "--only-categories=accessibility,best-practices,seo",
    ]  # fmt: skip
    subprocess.run(command, env={**os.environ, "CHROME_PATH": CHROMIUM}, check=True, timeout=180)
    scores = {name: c["score"] for name, c in json.loads(output.read_text())["categories"].items()}
    assert scores == {"accessibility": 1, "best-practices": 1, "seo": 1}


# The reference.


def test_every_command_explains_itself_and_the_site_has_every_option(
    built: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (built[0] / "reference/commands/index.html").read_text()
    monkeypatch.setenv("COLUMNS", "200")
    for name in COMMANDS:
        shown = succeeds(REPO, name, "--help").stdout
        assert f"python -m src.{name}" in shown
        assert f"src.{name}" in (REPO / "README.md").read_text()
        for option in re.findall(r"(?<=\s)--[a-z-]+(?![a-z_-])", shown):
            assert re.search(rf"<code>[^<]*(?<![a-z-]){option}(?![a-z-])", page), f"{name} {option}"


# Other builders.


@pytest.mark.nightly
@pytest.mark.parametrize("builder", ["properdocs", "zensical"])
def test_another_builder_makes_the_same_pages(
    built: tuple[Path, str], project: Path, tmp_path: Path, builder: str
) -> None:
    source = tmp_path / "source"
    assert run_in(project, "-m", "gen", str(source)).returncode == 0
    done = run_in(source, "-m", builder, "build", "-f", "mkdocs.yml", PYTHONPATH=str(REPO))
    assert done.returncode == 0, done.stdout + done.stderr
    assert pages(source / "site") == pages(built[0])
    for name in ("assets/charts/metrics.light.svg", "assets/data/examples.json", "assets/social.png"):
        assert (source / "site" / name).read_bytes() == (built[0] / name).read_bytes()
