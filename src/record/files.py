"""Reading and writing the record's files: YAML, JSON and hashes, with errors that name the file and the key."""

from __future__ import annotations

import datetime
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from .errors import InputError, printable

Model = TypeVar("Model", bound=BaseModel)

MAX_TEXT_BYTES = 64 * 1024 * 1024
"""Largest YAML or JSON file that is read whole, in bytes."""

MAX_EXPANDED = 1_000_000
"""Most values that a YAML file may have once its aliases are written out."""

_TOO_DEEP = "nesting too deep to read"

_WRITTEN = (
    "\n\t\r\N{SOFT HYPHEN}\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}"
)
"""Characters that are not seen and that people need all the same, as in Persian, Hebrew and emoji."""


def read_text(path: Path, hint: str) -> str:
    """Read a UTF-8 text file of bounded size.

    Raises:
        InputError: The file is missing, too large, not UTF-8, or cannot be opened.
    """
    try:
        size = path.stat().st_size
        if size > MAX_TEXT_BYTES:
            raise InputError(path, found=f"{size:,} bytes", expected=f"at most {MAX_TEXT_BYTES:,} bytes", hint=hint)
        return path.read_text(encoding="utf-8-sig")  # Windows editors write a byte order mark
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(path, found="no such file", expected="a readable file", hint=hint) from None
    except IsADirectoryError:
        raise InputError(path, found="a folder", expected="a file", hint=hint) from None
    except OSError as error:  # such as a name that is too long, or no permission
        raise InputError(path, found=error.strerror, expected="a readable file", hint=hint) from None
    except UnicodeDecodeError as error:
        raise InputError(
            path, found=f"a byte that is not UTF-8 at offset {error.start}", expected="UTF-8 text", hint=hint
        ) from None


def text_lines(path: Path, hint: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 text file of any size.

    Raises:
        InputError: It is not UTF-8.
    """
    with path.open(encoding="utf-8-sig") as stream:
        try:
            yield from stream
        except UnicodeDecodeError:
            raise InputError(path, found="bytes that are not UTF-8", expected="UTF-8 text", hint=hint) from None


def json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each line of a JSONL file; empty lines are skipped.

    Raises:
        InputError: The file cannot be opened or is not UTF-8, or a line is not JSON.
    """
    hint, number = "Write the file again.", 0
    try:
        for number, line in enumerate(text_lines(path, hint), 1):
            if line.strip():
                yield number, untrusted_json(line)
    except OSError as error:
        raise InputError(path, found=error.strerror, expected="a readable file", hint=hint) from None
    except ValueError:
        raise InputError(path, key=f"line {number}", found="invalid JSON", expected="JSON", hint=hint) from None


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
    """Parse YAML text that came from `path`.

    Raises:
        InputError: The text is not YAML, a key is written twice, its aliases stand for too many values or for themselves, or a text
            holds a character that is not seen.
    """
    hint = "Correct the YAML at that place."
    try:
        loader = _StrictLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _bounded(node)
        return _readable(loader.construct_document(node))
    except RecursionError:
        raise InputError(path, found=_TOO_DEEP, expected="valid YAML", hint=hint) from None
    except ValueError as error:  # such as a date that there is not
        raise InputError(path, found=error, expected="valid YAML", hint=hint) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}, column {mark.column + 1}" if mark else None
        problem = getattr(error, "problem", None) or "text that is not YAML"
        raise InputError(
            path, key=line, found=problem.removeprefix("found "), expected="valid YAML", hint=hint
        ) from None


def _bounded(root: yaml.Node) -> None:
    """Refuse aliases that stand for too many values: a few lines can expand to billions.

    Raises:
        ConstructorError: They do, or an alias stands for a part of itself.
    """
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        known = sizes.get(id(node))
        if known == 0:
            raise yaml.constructor.ConstructorError(None, None, "an alias of what contains it", node.start_mark)
        if known is None:
            sizes[id(node)] = 0
            children = node.value if isinstance(node, yaml.CollectionNode) else []
            pairs = isinstance(node, yaml.MappingNode)
            total = 1 + sum(size(part) for child in children for part in (child if pairs else (child,)))
            if total > MAX_EXPANDED:
                problem = f"aliases that stand for more than {MAX_EXPANDED:,} values"
                raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
            sizes[id(node)] = known = total
        return known

    size(root)


def _readable(found: Any) -> Any:
    """Refuse texts with characters that are not seen, such as controls, halves of a pair, and marks that turn what follows around."""
    known, left = set(), [found]
    while left:
        part = left.pop()
        if isinstance(part, str) and (clear := printable(part, _WRITTEN)) != part:
            hidden = next(a for a, b in zip(part, clear, strict=True) if a != b)
            raise ValueError(f"the character {hidden!a}, which nobody sees, in {part!a}")
        if isinstance(part, dict | list) and id(part) not in known:  # an alias may stand in many places
            known.add(id(part))
            left += [*part, *part.values()] if isinstance(part, dict) else part
    return found


