"""Content-addressed cache of build outputs: the analysis, charts and the PDF."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from src.record.files import atomic

_HASH_BYTES = hashlib.sha256().digest_size


def cached(folder: Path | None, name: str, key: Iterable[str], make: Callable[[], bytes]) -> bytes:
    """Return a build output, from the cache if it was built from the same inputs before.

    A cache that cannot be read or written, as in a checkout on a read-only disk, is none.

    Args:
        folder: The cache; None to always build it.
        name: What it is, as the end of a file's name.
        key: Everything that it depends on.
        make: Builds it.
    """
    if folder is None:
        return make()
    digest = hashlib.sha256("\0".join(key).encode()).hexdigest()
    path = folder / f"{digest}.{name}"
    if (found := _read(path)) is not None:
        return found
    data = make()
    with suppress(OSError), atomic(path) as temporary:
        temporary.write_bytes(hashlib.sha256(data).digest() + data)
    return data


def _read(path: Path) -> bytes | None:
    """Return the content after a cached file's own hash; None if it cannot be read or was cut short."""
    try:
        found = path.read_bytes()
    except OSError:
        return None
    data = found[_HASH_BYTES:]
    return data if hashlib.sha256(data).digest() == found[:_HASH_BYTES] else None
