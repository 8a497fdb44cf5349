"""What an author writes in the configs is Markdown and never HTML, on the site, on the Hub and in print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from src.documents.build import build
from src.documents.prose import prose

from .conftest import copy_tiny, once, run_in

HOSTILE = (
    'H{0}<img src=x onerror="pwned({0})"><script>pwned({0})</script></title><script>pwned({0})</script>"><script>pwned({0})</script> '
    '![a](b.png){{ onerror="pwned({0})" }} [go](javascript:pwned({0})) [on](java&#115;cript:pwned({0})) `<b>code {0}</b>` '
    "<https://example.org/{0}>"
)
"""What a config may hold; the number says where it came from."""


def poison(value: Any, number: Iterator[int]) -> Any:
    """Put hostile text into every text of a config that people read."""
    if isinstance(value, dict):
        return {key: poison(item, number) for key, item in value.items()}
    if isinstance(value, list):
        return [poison(item, number) for item in value]
    return f"{HOSTILE.format(next(number))} {value}"


@pytest.fixture(scope="module")
def poisoned(session_folder: Path) -> Path:
    return once(session_folder / "poisoned", build_poisoned)


def build_poisoned(root: Path) -> None:
    copy_tiny(root)
    number = count(1)
    prose = {
        "configs/project.yaml": (
            "title", "question", "headline", "summary", "base_model_note", "introduction", "related_work", "license_name", "limitations",
            "risks", "recommendations", "acknowledgments", "future_work", "uses",
        ),
        "configs/experiments/tiny.yaml": ("note",),
    }  # fmt: skip
    for name, keys in prose.items():
        path = root / name
        data = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump(data | {key: poison(data.get(key, ""), number) for key in keys}))
    for name, keys in (("metrics", ("label", "definition")), ("criteria", ("label",))):
        path = root / f"configs/{name}.yaml"
        data = yaml.safe_load(path.read_text())
        for entry in list(data[name].values())[:4]:  # of more, pandoc takes minutes to untangle the brackets
            entry.update({key: poison("", number) for key in keys})
        path.write_text(yaml.safe_dump(data))
    done = run_in(root, "-m", "mkdocs", "build", "--quiet", "--no-strict")
    assert done.returncode == 0, done.stderr


class Found(HTMLParser):
    """What a browser would run, of what the author wrote, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            called = (name.startswith("on") or name in ("href", "src")) and "pwned(" in (value or "")
            if called or (name, value) == ("src", "x"):
                self.runs.append(f"<{tag} {name}={value!r}>")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script" and "pwned" in data:
            self.runs.append(f"<script>{data[:60]}")
        self.text += data


@pytest.mark.slow
def test_html_in_the_configs_is_text_on_every_page(poisoned: Path) -> None:
    seen = ""
    for page in sorted((poisoned / "site").rglob("*.html")):
        found = Found()
        found.feed(page.read_text())
        assert not found.runs, f"{page.relative_to(poisoned)}: {found.runs}"
        twice = re.search("&#(?!115).{40}", found.text)  # 115 is the author's own
        assert not twice, f"{page.relative_to(poisoned)}: {twice}"
        seen += found.text
    for number in (1, 2, 3, 9):
        assert f'H{number}<img src=x onerror="pwned({number})">' in seen
        assert f"<b>code {number}</b>" in seen  # as code


@pytest.mark.slow
def test_html_in_the_configs_is_text_on_the_hub(poisoned: Path) -> None:
    documents = build(poisoned, None)
    for role, card in enumerate((documents.model_card, documents.dataset_card, documents.base_card)):
        assert card is not None
        tokens = MarkdownIt("commonmark").enable("table").parse(card.text.split("\n---\n", 1)[1])
        inline = [child for token in tokens for child in token.children or []]
        html = [t.content for t in (*tokens, *inline) if t.type in ("html_block", "html_inline")]
        assert not [text for text in html if "pwned" in text or "img" in text], role
        assert not [t.attrs for t in inline if "pwned" in json.dumps(t.attrs)], role


def test_a_colon_may_follow_a_citation() -> None:
    cited = "It depends on training [@knuth1984; @turing1950]: in that design"
    assert prose(cited) == cited
    assert prose("[x]: javascript:alert(1)").startswith("[x&#93;:")
    assert prose("[@knuth1984](javascript:alert(1))").startswith("[@knuth1984&#93;(")
