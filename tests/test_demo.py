"""Try it: the engine gives the answers of the record, and the page holds in a real browser whatever is typed into it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from tokenizers import Tokenizer

from src.documents.demo import Demo, find_demo
from src.record.load import Record, load_record

from .browsing import Watched, axe, overflow, serving
from .conftest import DEMO, REPO, TINY
from .records import edit_text, set_column

ALL = os.environ.get("TRY_IT") == "all"
"""Whether every spelling and 300 choices per task are compared, which takes ten minutes, or a part of each."""

ODD = ("   ", "qxzj" * 50, "🍓🍓", "<img src=x onerror=alert(1)>", "клубника", "<|endoftext|>")
"""What is typed instead of a word."""

Ask = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


def find(root: Path) -> Demo:
    found = find_demo(load_record(root))
    assert isinstance(found, Demo), found
    return found


@pytest.fixture(scope="module")
def demo() -> Demo:
    return find(TINY)


COMMITTED = pytest.param(REPO, id="committed", marks=[pytest.mark.nightly, pytest.mark.committed])


@pytest.fixture(scope="module", params=[pytest.param(TINY, id="tiny"), COMMITTED])
def asked(request: pytest.FixtureRequest) -> Demo:
    """What the engine is asked about: the tiny record, and nightly the committed one."""
    return find(request.param)


@pytest.fixture(scope="module")
def ask(asked: Demo, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Ask the engine in Node; an answer per case."""
    node = shutil.which("node")
    assert node, "Node is not installed: install it, so that it is on the PATH"
    folder = tmp_path_factory.mktemp("engine")
    for name, content in asked.site_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    shutil.copy(DEMO / "engine.js", folder / "engine.mjs")
    paths = [folder / "engine.mjs", folder / "assets/demo", folder / "cases.json"]

    def answers_of(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        paths[-1].write_text(json.dumps(cases))
        command = [node, str(REPO / "tests/ask.mjs"), *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
        assert done.returncode == 0, done.stderr
        answers: list[dict[str, Any]] = json.loads(done.stdout)["answers"]
        return answers

    return answers_of


SHOWN = ("base", "further", "finetuned")
"""The models in the order of the page."""


def rows_of(demo: Demo, kind: Any) -> list[dict[str, Any]]:
    """Return the questions of a kind, with the prompt and all models' answers."""
    rows: list[dict[str, Any]] = []
    for model, name in (("base", "base"), ("finetuned", demo.record.run_name), ("further", "no-hints-1")):
        found = demo.record.answered(name, demo.questions[kind].task)
        assert found is not None
        rows = rows or [
            row | {"prompt": prompt} for row, prompt in zip(found.questions.to_pylist(), found.prompts(), strict=True)
        ]
        for column in ("answer", "score", "scores", "chosen"):
            for row, value in zip(rows, found.answers[column].to_pylist(), strict=True):
                row[f"{model}_{column}"] = value
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["spelling", "count", "position"])
def test_the_engine_gives_the_answers_on_record(asked: Demo, ask: Ask, kind: Any) -> None:
    """Both models: equal answers, and scores within a thousandth."""
    question = asked.questions[kind]
    rows = rows_of(asked, kind)
    rows = (rows if kind == "spelling" else rows[:300]) if ALL else rows[:: max(1, len(rows) // 12)]
    shared = {"kind": kind, "prefix": question.prefix, "candidates": question.candidates}
    given = [(model, row) for model in ("base", "finetuned") for row in rows]
    cases = [shared | {"model": model, "prompt": row["prompt"].removeprefix(question.prefix)} for model, row in given]
    for (model, row), found in zip(given, ask(cases), strict=True):
        assert found["answer"] == row[f"{model}_{'chosen' if question.candidates else 'answer'}"], (model, row["id"])
        if question.candidates:  # scores are stored in half precision: three digits
            known = row[f"{model}_scores"]
            odd = max(abs(a - b) / max(1, abs(b)) for a, b in zip(found["scores"], known, strict=True))
            assert odd < 2e-3, row["id"]
        else:
            assert abs(found["score"] - row[f"{model}_score"]) < 1e-3, (model, row["id"])


@pytest.mark.slow
def test_the_engine_cuts_texts_as_the_tokenizer_does(asked: Demo, ask: Ask) -> None:
    texts = [
        *ODD,
        *(f" {row['word']}?\n" for row in asked.examples),
        "It's  12 o'clock,\tthey'LL say\u2028\u0085 we've\n\n ne\u0301e  ",
        "a<|endoftext|> b",
        "日本語 ﷺ ½ Ⅷ _x_ \ufeff\u00a0end",
    ]
    tokenizer = Tokenizer.from_file(str(asked.files["base/tokenizer.json"]))
    for text, found in zip(texts, ask([{"text": text} for text in texts]), strict=True):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert found["ids"] == ids, text
        assert found["back"] == tokenizer.decode(ids, skip_special_tokens=True), text


def test_prompts_come_from_the_record(demo: Demo) -> None:
    """Every prompt of the record is what the page would ask."""
    assert set(demo.questions) == {"spelling", "count", "position"}
    fill = re.compile(r"\{(word|letter|ordinal)\}")
    for kind, question in demo.questions.items():
        for row in rows_of(demo, kind):
            values = {"word": row["word"], "letter": row["letter"], "ordinal": question.ordinals.get(row["position"])}
            asked = question.prefix + fill.sub(lambda found, values=values: str(values[found[1]]), question.template)
            assert asked == row["prompt"]


CONFIG, ADAPTER = "models/tiny/config.json", "checkpoints/best_model/adapter_config.json"


@pytest.mark.parametrize(
    ("path", "old", "new", "reason"),
    [
        ("configs/project.yaml", "tags:", "try_it_megabytes: 0\ntags:", "larger than"),
        (CONFIG, '"gpt2"', '"gpt_neo"', "not a GPT-2"),
        (CONFIG, "gelu_new", "relu", "unusual GPT-2"),
        ("models/tiny/tokenizer.json", '"normalizer": null', '"normalizer": {"type": "NFC"}', "tokenizer"),
        (ADAPTER, '"use_dora": false', '"use_dora": true', "not a plain LoRA"),
        (ADAPTER, '"inference_mode": true', '"inference_mode": false', "not the one that was evaluated"),
    ],
)
def test_what_a_browser_cannot_run_is_left_out(project: Path, path: str, old: str, new: str, reason: str) -> None:
    edit_text(project / path, (old, new))
    found = find_demo(load_record(project))
    assert isinstance(found, str)
    assert reason in found


def test_columns_of_another_project_are_no_questions_about_words(record: Record) -> None:
    """A column may have the name of ours, and other values."""
    questions = record.loaded.questions
    assert questions is not None
    numbered = set_column(questions.table.drop_columns(["word"]), "word", list(range(len(questions.table))))
    found = find_demo(replace(record, loaded=replace(record.loaded, questions=replace(questions, table=numbered))))
    assert found == "the questions are not about the letters of words"


def begin(page: Page) -> None:
    """Load the models, and wait until both have answered."""
    page.locator(".try-it-load").click()
    answered(page)


def answered(page: Page) -> None:
    page.wait_for_selector(".try-it[data-state=done]", timeout=120_000)


def ask_for(page: Page, word: str) -> None:
    page.locator(".try-it-form input").fill(word)
    page.locator(".try-it-form button").click()


@pytest.mark.slow
def test_the_page_answers_as_on_record(address: str, browser: Browser, demo: Demo) -> None:
    """A question of the test set, opened from its address: the live answers are those on record, and both are shown."""
    row = rows_of(demo, "count")[7]
    seen = Watched(browser, address)
    page = seen.page
    page.goto(address + "examples/", wait_until="networkidle")
    page.locator(".explorer-open").click()
    page.locator(".explorer-form input").fill(row["word"])
    page.locator(".explorer-table a").first.click()
    page.wait_for_url("**/try-it/?word=**")  # a question in the address is asked at once
    answered(page)
    assert page.locator(".try-it-form input").input_value() == row["word"]
    assert page.locator(".try-it-choice input:checked").first.get_attribute("value") == row["letter"]
    count = page.locator(".try-it-bars").first
    page.locator(".try-it-out summary").first.click()  # what it would choose is in details
    assert count.locator(".try-it-right-row th").inner_text().startswith(row["reference"])
    together = count.locator("tr").last.locator("td").all()
    assert len(together) == 3, "base model and both adapters"
    for cell, model in zip(together, SHOWN, strict=True):
        assert cell.get_attribute("data-answer") == row[f"{model}_chosen"]
    written = page.locator(".try-it-table:not(.try-it-bars)").first.locator("td").all()
    for cell, model in zip(written, SHOWN, strict=True):
        assert (cell.get_attribute("data-answer") or "")[:64] == row[f"{model}_answer"]
        assert f"on record: {row[f'{model}_answer'] or 'nothing'}" in cell.inner_text()
    spelled = rows_of(demo, "spelling")[0]
    ask_for(page, spelled["word"])
    answered(page)
    cells = page.locator(".try-it-letters[data-answer]").all()[-3:]  # how it is spelled comes last
    for cell, model in zip(cells, SHOWN, strict=True):
        assert cell.get_attribute("data-answer") == spelled[f"{model}_answer"]
    assert not seen.wrong


@pytest.mark.slow
def test_nothing_is_loaded_before_the_first_question_and_no_model_twice(address: str, browser: Browser) -> None:
    context = browser.new_context()
    for path, loads in (("", True), ("try-it/", False)):
        page = context.new_page()
        loaded: list[tuple[str, int]] = []
        asked: list[str] = []
        page.on("response", lambda r, loaded=loaded: loaded.append((r.url, len(r.body()) if r.ok else 0)))
        page.goto(address + path, wait_until="networkidle")
        assert "MB" in page.locator(".try-it-note").first.inner_text()
        names = [url.rsplit("/", 1)[-1] for url, _ in loaded]
        assert not {"demo.json", "worker.js", "engine.js", "model.safetensors"} & set(names)
        assert sum(size for url, size in loaded if "/demo/" in url) < 50_000
        transferred = page.evaluate("performance.getEntries().reduce((n, e) => n + (e.encodedBodySize ?? 0), 0)")
        assert transferred < 300_000, path
        page.on("request", lambda r, asked=asked: asked.append(r.url))
        begin(page)
        assert any("safetensors" in url for url in asked) is loads, path


@pytest.mark.slow
@pytest.mark.parametrize("path", ["", "try-it/"])
def test_accessible_and_narrow(address: str, browser: Browser, path: str) -> None:
    """After all models have answered: axe finds nothing in either scheme, all by keyboard; no word is too odd or wide at 320 px."""
    seen = Watched(browser, address, viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = seen.page
    page.goto(address + path, wait_until="networkidle")
    page.locator(".try-it-load").focus()
    page.keyboard.press("Enter")
    answered(page)
    page.locator(".try-it-form input").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("berries")
    page.keyboard.press("Enter")
    answered(page)
    page.locator(".try-it-choice input:checked").first.focus()
    page.keyboard.press("ArrowRight")
    answered(page)
    assert page.locator(".try-it-choice input:checked").count() == 2
    problems = axe(page, f"{path} (light)")
    page.evaluate("document.body.dataset.mdColorScheme = 'slate'")
    problems += axe(page, f"{path} (dark)", ["color-contrast"])
    assert not problems, "\n".join(problems)
    page.set_viewport_size({"width": 320, "height": 900})
    page.wait_for_timeout(300)
    assert overflow(page) <= 0
    for word in ODD if path else ():
        ask_for(page, word)
        if not word.strip():
            assert "Type a word" in page.locator(".try-it-status").inner_text()
            continue
        answered(page)
        assert len(page.locator(".try-it input[type=text]").input_value()) <= 64
        assert "All models have answered" in page.locator(".try-it-status").inner_text(), word
        assert page.locator(".try-it img").count() == 0, word
        assert "something else" in page.locator(".try-it-note").first.inner_text()
        assert overflow(page) <= 0, word
    assert not seen.wrong


@pytest.mark.slow
def test_a_file_cut_short_is_said(built: tuple[Path, str], browser: Browser, tmp_path: Path) -> None:
    broken = tmp_path / "site"
    shutil.copytree(built[0], broken, copy_function=os.link)
    weights = broken / "assets/demo/base/model.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(content[:-1000])
    with serving(broken) as url:
        page = browser.new_context().new_page()
        page.goto(url + "try-it/", wait_until="networkidle")
        page.locator(".try-it-load").click()
        page.wait_for_selector(".try-it-wrong")
        assert f"{len(content) - 1000:,} bytes came, of {len(content):,}" in page.locator(".try-it-status").inner_text()
        assert page.locator(".try-it-load").is_enabled()
        weights.write_bytes(content)
        begin(page)  # the same button, once the file is whole


@pytest.mark.slow
def test_where_it_cannot_run_it_says_so(built: tuple[Path, str], address: str, browser: Browser, demo: Demo) -> None:
    first = demo.examples[0]
    page = browser.new_context().new_page()
    page.goto((built[0] / "try-it/index.html").as_uri())
    assert "python -m http.server" in page.locator(".try-it").inner_text()
    assert first["question"] in page.locator(".try-it").inner_text()
    assert page.locator(".try-it-load").count() == 0
    page = browser.new_context().new_page()
    page.add_init_script("delete window.Worker")
    page.goto(address + "try-it/", wait_until="networkidle")
    assert "This browser cannot run the models" in page.locator(".try-it").inner_text()
