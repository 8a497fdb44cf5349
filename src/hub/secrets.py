"""Search everything that would be published for secrets, and for what points at a person."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from src.cache import cached
from src.record.errors import InputError
from src.record.files import sha256_file

from . import containers, secret_kinds
from .containers import LARGEST, parts
from .repository import HubFile, Repository, is_text
from .secret_kinds import EXAMPLE, KEYS, detectors

PERSONAL = {
    "a path of a home folder": (b"/home/", re.compile(rb"/home/[a-z][\w.-]{1,31}/")),
    "a path of a home folder on a Mac": (b"/Users/", re.compile(rb"/Users/[A-Za-z][\w.-]{1,31}/")),
    "a path of a home folder on Windows": (b"Users\\", re.compile(rb"Users\\{1,2}[A-Za-z][\w.-]{1,31}\\")),
    "an e-mail address": (b"@", re.compile(rb"[A-Za-z0-9][\w.+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{2,63})+")),
}
"""What is worth a warning: by its name, what it contains and the pattern. Addresses at example.com and the like are left out."""


OWN = "the token that you are logged in with"


class Found(NamedTuple):
    """Something that looks like a secret: its kind, its place in the file, and its SHA-256, by which an exception names it."""

    kind: str
    place: str
    digest: str


def check_secrets(
    repos: list[Repository], token: str | None, allowed: Mapping[str, list[str]], cache: Path | None
) -> list[str]:
    """Search every file of every repository.

    Args:
        repos: The repositories.
        token: The own login token, which is never allowed.
        allowed: Exceptions: by file (`role/path`), the SHA-256 of what was found there and is harmless.
        cache: The cache's folder, which keeps what was found by the file's hash, and never a secret.

    Returns:
        Warnings about home folders and e-mail addresses.

    Raises:
        InputError: Something looks like a secret; the text itself is not shown.
    """
    own = [value.encode() for value in {token, quote(token, safe="")}] if token else []
    code = "".join(sha256_file(Path(file)) for file in (__file__, containers.__file__, secret_kinds.__file__))
    warnings = []
    for repo in repos:
        for file in repo.files.values():
            name = f"{repo.role}/{file.path}"
            kept = cached(cache, "secrets", (code, file.path, file.sha256), partial(_report, file))
            report = json.loads(kept)
            found = [Found(*entry) for entry in report["found"] if entry[2] not in allowed.get(name, [])]
            for place, data in parts(file.path, file.source) if own else ():
                found = [Found(OWN, place, "") for value in own if data.find(value) >= 0] + found
            if found:
                _refuse(name, found[0])
            warnings += [f"{name}: contains {what}" for what in report["personal"]]
    return warnings


def _refuse(name: str, found: Found) -> None:
    hint = "Remove it where the text comes from, and revoke it if it is real."
    if found.digest:
        hint += f" If it is harmless, add {found.digest} to allow_secrets, under {name}, in the project config."
    raise InputError(
        name, key=found.place or None, found=f"what looks like a secret ({found.kind})",
        expected="a file that everybody may read", hint=hint,
    )  # fmt: skip


def _report(file: HubFile) -> bytes:
    return json.dumps({"found": list(_search(file)), "personal": _personal(file)}).encode()


def _search(file: HubFile) -> Iterator[Found]:
    for place, data in parts(file.path, file.source):
        for kind, prefix, pattern in KEYS:
            at = data.find(prefix)
            while at >= 0:
                match = pattern.match(data, at)
                if match and not EXAMPLE.search(match[0].decode(errors="replace")):
                    yield Found(kind, _line(data, at, place), hashlib.sha256(match[0]).hexdigest())
                at = data.find(prefix, at + 1)
        if is_text(place or file.path) and len(data) <= LARGEST:
            text = bytes(data[:]).decode(errors="replace")
            for kind, expression in detectors():
                for found in expression.finditer(text):
                    around = text[max(0, found.start() - 8) : found.end() + 8]
                    if not EXAMPLE.search(around):
                        at = len(text[: found.start()].encode(errors="replace"))
                        yield Found(kind, _line(data, at, place), hashlib.sha256(found[0].encode()).hexdigest())


def _line(data: Any, at: int, place: str) -> str:
    if place:
        return place
    return f"line {bytes(data[:at]).count(10) + 1}" if len(data) <= LARGEST else f"byte {at}"


def _personal(file: HubFile) -> list[str]:
    if not is_text(file.path) or file.size > LARGEST:
        return []
    found = []
    content = file.content
    for what, (literal, pattern) in PERSONAL.items():
        if literal not in content:
            continue
        match = next((m for m in pattern.finditer(content) if b"example" not in m[0] and b"@users." not in m[0]), None)
        if match:
            found.append(f"{what}, line {content.count(10, 0, match.start()) + 1}")
    return found
