"""The adapter's folder: what may be in it, and whether it is what was evaluated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .errors import InputError
from .files import parse_json, read_text, regular_file, sha256_file, untrusted_json

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt",
    "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "source.spm", "target.spm", "chat_template.jinja",
)  # fmt: skip
"""Files that transformers' tokenizers are saved as."""

FILES = ("adapter_config.json", "config.json", "generation_config.json", *TOKENIZER_FILES)
"""Files of a checkpoint that are evaluated and published next to its weights; no other file is."""

_WEIGHTS = re.compile(r"(adapter_model|model)(-\d{5}-of-\d{5})?\.safetensors")
"""Names of the files with weights, whole or in shards."""

_POINTER = b"version https://git-lfs.github.com/spec/"

INDEX = "model.safetensors.index.json"


def is_full(folder: Path) -> bool:
    """Determine whether a folder holds a full model instead of an adapter."""
    return not (folder / "adapter_config.json").is_file() and (folder / "config.json").is_file()


def checkpoint_files(folder: Path) -> dict[str, Path]:
    """List the files of a checkpoint that count, by name: its config, its weights and its tokenizer."""
    if not folder.is_dir():
        raise InputError(folder, "not a folder. From the Hub: `hf download ORG/NAME --local-dir FOLDER`.")
    full = is_full(folder)
    if not full and not (folder / "adapter_config.json").is_file():
        raise InputError(folder, "neither adapter_config.json nor config.json in it.")
    weights = weight_files(folder)
    if not weights:
        raise InputError(folder / f"{'model' if full else 'adapter_model'}.safetensors", "not found.")
    skipped = () if full else ("config.json", "generation_config.json")
    present = {name: regular_file(folder, name) for name in FILES if name not in skipped and (folder / name).exists()}
    for path in (*present.values(), *weights.values()):
        _check_pointer(path)
    for path in weights.values():
        check_safetensors(path)
    return present | weights | _check_shards(folder, weights)


def weight_files(folder: Path) -> dict[str, Path]:
    """List a checkpoint's safetensors files, by name; of a full model's or an adapter's, never both."""
    prefix = "model" if is_full(folder) else "adapter_model"
    names = sorted(path.name for path in folder.iterdir() if _WEIGHTS.fullmatch(path.name))
    return {name: regular_file(folder, name) for name in names if name.startswith(prefix)}


def left_out(folder: Path) -> list[str]:
    """List what is in a checkpoint's folder and is not published, folders with a slash at their end."""
    kept = checkpoint_files(folder)
    return sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir() if path.name not in kept)


def _check_shards(folder: Path, weights: dict[str, Path]) -> dict[str, Path]:
    """Return the index of sharded weights; refuse weights of which a shard is missing."""
    if not any("-of-" in name for name in weights):
        return {}
    index = regular_file(folder, INDEX if is_full(folder) else "adapter_model.safetensors.index.json")
    named = json_object(index).get("weight_map")
    odd = {*(map(str, named.values()) if isinstance(named, dict) else ())} ^ weights.keys()
    if odd:
        raise InputError(index, f"does not fit the shards in the folder: {', '.join(sorted(odd))}. Copy them again.")
    return {index.name: index}


def _check_pointer(path: Path) -> None:
    """Refuse a pointer of Git LFS in place of a file."""
    with path.open("rb") as stream:
        start = stream.read(len(_POINTER))
    if start == _POINTER:
        raise InputError(path, "a Git LFS pointer, not the file itself. Run `git lfs pull`.")


def check_safetensors(path: Path) -> dict[str, Any]:
    """Check a safetensors file's header (an 8-byte length, then JSON) against the file's size, and return it."""
    _check_pointer(path)
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            header: dict[str, Any] = untrusted_json(stream.read(min(length, 100_000_000)).decode())
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise InputError(path, "cut short, or not a safetensors file.") from None
    size, expected = path.stat().st_size, max(ends, default=0) + 8 + length
    if expected != size:
        raise InputError(path, f"{size:,} bytes, and {expected:,} by its header. Copy it again.")
    return header


def adapter_config(folder: Path) -> dict[str, Any]:
    """Read an adapter's `adapter_config.json`; empty for a full model."""
    return {} if is_full(folder) else json_object(folder / "adapter_config.json")


def json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file of a checkpoint, which must be an object."""
    data = parse_json(path, read_text(path))
    if not isinstance(data, dict):
        raise InputError(path, f"{type(data).__name__} instead of a JSON object.")
    return data


def base_files(folder: Path) -> dict[str, Path]:
    """List the files of a base model's folder that are run and published, by name; its card is made from the record and left out."""
    own = ("training.json", "sources.tsv")
    return checkpoint_files(folder) | {name: regular_file(folder, name) for name in own if (folder / name).exists()}


def hash_files(files: dict[str, Path]) -> dict[str, str]:
    """Return each file's SHA-256, by name."""
    return {name: sha256_file(path) for name, path in sorted(files.items())}


def check_hashes(actual: dict[str, str], evaluated: dict[str, str], folder: Path, what: str) -> None:
    """Refuse files that are not the ones that were evaluated."""
    for name in sorted(actual.keys() | evaluated.keys()):
        if actual.get(name) != evaluated.get(name):
            found, stated = (f"sha256 {of[name][:12]}…" if name in of else "missing" for of in (actual, evaluated))
            message = f"{found}, and {stated} when it was evaluated. Restore the {what}, or evaluate this one."
            raise InputError(folder / name, message)
