"""Search everything that would be published for secrets, and for what points at a person."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import json
import mmap
import pkgutil
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import cache as once
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from src.cache import cached
from src.record.errors import InputError, show

from .bundle import HubFile, Repository

TEXT = re.compile(
    r"\.(md|json|jsonl|ipynb|txt|yaml|yml|tsv|csv|bib|html?|svg|js|css|py|toml|cfg|ini|jinja|xml)$|(^|/)[A-Z]+$"
)
"""Paths of text files, which detect-secrets' own detectors read."""

LARGEST = 64 * 1024 * 1024
"""Bytes of a text file, and of a file in a container, that are searched by detectors."""

KEYS: Mapping[bytes, tuple[str, bytes]] = {
    b"hf_": ("Hugging Face token", rb"hf_[A-Za-z0-9]{30,}"),
    b"api_org_": ("Hugging Face token", rb"api_org_[A-Za-z0-9]{30,}"),
    b"ghp_": ("GitHub token", rb"ghp_[A-Za-z0-9]{36}"),
    b"gho_": ("GitHub token", rb"gho_[A-Za-z0-9]{36}"),
    b"ghs_": ("GitHub token", rb"ghs_[A-Za-z0-9]{36}"),
    b"github_pat_": ("GitHub token", rb"github_pat_[A-Za-z0-9_]{50,}"),
    b"glpat-": ("GitLab token", rb"glpat-[A-Za-z0-9_-]{20,}"),
    b"AKIA": ("AWS key", rb"AKIA[A-Z0-9]{16}(?![A-Z0-9])"),
    b"ASIA": ("AWS key", rb"ASIA[A-Z0-9]{16}(?![A-Z0-9])"),
    b"AIza": ("Google API key", rb"AIza[A-Za-z0-9_-]{35}"),
    b"GOCSPX-": ("Google client secret", rb"GOCSPX-[A-Za-z0-9_-]{28}"),
    b"ya29.": ("Google access token", rb"ya29\.[A-Za-z0-9_-]{50,}"),
    b"sk-": ("API key", rb"sk-(?:proj-|ant-|svcacct-|or-)?[A-Za-z0-9_-]{40,}"),
    b"sk_live_": ("Stripe key", rb"sk_live_[A-Za-z0-9]{24,}"),
    b"rk_live_": ("Stripe key", rb"rk_live_[A-Za-z0-9]{24,}"),
    b"xoxb-": ("Slack token", rb"xoxb-[A-Za-z0-9-]{24,}"),
    b"xoxp-": ("Slack token", rb"xoxp-[A-Za-z0-9-]{24,}"),
    b"pypi-AgE": ("PyPI token", rb"pypi-AgE[A-Za-z0-9_-]{50,}"),
    b"npm_": ("npm token", rb"npm_[A-Za-z0-9]{36}"),
    b"SG.": ("SendGrid key", rb"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    b"dop_v1_": ("DigitalOcean token", rb"dop_v1_[a-f0-9]{64}"),
    b"shpat_": ("Shopify token", rb"shpat_[a-fA-F0-9]{32}"),
    b"glsa_": ("Grafana token", rb"glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}"),
    b"r8_": ("Replicate token", rb"r8_[A-Za-z0-9]{37}"),
    b"gsk_": ("Groq key", rb"gsk_[A-Za-z0-9]{50,}"),
    b"tvly-": ("Tavily key", rb"tvly-[A-Za-z0-9-]{32,}"),
    b"dckr_pat_": ("Docker token", rb"dckr_pat_[A-Za-z0-9_-]{27}"),
    b"hvs.": ("Vault token", rb"hvs\.[A-Za-z0-9_-]{24,}"),
    b"lin_api_": ("Linear key", rb"lin_api_[A-Za-z0-9]{40}"),
    b"ntn_": ("Notion token", rb"ntn_[A-Za-z0-9]{40,}"),
    b"nvapi-": ("NVIDIA key", rb"nvapi-[A-Za-z0-9_-]{60,}"),
    b"xai-": ("xAI key", rb"xai-[A-Za-z0-9]{70,}"),
    b"pplx-": ("Perplexity key", rb"pplx-[A-Za-z0-9]{40,}"),
    b"tgp_v1_": ("Together key", rb"tgp_v1_[A-Za-z0-9_-]{40,}"),
    b"dapi": ("Databricks token", rb"dapi[a-f0-9]{32}(?![a-f0-9])"),
    b"pcsk_": ("Pinecone key", rb"pcsk_[A-Za-z0-9_]{50,}"),
    b"lsv2_": ("LangSmith key", rb"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}"),
    b"fw_": ("Fireworks key", rb"fw_[A-Za-z0-9]{24}(?![A-Za-z0-9])"),
    b"PMAK-": ("Postman key", rb"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    b"NRAK-": ("New Relic key", rb"NRAK-[A-Z0-9]{27}"),
    b"ATATT3x": ("Atlassian token", rb"ATATT3x[A-Za-z0-9_=-]{100,}"),
    b"figd_": ("Figma token", rb"figd_[A-Za-z0-9_-]{40,}"),
    b"pscale_": ("PlanetScale token", rb"pscale_(?:tkn|pw)_[A-Za-z0-9_.-]{32,}"),
    b"sbp_": ("Supabase token", rb"sbp_[a-f0-9]{40}"),
    b"sk_test_": ("Stripe key", rb"sk_test_[A-Za-z0-9]{24,}"),
    b"xapp-": ("Slack token", rb"xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{64}"),
    b"api/webhooks/": ("Discord webhook", rb"api/webhooks/\d{17,20}/[A-Za-z0-9_-]{60,}"),
    b"key-": ("Mailgun key", rb"key-[a-f0-9]{32}(?![a-f0-9])"),
    b"eyJ": ("JSON web token", rb"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}"),
    b"-----BEGIN ": ("private key", rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY"),
    b"AGE-SECRET-KEY-": ("private key", rb"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    b"PuTTY-User-Key-File": ("private key", rb"PuTTY-User-Key-File-[23]"),
}
"""Keys that a prefix gives away: by it, the kind and the whole pattern. They are looked for in every byte."""

GUESSING = (
    "high_entropy_strings",
    "keyword",
    "ip_public",
    "artifactory",
    "mailchimp",
    "twilio",
    "softlayer",
    "cloudant",
    "ibm_cloud_iam",
    "ibm_cos_hmac",
)
"""Modules of detect-secrets that report ordinary hashes, words and numbers as well."""

ASSIGNED = re.compile(
    r"(?:api[_-]?key|(?:api|access|auth)[_-]?token|secret[_-]?(?:access[_-]?)?key|password|passwd|account[_-]?sid)[\"']?(?:\s*[:=]\s*|\s+)"
    r"[\"']?(?=[^\s\"']*\d)(?=[^\s\"']*[A-Za-z])[A-Za-z0-9+/_.-]{16,200}",
    re.IGNORECASE,
)
"""A name of a secret, and after it letters and digits that look like one."""

EXAMPLE = re.compile(
    r"example|x{4,}|\*{3,}|\.\.\.|<[a-z_ -]+>|your[_-]|://[^:@/\s]*:(?:password|passwd|pass|secret|token|pw)@|(\w)\1{9,}",
    re.IGNORECASE,
)
"""What a documented example contains."""

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
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    warnings = []
    for repo in repos:
        for file in repo.files.values():
            name = f"{repo.role}/{file.path}"
            kept = cached(cache, "secrets", (code, file.path, file.sha256), partial(_report, file))
            report = json.loads(kept)
            found = [Found(*entry) for entry in report["found"] if entry[2] not in allowed.get(name, [])]
            for place, data in _parts(file.path, file.source) if own else ():
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
    for place, data in _parts(file.path, file.source):
        for prefix, (kind, pattern) in KEYS.items():
            at = data.find(prefix)
            while at >= 0:
                match = re.compile(pattern).match(data, at)
                if match and not EXAMPLE.search(match[0].decode(errors="replace")):
                    yield Found(kind, _line(data, at, place), hashlib.sha256(match[0]).hexdigest())
                at = data.find(prefix, at + 1)
        if TEXT.search(place or file.path) and len(data) <= LARGEST:
            text = bytes(data[:]).decode(errors="replace")
            for kind, expression in _detectors():
                for found in expression.finditer(text):
                    around = text[max(0, found.start() - 8) : found.end() + 8]
                    if not EXAMPLE.search(around):
                        at = len(text[: found.start()].encode(errors="replace"))
                        yield Found(kind, _line(data, at, place), hashlib.sha256(found[0].encode()).hexdigest())


def _line(data: Any, at: int, place: str) -> str:
    if place:
        return place
    return f"line {bytes(data[:at]).count(10) + 1}" if len(data) <= LARGEST else f"byte {at}"


@once
def _detectors() -> list[tuple[str, re.Pattern[str]]]:
    """List the patterns for texts, detect-secrets' among them, with the kind of secret that each is for."""
    from detect_secrets import plugins
    from detect_secrets.plugins.base import RegexBasedDetector

    found: list[tuple[str, re.Pattern[str]]] = [("a key or password with its name", ASSIGNED)]
    for module in pkgutil.iter_modules(plugins.__path__):
        if module.name in GUESSING:
            continue
        for value in vars(importlib.import_module(f"{plugins.__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, RegexBasedDetector) and isinstance(value.secret_type, str):
                found += [(value.secret_type, pattern) for pattern in value.denylist]
    return found


def _parts(name: str, source: Path | bytes, depth: int = 2) -> Iterator[tuple[str, Any]]:
    """Yield a file's bytes, then those of what it contains, each with its place; empty for the file itself."""
    if isinstance(source, bytes):
        yield "", source
        yield from _contents(name, source, depth)
    elif source.stat().st_size:
        with source.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield "", data
            yield from _contents(name, data, depth)


def _contents(name: str, data: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield what a container contains; one that cannot be opened contains nothing."""
    if not depth:
        return
    inner: Iterator[tuple[str, bytes]] = iter(())
    if data[:4] == b"PAR1":
        inner = _parquet(data)
    elif data[:4] == b"PK\x03\x04":
        inner = _zip(data)
    elif data[:2] == b"\x1f\x8b":
        inner = iter([(name.removesuffix(".gz"), _bounded(gzip.GzipFile(fileobj=io.BytesIO(data[:]))))])
    elif data[:5] == b"%PDF-":
        inner = _pdf(data)
    for part, content in inner:
        yield part, content
        for place, deeper in _contents(part, content, depth - 1):
            yield f"{part}: {place}", deeper


def _bounded(stream: Any) -> bytes:
    try:
        return bytes(stream.read(LARGEST))
    except (OSError, EOFError, zlib.error):
        return b""


def _zip(data: Any) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data[:])) as archive:
            for entry in archive.namelist():
                with archive.open(entry) as stream:
                    yield entry, _bounded(stream)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return


def _pdf(data: Any) -> Iterator[tuple[str, bytes]]:
    for number, match in enumerate(re.finditer(rb"stream\r?\n", data), 1):
        try:
            yield f"stream {number}", zlib.decompressobj().decompress(data[match.end() :], LARGEST)
        except zlib.error:
            continue


def _parquet(data: Any) -> Iterator[tuple[str, bytes]]:
    """Yield the texts of each column, as they are in memory: one after the other."""
    try:
        file = pq.ParquetFile(io.BytesIO(data[:]))
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            for name, column in zip(table.column_names, table.columns, strict=True):
                for chunk in column.chunks:
                    yield from ((f"column {show(name)}", bytes(b)) for b in _buffers(chunk))
    except (pa.ArrowInvalid, OSError):
        return


def _buffers(array: Any) -> Iterator[Any]:
    """Yield the buffers of an array that hold text."""
    if isinstance(array, pa.DictionaryArray):
        yield from _buffers(array.dictionary)
    elif pa.types.is_struct(array.type):
        for index in range(array.type.num_fields):
            yield from _buffers(array.field(index))
    elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        yield from _buffers(array.values)
    elif any(test(array.type) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)):
        buffer = array.buffers()[2]
        if buffer is not None:
            yield buffer


def _personal(file: HubFile) -> list[str]:
    if not TEXT.search(file.path) or file.size > LARGEST:
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
