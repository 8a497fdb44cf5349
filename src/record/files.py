"""Reading and writing the record's files: YAML, JSON and hashes, with errors that name the file and the key."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from .errors import InputError, did_you_mean

Model = TypeVar("Model", bound=BaseModel)

MAX_TEXT_BYTES = 64 * 1024 * 1024
"""Largest YAML or JSON file that is read whole, in bytes."""


_UNREADABLE = (OSError, ValueError, TypeError, KeyError, NotImplementedError, RecursionError, yaml.YAMLError)
"""What libraries raise about a file's content.

Arrow's errors are of most of these kinds: a column of another type is a TypeError, a missing column a KeyError, and an unknown
conversion a NotImplementedError. Deep nesting is a RecursionError.
"""


@contextmanager
def reading(path: Path, hint: str = "") -> Iterator[None]:
    """Put a file's name in front of what a library says against its content, and a hint after it."""
    try:
        yield
    except _UNREADABLE as error:
        raise InputError(path, f"{_said(error).rstrip('.')}. {hint}".strip()) from None


def _said(error: Exception) -> str:
    """Return what a library's error says, on one line."""
    if isinstance(error, OSError) and error.strerror:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        return "not found" if missing else error.strerror.lower()
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return (str(error.args[0] if isinstance(error, KeyError) else error).strip().splitlines() or ["unreadable"])[0]


def read_text(path: Path, hint: str = "") -> str:
    """Read a UTF-8 text file of bounded size."""
    with reading(path, hint):
        size = path.stat().st_size
        if size > MAX_TEXT_BYTES:
            raise ValueError(f"{size:,} bytes, of at most {MAX_TEXT_BYTES:,}")
        return path.read_text(encoding="utf-8-sig")  # Windows editors write a byte order mark


def json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each line of a JSONL file; empty lines are skipped."""
    with reading(path), path.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                with reading(path, f"This is line {number}."):
                    value = untrusted_json(line)
                yield number, value


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice (YAML keeps the last one silently)."""


def _unique_mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    seen: set[str] = set()
    for key_node, _ in node.value:
        key = str(getattr(key_node, "value", key_node))
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key '{key}' is written twice", key_node.start_mark
            )
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def parse_yaml(path: Path, text: str) -> Any:
    """Parse YAML text that came from `path`."""
    with reading(path):
        return yaml.load(text, _StrictLoader)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [key for key, _ in pairs]
        raise ValueError(f"{max(names, key=names.count)}: the key is written twice")
    return found


def parse_json(path: Path, text: str) -> Any:
    """Parse JSON text that came from `path`."""
    with reading(path):
        return untrusted_json(text, object_pairs_hook=_unique_keys)


def untrusted_json(text: str, **options: Any) -> Any:
    """Parse JSON that may hold anything, as `json.loads` does.

    Raises:
        ValueError: It is not JSON, is nested too deeply, or holds half of a character or a number of thousands of digits.
    """
    try:
        found = json.loads(text, **options)
        if re.search(r"\\ud", text, re.IGNORECASE):  # half of a character can be read, but never written as UTF-8
            json.dumps(found, ensure_ascii=False, skipkeys=True, default=str).encode()
    except RecursionError:
        raise ValueError("nesting too deep to read") from None
    return found


def validate(path: Path, data: Any, model: type[Model], hint: str = "") -> Model:
    """Check parsed data against a pydantic model."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        errors = error.errors()
        unknown = next((e for e in errors if e["type"] == "extra_forbidden"), None)
        first = unknown or errors[0]  # a missing key may be misspelled
        *_, name = map(str, first["loc"] or ("",))
        meant = did_you_mean(name, _keys(model) - {name}) if unknown else ""
        key = f"{'.'.join(map(str, first['loc']))}: " if first["loc"] else ""
        said = first["msg"] + meant
        raise InputError(path, f"{key}{said}{'' if said.endswith('?') else '.'} {hint}".strip()) from None


def _keys(model: type[BaseModel]) -> set[str]:
    """List every key of a model and of the models in it."""
    found = set(model.model_fields)
    for field in model.model_fields.values():
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= _keys(part)
    return found


def load_yaml(path: Path, model: type[Model]) -> Model:
    """Read a YAML file into a pydantic model."""
    return validate(path, parse_yaml(path, read_text(path)), model)


def load_json(path: Path, model: type[Model], hint: str = "") -> Model:
    """Read a JSON file into a pydantic model."""
    return validate(path, parse_json(path, read_text(path, hint)), model, hint)


def sha256_file(path: Path) -> str:
    """Return a file's SHA-256 as 64 hex digits."""
    with reading(path), path.open("rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def regular_file(folder: Path, name: str) -> Path:
    """Return a file of a folder, or of the blobs of the Hub's cache if the folder is a snapshot in it."""
    path, place = folder / name, folder.resolve()
    blobs = place.parent.parent / "blobs" if place.parent.name == "snapshots" else None
    if path.is_file() and path.resolve().parent == blobs:
        return path
    if path.is_symlink() or not path.is_file() or not path.resolve().is_relative_to(place):
        raise InputError(path, f"not a regular file in {folder}. Put a copy of the file there.")
    return path


def sha256_tree(files: dict[str, str]) -> str:
    """Return one SHA-256 for a set of files, from their names and their own SHA-256."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


GENERATED = ".generated"
"""A file that marks a folder which a command wrote and may therefore replace."""


@contextmanager
def replacing(target: Path, option: str) -> Iterator[Path]:
    """Yield an empty folder to write into; it replaces `target` only if the block succeeds."""
    place = target.absolute()
    ours = not any(target.iterdir()) or (target / GENERATED).is_file() if target.is_dir() else not target.exists()
    if target.is_symlink() or not ours or Path.cwd().is_relative_to(place.resolve()):
        message = f"neither new nor empty nor written by this command. Give another {option}, or move what is there."
        raise InputError(target, message)
    staging, before = (place.with_name(f".{place.name}.{what}") for what in ("staging", "before"))
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        yield staging
        (staging / GENERATED).write_text("This folder is replaced when the command that wrote it runs again.\n")
        if target.exists():
            target.replace(before)
        staging.replace(place)
    except OSError as error:
        raise InputError(target, f"{error.strerror or error}. Nothing was changed. Give another {option}.") from None
    finally:
        for folder in (staging, before):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`, moved into place only if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None  # not the temporary file's name
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Write JSON (UTF-8, two spaces, keys in the given order), whole or not at all."""
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