def _no_constant(path: Path) -> Callable[[str], Any]:
    def refuse(name: str) -> Any:
        raise InputError(
            path,
            found=name,
            expected="a finite number (JSON has no NaN and no infinity)",
            hint="Leave the key out if the value was not measured.",
        )

    return refuse


def _unique(path: Path) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            raise InputError(
                path,
                key=twice,
                found="a key that is written twice",
                expected="each key once",
                hint="Remove one of them.",
            )
        return found

    return mapping


def parse_json(path: Path, text: str) -> Any:
    """Parse JSON text that came from `path`; NaN and infinities are refused.

    Raises:
        InputError: The text is not JSON, or a key is written twice.
    """
    hint = "Correct the JSON at that place, or write the file again."
    try:
        return untrusted_json(text, parse_constant=_no_constant(path), object_pairs_hook=_unique(path))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(path, key=where, found=error.msg, expected="valid JSON", hint=hint) from None
    except ValueError as error:
        raise InputError(path, found=error, expected="valid JSON", hint=hint) from None


def untrusted_json(text: str, **options: Any) -> Any:
    """Parse JSON that may hold anything, as `json.loads` does.

    Raises:
        ValueError: It is not JSON, is nested too deeply, or holds half of a character or a number of thousands of digits.
    """
    try:
        return _whole(text, json.loads(text, **options))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def _whole(text: str, found: Any) -> Any:
    """Refuse half of a character that is written as a pair of escapes: it can be read, but never written as UTF-8."""
    if re.search(r"\\ud", text, re.IGNORECASE):
        try:
            json.dumps(found, ensure_ascii=False, skipkeys=True, default=str).encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"half of a character, {error.object[error.start]!a}") from None
    return found


_PATTERNS = {
    "^https://": "an address that begins with `https://`",
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$": "a name of letters, digits, `.`, `_` and `-`",
}
"""What the patterns of texts ask for, in words."""

_TYPES = ("constrained-str", "constrained-int", "str", "int", "float", "bool")
"""What pydantic puts at the end of a place whose value may be of several types."""


def _location(parts: tuple[int | str, ...]) -> str:
    out = ""
    for part in parts[:-1] if parts and parts[-1] in _TYPES else parts:
        out += f"[{part}]" if isinstance(part, int) else (f".{part}" if out else str(part))
    return out or "(top level)"


