"""Where the links of a card lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from .repository import Repository

HUB_LINK = re.compile(r"https://(?:huggingface\.co|hf\.co)/(datasets/|spaces/)?([\w.-]+/[\w.-]+)/?(?:[?#].*)?$")
"""A link to a repository's page, or to another page with an address of the same form."""


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


def linked_repositories(card: str) -> set[tuple[str, str]]:
    """Return kind and name of what may be a repository on the Hub that a card links to."""
    found = [match for link in links(card) if (match := HUB_LINK.match(link))]
    return {({"datasets/": "dataset", "spaces/": "space"}.get(match[1] or "", "model"), match[2]) for match in found}
