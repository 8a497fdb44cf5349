"""Where the links of a card lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from .repository import Repository


def links(card: str) -> list[str]:
    """List the targets of a card's links and images, each once, in order; its metadata is left out."""
    body = re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL)
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    return list(dict.fromkeys(_targets(tokens)))


def _targets(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        target = token.attrGet("href") or token.attrGet("src")
        if target:
            yield str(target)
        yield from _targets(token.children or [])


def links_inside(repo: Repository) -> list[str]:
    """List the links of a card to files that the repository does not have."""
    targets = [link for link in links(repo.card) if not urlsplit(link).scheme and not link.startswith("#")]
    return [link for link in targets if str(PurePosixPath(unquote(urlsplit(link).path))) not in repo.files]
