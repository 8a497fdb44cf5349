"""Where the links of a card lead."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import httpx2
from huggingface_hub.errors import HFValidationError
from markdown_it import MarkdownIt
from markdown_it.token import Token

from src.record.publication import Check

from .bundle import Repository
from .client import Hub

HUB_LINK = re.compile(r"https://(?:huggingface\.co|hf\.co)/(datasets/|spaces/)?([\w.-]+/[\w.-]+)/?(?:[?#].*)?$")
"""A link to a repository's page."""

PAGES = frozenset(
    {
        "api", "blog", "buckets", "chat", "collections", "datasets", "docs", "enterprise", "inference", "jobs", "join", "kernels",
        "landing", "learn", "login", "models", "new", "notifications", "organizations", "papers", "posts", "pricing", "search",
        "settings", "spaces", "storage", "support", "tasks", "terms-of-service",
    }
)  # fmt: skip
"""First parts of addresses at the Hub that are no user's or organisation's: what follows is a page and no repository."""

HUB_LINKS = "links to the Hub"
"""Name of the check of links to repositories."""

SECONDS = 10
"""Longest wait for a page outside the Hub."""

GONE = frozenset({404, 410})
"""What a page outside the Hub answers when it is not there; other refusals are often meant for programs only."""


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


def check_links(hub: Hub, repo: Repository, own: Collection[str]) -> list[Check]:
    """Follow every link of a repository's card: files in it, pages of the Hub, other pages.

    Args:
        hub: The Hub.
        repo: The repository whose card it is.
        own: RepoNames of the project's repositories, which may be published later.

    Returns:
        A check for each of the three; pages outside the Hub that could not be reached are not checked.
    """
    targets = links(repo.card)
    inside = [t for t in targets if not urlsplit(t).scheme and not t.startswith("#")]
    on_hub = [t for t in targets if _repository(t)]
    outside = [t for t in targets if t.startswith(("http://", "https://")) and t not in on_hub]
    checks = []
    if inside:
        missing = [t for t in inside if str(PurePosixPath(unquote(urlsplit(t).path))) not in repo.files]
        checks.append(_check(repo, "links to its own files", len(inside), missing, []))
    if on_hub:
        missing = [t for t in on_hub if not _repo_exists(hub, t)]
        later = [t for t in missing if (_repository(t) or ("", ""))[1] in own]
        dead = [t for t in missing if t not in later]
        checks.append(_check(repo, HUB_LINKS, len(on_hub), dead, later))
    if outside:
        with hub.waiting.announced("links to other sites"), ThreadPoolExecutor(8) as pool:
            found = dict(zip(outside, pool.map(_page, outside), strict=True))
        dead = [t for t, state in found.items() if state == "gone"]
        checks.append(_check(repo, "links to other sites", len(outside), dead, [t for t in found if found[t] == "?"]))
    return checks


def _check(repo: Repository, name: str, count: int, dead: list[str], unknown: list[str]) -> Check:
    if dead:
        return Check(repo=repo.role, name=name, outcome="failed", detail=f"not there: {', '.join(dead)[:400]}")
    if unknown:
        detail = f"{len(unknown)} of {count} could not be reached: {unknown[0]}" + (" …" if len(unknown) > 1 else "")
        return Check(repo=repo.role, name=name, outcome="not checked", detail=detail)
    return Check(repo=repo.role, name=name, outcome="passed", detail=f"{count} found")


def _repository(link: str) -> tuple[str, str] | None:
    """Return kind and name of the repository that a link leads to; None if it leads elsewhere."""
    match = HUB_LINK.match(link)
    if match is None or match[2].split("/")[0] in PAGES:
        return None
    return {"datasets/": "dataset", "spaces/": "space"}.get(match[1] or "", "model"), match[2]


def _repo_exists(hub: Hub, link: str) -> bool:
    kind, name = _repository(link) or ("", "")
    try:
        return bool(hub.call(hub.api.repo_exists, name, repo_type=kind))
    except HFValidationError:  # what no repository can be called
        return False


@cache
def _page(link: str) -> str:
    try:
        with httpx2.Client(timeout=SECONDS, follow_redirects=True) as client, client.stream("GET", link) as answer:
            if answer.status_code in GONE:
                return "gone"
            return "there" if answer.status_code < 400 else "?"
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return "?"
