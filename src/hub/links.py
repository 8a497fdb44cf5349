"""Where the links of a card lead."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import httpx2
from huggingface_hub.constants import ENDPOINT
from markdown_it import MarkdownIt
from markdown_it.token import Token

from .outcomes import Checks
from .repository import Repository
from .waiting import Clock

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

OUTSIDE = "links to other pages"
"""Name of the check of links that do not lead to the project's own repositories."""

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


def outside(repo: Repository, own: Collection[str]) -> list[str]:
    """List the links of a card that lead to pages outside it and outside the project's own repositories."""
    found = [link for link in links(repo.card) if link.startswith(("http://", "https://"))]
    return [link for link in found if (repository(link) or ("", ""))[1] not in own]


def inside(repo: Repository) -> list[str]:
    """List the links of a card to files that the repository does not have."""
    targets = [link for link in links(repo.card) if not urlsplit(link).scheme and not link.startswith("#")]
    return [link for link in targets if str(PurePosixPath(unquote(urlsplit(link).path))) not in repo.files]


def check_outside(repos: list[Repository], own: Collection[str], checks: Checks, clock: Clock) -> None:
    """Follow the links of all cards to other pages; those that could not be reached are not checked."""
    wanted = {link: "?" for repo in repos for link in outside(repo, own)}
    threads = [threading.Thread(target=_look, args=(link, wanted), daemon=True) for link in wanted]
    with clock.doing("following links"):
        for thread in threads:  # daemons: a page that answers a byte a second is not waited for
            thread.start()
        deadline = time.monotonic() + SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
    for repo in repos:
        targets = outside(repo, own)
        gone = [link for link in targets if wanted[link] == "gone"]
        unknown = [link for link in targets if wanted[link] == "?"]
        if gone:
            checks.add(repo.role, OUTSIDE, False, f"not there: {', '.join(gone)[:400]}")
        elif unknown:
            detail = f"{len(unknown)} of {len(targets)} could not be reached: {unknown[0]}"
            checks.add(repo.role, OUTSIDE, "not checked", detail)
        elif targets:
            checks.add(repo.role, OUTSIDE, True, f"{len(targets)} found")


def repository(link: str) -> tuple[str, str] | None:
    """Return kind and name of the repository on the Hub that a link leads to; None if it leads elsewhere."""
    match = HUB_LINK.match(link)
    if match is None or match[2].split("/")[0] in PAGES:
        return None
    return {"datasets/": "dataset", "spaces/": "space"}.get(match[1] or "", "model"), match[2]


def _look(link: str, found: dict[str, str]) -> None:
    address, missing, there = link, GONE, repository(link)
    if there is not None:  # the Hub answers 401 for a repository that is private or not there
        address, missing = f"{ENDPOINT}/api/{there[0]}s/{there[1]}", GONE | {401}
    try:
        with httpx2.Client(timeout=SECONDS, follow_redirects=True) as client, client.stream("GET", address) as answer:
            found[link] = "gone" if answer.status_code in missing else "there" if answer.status_code < 400 else "?"
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError):
        return
