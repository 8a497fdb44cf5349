"""Search everything that would be published for secrets, and for what points at a person."""

from __future__ import annotations

import hashlib
import json
import mmap
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from src.cache import cached
from src.record.errors import InputError
from src.record.files import sha256_file

from .repository import HubFile, Repository, is_text

PERSONAL = {
    "a path of a home folder": re.compile(r"(?:/home/|/Users/|Users\\{1,2})[A-Za-z][\w.-]{1,31}[/\\]"),
    "an e-mail address": re.compile(r"[A-Za-z0-9][\w.+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{2,63})+"),
}
"""What is worth a warning; addresses at example.com and the like are left out."""

HUB_TOKEN = re.compile(rb"hf_[A-Za-z0-9]{34,}")
"""A token of the Hub, which detect-secrets does not know."""

GUESSING = ("HighEntropy", "Keyword", "IPPublic", "Artifactory", "Mailchimp", "Twilio", "Softlayer", "Cloudant", "Ibm")
"""Beginnings of the detectors of detect-secrets that report ordinary hashes, words and numbers as well."""

LARGEST = 64 * 1024 * 1024
"""Bytes of the largest file that is searched as text."""


def check_secrets(
    repos: list[Repository], token: str | None, allowed: Mapping[str, list[str]], cache: Path | None
) -> list[str]:
    """Refuse what looks like a secret, which is not shown; return warnings about home folders and e-mail addresses.

    The own `token` is never allowed; `allowed` has, by file (`role/path`), the SHA-256 of what was found there and is harmless. The
    cache keeps what was found by the file's hash, and never a secret.
    """
    own = [value.encode() for value in {token, quote(token, safe="")}] if token else []
    code = sha256_file(Path(__file__))
    warnings = []
    for repo in repos:
        for file in repo.files.values():
            name = f"{repo.role}/{file.path}"
            if own and any(data.find(value) >= 0 for data in _bytes(file) for value in own):
                raise InputError(name, "Contains the token that you are logged in with. Remove it and revoke it.")
            kept = cached(cache, "secrets", (code, file.path, file.sha256), partial(_search, file))
            report = json.loads(kept)
            for kind, line, digest in report["secrets"]:
                if digest not in allowed.get(name, []):
                    harmless = f"if it is harmless, add {digest} to allow_secrets, under {name}, in the project config"
                    raise InputError(
                        name, f"{line}: this looks like a secret ({kind}). Remove it and revoke it; {harmless}."
                    )
            warnings += [f"{name}: contains {what}" for what in report["personal"]]
    return warnings


def _bytes(file: HubFile) -> Iterator[bytes | mmap.mmap]:
    """Yield a file's content, mapped rather than read where it is on disk."""
    if isinstance(file.source, bytes):
        yield file.source
    elif file.size:
        with file.source.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def _search(file: HubFile) -> bytes:
    """Return, as JSON, what looks like a secret and what points at a person in one file."""
    secrets = []
    for data in _bytes(file):
        for match in HUB_TOKEN.finditer(data):
            secrets.append(("Hugging Face token", f"byte {match.start()}", _digest(match[0])))
    text = file.content.decode(errors="replace") if is_text(file.path) and file.size <= LARGEST else ""
    secrets += [(kind, f"line {_line(text, found)}", _digest(found.encode())) for kind, found in _keys(text)]
    personal = []
    for what, pattern in PERSONAL.items():
        matches = (m for m in pattern.finditer(text) if "example" not in m[0] and "@users." not in m[0])
        personal += [f"{what}, line {_line(text, match[0])}" for match in list(matches)[:1]]
    return json.dumps({"secrets": secrets, "personal": personal}).encode()


def _keys(text: str) -> Iterator[tuple[str, str]]:
    """Yield the kind and the text of everything that detect-secrets takes for a key."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    detectors: dict[str, Any] = get_mapping_from_secret_type_to_class()
    for kind, detector in detectors.items():
        patterns: Any = getattr(detector, "denylist", ())
        if not detector.__name__.startswith(GUESSING):
            yield from ((kind, match[0]) for pattern in patterns for match in pattern.finditer(text))


def _line(text: str, found: str) -> int:
    return text.count("\n", 0, text.find(found)) + 1


def _digest(found: bytes) -> str:
    return hashlib.sha256(found).hexdigest()
