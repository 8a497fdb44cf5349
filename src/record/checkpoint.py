"""The adapter's folder: what may be in it, and whether it is what was evaluated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .errors import InputError
from .files import parse_json, read_text, regular_file, sha256_file, untrusted_json
from .model_name import parse_model_name

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "spm.model",
    "source.spm",
    "target.spm",
    "tekken.json",
    "tiktoken.model",
    "chat_template.jinja",
    "chat_template.json",
    "normalizer.json",
    "bpe.codes",
    "entity_vocab.json",
    "vocab-src.json",
    "vocab-tgt.json",
)
"""Files that transformers' tokenizers are saved as."""

PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
"""Files that transformers' processors of sound and images are saved as."""

FILES = ("adapter_config.json", "config.json", "generation_config.json", *TOKENIZER_FILES, *PROCESSOR_FILES)
"""Files of a checkpoint that are evaluated and published next to its weights; no other file is."""

_WEIGHTS = re.compile(r"(adapter_model|model)(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json")
"""Names of the files with weights, whole or in shards."""

_OTHER_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt", ".gguf")
"""Ends of the names of weights that are not published."""


def is_full(folder: Path) -> bool:
    """Determine whether a folder holds a full model instead of an adapter."""
    return not (folder / "adapter_config.json").is_file() and (folder / "config.json").is_file()


def checkpoint_files(folder: Path) -> dict[str, Path]:
    """List the files of a checkpoint that count, by name: its config, its weights and its tokenizer.

    Raises:
        InputError: The folder or a required file is missing, or the weights are not whole safetensors files.
    """
    hint = "Give the folder that `save_pretrained` wrote, as --adapter or as `checkpoint` in the config."
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        named = parse_model_name(str(folder))
        if named.on_hub and not folder.exists():
            hint += f" If it is on the Hub, get it by `hf download {named.id} --local-dir FOLDER`."
        raise InputError(folder, found=found, expected="the adapter's folder", hint=hint)
    full = is_full(folder)
    config = "config.json" if full else "adapter_config.json"
    if not (folder / config).is_file():
        inside = [path.name for path in sorted(folder.iterdir()) if (path / config).is_file() or is_full(path)]
        hint = f"Give one of the folders in it: {', '.join(inside[:5])}." if inside else hint
        raise InputError(folder / config, found="no such file", expected="an adapter as peft saves it", hint=hint)
    weights = weight_files(folder)
    if not weights:
        name = "model.safetensors" if full else "adapter_model.safetensors"
        others = [path.name for path in sorted(folder.iterdir()) if path.suffix in _OTHER_WEIGHTS]
        pickled = [other for other in others if Path(other).suffix != ".gguf"]
        found = f"only {', '.join(others[:3])}" if others else "no such file"
        raise InputError(
            folder / name,
            found=f"{found}: a pickle can run code when it is loaded" if pickled else found,
            expected="weights as safetensors",
            hint="Save the model with `save_pretrained`, whose default is safetensors." if others else hint,
        )
    _check_shards(folder, weights)
    skipped = () if full else ("config.json", "generation_config.json")
    present = {name: regular_file(folder, name) for name in FILES if name not in skipped and (folder / name).exists()}
    for path in weights.values():
        check_safetensors(path)
    index = folder / "model.safetensors.index.json"
    return present | weights | ({index.name: regular_file(folder, index.name)} if full and index.exists() else {})


def weight_files(folder: Path) -> dict[str, Path]:
    """List a checkpoint's safetensors files, by name; of a full model's or an adapter's, never both."""
    prefix = "model" if is_full(folder) else "adapter_model"
    names = sorted(path.name for path in folder.iterdir() if _WEIGHTS.fullmatch(path.name))
    return {n: regular_file(folder, n) for n in names if n.startswith(prefix) and n.endswith(".safetensors")}


def left_out(folder: Path) -> list[str]:
    """List what is in a checkpoint's folder and is not published, folders with a slash at their end."""
    kept = checkpoint_files(folder)
    return sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir() if path.name not in kept)


def _check_shards(folder: Path, weights: dict[str, Path]) -> None:
    """Refuse sharded weights of which a shard or the index is missing."""
    shards = [name for name in weights if "-of-" in name]
    if not shards:
        return
    total = int(shards[0].rsplit("-of-", 1)[1].split(".")[0])
    if len(shards) != total:
        raise InputError(
            folder, found=f"{len(shards)} of {total} shards", expected="all of them", hint="Copy the missing files, or remove shards that are left over.",
        )  # fmt: skip
    if is_full(folder) and not (folder / "model.safetensors.index.json").is_file():
        raise InputError(
            folder / "model.safetensors.index.json", found="no such file", expected="the index of the shards",
            hint="Copy it too; transformers finds the shards by it.",
        )  # fmt: skip
    if is_full(folder):
        index = folder / "model.safetensors.index.json"
        named = json_object(index).get("weight_map")
        files = set(map(str, named.values())) if isinstance(named, dict) else set()
        if files != set(shards):
            odd = ", ".join(sorted(files ^ set(shards)))
            raise InputError(
                index, found=f"an index that does not fit the shards: {odd}", expected="the index of these shards",
                hint="Save the model again with `save_pretrained`.",
            )  # fmt: skip


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
    """Read an adapter's `adapter_config.json`; empty for a full model."""
    return {} if is_full(folder) else json_object(folder / "adapter_config.json")


def json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file of a checkpoint, which must be an object."""
    data = parse_json(path, read_text(path, "Save the adapter again with `save_pretrained`."))
    if not isinstance(data, dict):
        raise InputError(path, found=type(data).__name__, expected="a JSON object", hint="Save the adapter again.")
    return data


def base_files(folder: Path) -> dict[str, Path]:
    """List the files of a base model's folder that are run and published, by name; its card is made from the record and left out.

    Raises:
        InputError: Its config or its weights are missing, or are not whole safetensors files.
    """
    own = ("training.json", "sources.tsv")
    return checkpoint_files(folder) | {name: regular_file(folder, name) for name in own if (folder / name).exists()}


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