def validate(path: Path, data: Any, model: type[Model], hint: str) -> Model:
    """Check parsed data against a pydantic model.

    Raises:
        InputError: The first key that does not fit, with what was found and expected there.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        errors = error.errors()
        first = next(
            (e for e in errors if e["type"] == "extra_forbidden"), errors[0]
        )  # a key that is missing is misspelled
        key = _location(first["loc"])
        if first["type"] == "slip":
            key = _location((*first["loc"], first["ctx"]["key"]))
            raise InputError(
                path, key=key, found="an unknown key", expected=first["ctx"]["near"], hint="Correct its spelling."
            ) from None
        if first["type"] == "extra_forbidden":
            known = sorted(_known_keys(model, first["loc"][:-1]))
            near = get_close_matches(str(first["loc"][-1]), known, 1)
            expected = f"one of {', '.join(known)}" if known else "a key that the format declares"
            hint = f"Did you mean {near[0]}?" if near else "Remove it or correct its spelling."
            raise InputError(path, key=key, found="an unknown key", expected=expected, hint=hint) from None
        if first["type"] == "missing":
            raise InputError(
                path, key=key, found="nothing", expected="a value (the key is required)", hint=hint
            ) from None
        if first["type"] == "string_type" and isinstance(first["input"], bool | int | float | datetime.date):
            hint = "Put it in quotes: YAML reads `no`, `1.0` and dates without them as something else than text."
        expected = first["msg"].removeprefix("Value error, ")
        expected = (
            expected.removeprefix("Input should be ")
            .replace("a valid string", "text")
            .replace("a valid list", "a list")
            .replace("a valid number", "a number")
        )
        if first["type"] == "invalid-json-value":
            expected = "text, a number, a list, or keys with values; dates in quotes"
        if first["type"] in ("model_type", "dict_type"):
            expected = "keys with values"
        if first["type"] == "too_short" and isinstance(first["input"], dict):
            expected = "at least one key with its value"
        expected = expected.replace("String should have", "text with").replace("List should have", "a list with")
        expected = expected.replace("String should match pattern", "text that matches")
        if first["type"] == "string_pattern_mismatch":
            expected = _PATTERNS.get(first["ctx"]["pattern"], expected)
        default = (
            isinstance(data, dict) and len(first["loc"]) == 1 and first["loc"][0] not in data
        )  # the value is a default
        found = "nothing" if default else repr(first["input"])
        raise InputError(path, key=key, found=found, expected=expected, hint=hint) from None


def _known_keys(model: type[BaseModel], parents: tuple[int | str, ...]) -> set[str]:
    current: Any = model
    for part in parents:
        if not (isinstance(part, str) and isinstance(current, type) and issubclass(current, BaseModel)):
            return set()
        field = current.model_fields.get(part)
        if field is None:
            return set()
        inner = field.annotation
        options = [inner, *getattr(inner, "__args__", ())]
        current = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
    is_model = isinstance(current, type) and issubclass(current, BaseModel)
    return set(current.model_fields) if is_model else set()


def load_yaml(path: Path, model: type[Model]) -> Model:
    """Read a YAML file into a pydantic model.

    Raises:
        InputError: The file is missing, is not YAML or does not fit the model.
    """
    hint = "See the configuration reference, or copy a config from configs/."
    data = parse_yaml(path, read_text(path, f"Write {path.name} or name another file. {hint}"))
    if not isinstance(data, dict):
        raise InputError(path, found=type(data).__name__, expected="a mapping of keys", hint=hint)
    return validate(path, data, model, hint)


def sha256_file(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """Return a file's SHA-256 as 64 hex digits; a file that has not changed since is not read again.

    Args:
        path: The file.
        progress: Called with the number of bytes after each block that was read.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        stat = path.stat()
        key = (str(path.absolute()), stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if key not in _HASHED:
            digest = hashlib.sha256()
            block = memoryview(bytearray(1 << 20))
            with path.open("rb", buffering=0) as stream:
                while count := stream.readinto(block):
                    digest.update(block[:count])
                    if progress is not None:
                        progress(count)
            _HASHED[key] = digest.hexdigest()
        return _HASHED[key]
    except OSError as error:
        raise InputError(
            path, found=error.strerror or "an unreadable file", expected="a readable file", hint="Restore the file."
        ) from None


_HASHED: dict[tuple[str, int, int, int], str] = {}


def regular_file(folder: Path, name: str) -> Path:
    """Return a file of a folder, or of the blobs of the Hub's cache if the folder is a snapshot in it.

    Raises:
        InputError: It is missing, no regular file, a link, or behind a link or `..` that leads out of the folder.
    """
    path = folder / name
    found = None
    place = folder.resolve()
    blobs = place.parent.parent / "blobs" if place.parent.name == "snapshots" else None
    if path.is_file() and path.resolve().parent == blobs:
        return path
    if path.is_symlink():
        found = "a symbolic link"
    elif not path.is_file():
        found = "no such file" if not path.exists() else "something that is no file"
    elif not path.resolve().is_relative_to(folder.resolve()):
        found = f"a file of another folder, {path.resolve().parent}"
    if found:
        raise InputError(
            path, found=found, expected=f"a regular file in {folder}", hint="Put a copy of the file there."
        )
    return path


def sha256_tree(files: dict[str, str]) -> str:
    """Return one SHA-256 for a set of files, from their names and their own SHA-256.

    Args:
        files: Relative POSIX path to the file's hex SHA-256.
    """
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


GENERATED = ".generated"
"""A file that marks a folder which a command wrote and may therefore replace."""


@contextmanager
def replacing(target: Path, option: str) -> Iterator[Path]:
    """Yield an empty folder beside `target` to write into, which takes its place only if the block succeeds.

    Args:
        target: Where the folder should be: nowhere yet, empty, or written by an earlier run.
        option: What the user named it with.

    Raises:
        InputError: Something lies there that no earlier run wrote, or the folder cannot be written.
    """
    hint = f"Give another {option}, or move what lies there."
    expected = "a new or empty folder, or one that this command wrote"
    place = target.absolute()
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise InputError(target, found="something that is no folder", expected=expected, hint=hint)
    if Path.cwd().is_relative_to(place.resolve()):
        raise InputError(target, found="the working folder, or one around it", expected=expected, hint=hint)
    if target.is_dir() and any(target.iterdir()) and not (target / GENERATED).is_file():
        raise InputError(target, found="a folder with other files", expected=expected, hint=hint)
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
        full = error.errno == errno.ENOSPC
        raise InputError(
            target,
            found=error.strerror or str(error),
            expected="a folder with enough space" if full else "a folder that can be written",
            hint=f"{'Free some space, or give' if full else 'Give'} another {option}. What lay there before was not touched.",
        ) from None
    finally:
        for folder in (staging, before):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, moved into place only if the block succeeds.

    Raises:
        OSError: There can be none; it names `path`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
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
