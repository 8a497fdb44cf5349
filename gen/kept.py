"""The generated files of the last build, kept as long as nothing that they are made from has changed.

What they are made from is known by path, size and time of change, as make does it; the heavy libraries are imported only when
something has to be made again.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .generated import Generated

ALWAYS = ("configs", "results", "src", "gen", "docs/references.bib", "LICENSE", "CHANGELOG.md", "pyproject.toml")
"""What every build reads, relative to the repository."""


def generate_or_keep(root: Path, cache: Path) -> Generated:
    """Return what `gen.site.start_generating` returns, from the last build if nothing has changed.

    Args:
        root: The repository.
        cache: Where things are kept.

    Raises:
        InputError: The record is missing or malformed.
    """
    archive = cache / "site.zip"
    kept = _read(archive, root)
    if kept is not None:
        return Generated(dict(kept), (), dict, [])
    from gen import early
    from gen.site import start_generating

    before = _fingerprint(root, [root / name for name in ALWAYS])
    generated = start_generating(root, cache, early.take(root))

    def finish() -> dict[str, bytes]:
        late = generated.finish()
        if before == _fingerprint(root, [root / name for name in ALWAYS]):  # nothing changed meanwhile
            _write(archive, root, {**generated.files, **late}, generated.folders)
        return late

    return replace(generated, finish=finish)


def _write(archive: Path, root: Path, files: dict[str, str | bytes], folders: list[Path]) -> None:
    from src.record.files import atomic

    watched = sorted({*(str(root / name) for name in ALWAYS), *(str(path) for path in folders)})
    with atomic(archive) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as out:
        stamp = {"inputs": watched, "fingerprint": _fingerprint(root, [Path(p) for p in watched])}
        out.writestr("stamp.json", json.dumps(stamp))
        for name, content in files.items():
            out.writestr(f"site/{name}", content)


def _read(archive: Path, root: Path) -> dict[str, bytes] | None:
    if not archive.is_file():
        return None
    try:
        with zipfile.ZipFile(archive) as found:
            stamp = json.loads(found.read("stamp.json"))
            if stamp["fingerprint"] != _fingerprint(root, [Path(p) for p in stamp["inputs"]]):
                return None
            names = [name for name in found.namelist() if name.startswith("site/")]
            return {name.removeprefix("site/"): found.read(name) for name in names}
    except (zipfile.BadZipFile, KeyError, ValueError):  # cut short or of another version: make it again
        return None


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # the extra for the PDF
        return "none"


def _fingerprint(root: Path, paths: list[Path]) -> str:
    """Hash the names, sizes and times of change of files, and of all files in folders."""
    versions = [_version(name) for name in ("jinja2", "matplotlib", "numpy", "scipy", "pypandoc_binary", "typst")]
    digest = hashlib.sha256("\0".join([str(root), sys.version, *versions]).encode())
    for path in sorted(paths):
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            if "__pycache__" not in file.parts:
                stat = file.stat()
                digest.update(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
