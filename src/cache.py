"""The one cache on disk: bytes that follow from other bytes, kept under the hash of what they follow from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from src.record.files import atomic


def cached(
    folder: Path | None,
    name: str,
    key: Iterable[str],
    make: Callable[[], bytes],
    still_true: Callable[[], bool] = lambda: True,
    newest: int | None = None,
) -> bytes:
    """Return what `make` makes, from the cache if it was made from the same before.

    Args:
        folder: The cache; None to always make it.
        name: What it is, as the end of a file's name.
        key: Everything that it follows from.
        make: Makes it.
        still_true: Asked after it was made: whether what it follows from is still the same, so that it may be kept.
        newest: How many of that name stay in the cache, the newest; all of them by default.
    """
    digest = hashlib.sha256("\0".join(key).encode()).hexdigest()
    path = folder / f"{digest}.{name}" if folder else None
    with suppress(FileNotFoundError):
        if path is not None:
            return path.read_bytes()
    data = make()
    if path is not None and still_true():
        with atomic(path) as temporary:
            temporary.write_bytes(data)
        if newest is not None:
            with suppress(FileNotFoundError):  # another run removes the same ones
                for old in sorted(path.parent.glob(f"*.{name}"), key=lambda other: -other.stat().st_mtime)[newest:]:
                    old.unlink()
    return data
