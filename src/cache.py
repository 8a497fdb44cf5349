"""Content-addressed cache of build outputs: the analysis, charts and the PDF."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from src.record.errors import InputError
from src.record.files import atomic

_HASH_BYTES = hashlib.sha256().digest_size


def cached(folder: Path | None, name: str, key: Iterable[str], make: Callable[[], bytes]) -> bytes:
    """Return a build output, from the cache if it was built from the same inputs before.

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
    found = _read(path)
    if found is not None:
        return found
    data = make()
    _write(path, data)
    return data


def _read(path: Path) -> bytes | None:
    """Return the content after a cached file's own hash; None if there is no such file, it may not be read, or it was cut short."""
    try:
        found = path.read_bytes()
    except (FileNotFoundError, PermissionError):
        return None
    except OSError as error:
        raise _unusable(path.parent, error) from None
    data = found[_HASH_BYTES:]
    return data if hashlib.sha256(data).digest() == found[:_HASH_BYTES] else None


def _write(path: Path, data: bytes) -> None:
    try:
        with atomic(path) as temporary:
            temporary.write_bytes(hashlib.sha256(data).digest() + data)
    except OSError:  # a checkout that may only be read builds without a cache
        return


def _unusable(folder: Path, error: OSError) -> InputError:
    return InputError(folder, f"{error.strerror}. Remove it or make it writable; all in it can be made again.")
