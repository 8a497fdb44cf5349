"""The one cache on disk: bytes that follow from other bytes, kept under the hash of what they follow from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from src.record.errors import InputError
from src.record.files import atomic

_HASH_BYTES = hashlib.sha256().digest_size


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

    Raises:
        InputError: The cache cannot be read or written.
    """
    if folder is None:
        return make()
    digest = hashlib.sha256("\0".join(key).encode()).hexdigest()
    path = folder / f"{digest}.{name}"
    found = _read(path)
    if found is not None:
        return found
    data = make()
    if still_true():
        _write(path, data)
        if newest is not None:
            with suppress(FileNotFoundError):  # another run removes the same ones
                for old in sorted(folder.glob(f"*.{name}"), key=lambda other: -other.stat().st_mtime)[newest:]:
                    old.unlink()
    return data


def _read(path: Path) -> bytes | None:
    """Return what a file of the cache holds after its own hash; None if there is no such file, or it was cut short."""
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path.parent, error) from None
    data = found[_HASH_BYTES:]
    return data if hashlib.sha256(data).digest() == found[:_HASH_BYTES] else None


def _write(path: Path, data: bytes) -> None:
    try:
        with atomic(path) as temporary:
            temporary.write_bytes(hashlib.sha256(data).digest() + data)
    except OSError as error:
        raise _unusable(path.parent, error) from None


def _unusable(folder: Path, error: OSError) -> InputError:
    return InputError(
        folder, found=error.strerror or str(error), expected="a folder of the cache, to read and to write",
        hint="Remove it or make it writable; it holds nothing that cannot be made again.",
    )  # fmt: skip
