"""The adapter's folder: what may be in it, and whether it is what was evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .errors import InputError
from .files import parse_json, read_text, regular_file, sha256_file, untrusted_json

PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"})
"""Endings of files that can run code when they are loaded."""

FILES = (
    "adapter_config.json",
    "adapter_model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
"""Files of an adapter that are evaluated and published; the first two are required."""


def checkpoint_files(folder: Path) -> dict[str, Path]:
    """List the files of a checkpoint that count, by name.

    Raises:
        InputError: The folder or a required file is missing, a pickle lies in it, or the weights are not safetensors.
    """
    hint = "Run `python -m src.train --config CONFIG`, or correct `checkpoint` in the config."
    if not folder.is_dir():
        raise InputError(folder, found="no such folder", expected="the adapter's folder", hint=hint)
    for path in sorted(folder.rglob("*")):
        if path.suffix in PICKLES:
            raise InputError(
                path,
                found="a pickle, which can run code when it is loaded",
                expected="weights as safetensors",
                hint="Save the adapter with `save_pretrained` (safetensors is its default) and delete this file.",
            )
    present = {name: regular_file(folder, name) for name in FILES if (folder / name).exists()}
    for name in FILES[:2]:
        if name not in present:
            raise InputError(folder / name, found="no such file", expected="an adapter as peft saves it", hint=hint)
    check_safetensors(present["adapter_model.safetensors"])
    return present


def check_safetensors(path: Path) -> dict[str, Any]:
    """Check a safetensors file's header (an 8-byte length, then JSON) against the file's size, and return it.

    Raises:
        InputError: The file is no safetensors file, or it is cut short.
    """
    hint = "Save the weights again with `save_pretrained`."
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(size - 8, 100_000_000):
            raise InputError(path, found="no safetensors header", expected="weights as safetensors", hint=hint)
        try:
            header: dict[str, Any] = untrusted_json(stream.read(length).decode())
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise InputError(path, found="a broken header", expected="weights as safetensors", hint=hint) from None
    if max(ends, default=0) + 8 + length != size:
        raise InputError(
            path, found=f"{size:,} bytes", expected=f"{max(ends, default=0) + 8 + length:,} bytes", hint=hint
        )
    return header


def adapter_config(folder: Path) -> dict[str, Any]:
    """Read an adapter's `adapter_config.json`."""
    path = folder / "adapter_config.json"
    data = parse_json(path, read_text(path, "Save the adapter again with `save_pretrained`."))
    if not isinstance(data, dict):
        raise InputError(path, found=type(data).__name__, expected="a JSON object", hint="Save the adapter again.")
    return data


def base_files(folder: Path) -> dict[str, Path]:
    """List the files of a base model's folder that are run and published, by name; its card is made from the record and left out."""
    return {
        name: regular_file(folder, name)
        for name in sorted(path.name for path in folder.iterdir())
        if name != "README.md" and not name.startswith(".")
    }


def hash_files(files: dict[str, Path]) -> dict[str, str]:
    """Return each file's SHA-256, by name."""
    return {name: sha256_file(path) for name, path in sorted(files.items())}


def check_hashes(actual: dict[str, str], evaluated: dict[str, str], folder: Path, what: str) -> None:
    """Refuse files that are not the ones that were evaluated.

    Raises:
        InputError: A file is missing, was added, or differs.
    """
    for name in sorted(actual.keys() | evaluated.keys()):
        if actual.get(name) != evaluated.get(name):
            found = f"sha256 {actual[name]}" if name in actual else "no such file"
            expected = f"sha256 {evaluated[name]}" if name in evaluated else "no such file"
            raise InputError(
                folder / name,
                found=found,
                expected=f"{expected}, which was evaluated",
                hint=f"Restore the {what} that was evaluated, or run `python -m src.evaluate` on this one.",
            )
