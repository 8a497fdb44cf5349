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
"""A link to a repository's page."""

PAGES = frozenset(
    {
        "api", "blog", "buckets", "chat", "collections", "datasets", "docs", "enterprise", "inference", "jobs", "join", "kernels",
        "landing", "learn", "login", "models", "new", "notifications", "organizations", "papers", "posts", "pricing", "search",
        "settings", "spaces", "storage", "support", "tasks", "terms-of-service",
    }
)  # fmt: skip
"""First parts of addresses at the Hub that are no user's or organization's: what follows is a page and no repository."""

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


def inside(repo: Repository) -> list[str]:
    """List the links of a card to files that the repository does not have."""
    targets = [link for link in links(repo.card) if not urlsplit(link).scheme and not link.startswith("#")]
    return [link for link in targets if str(PurePosixPath(unquote(urlsplit(link).path))) not in repo.files]


def repository(link: str) -> tuple[str, str] | None:
    """Return kind and name of the repository on the Hub that a link leads to; None if it leads elsewhere."""
    match = HUB_LINK.match(link)
    if match is None or match[2].split("/")[0] in PAGES:
        return None
    return {"datasets/": "dataset", "spaces/": "space"}.get(match[1] or "", "model"), match[2]
