"""What both importers share: reading rows, numbers and names, and which settings may be published."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from src.record.errors import InputError, printable
from src.record.files import json_lines
from src.record.model_name import shown_model

from .answers import Unusable

LARGEST = 1e30
"""Numbers from here on are taken for broken ones; answers store 32 bits."""

MALFORMED = (KeyError, TypeError, IndexError, AttributeError)
"""What reading a row of another shape raises."""


def mapping(value: object) -> dict[str, Any]:
    """Return an object of untrusted JSON; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def safe_name(name: str) -> str:
    """Make a name safe as a part of a file's name and of a metric's key."""
    return re.sub(r"\W+", "_", name).strip("_")[:80] or "task"


def unique_names(names: Iterable[str]) -> dict[str, str]:
    """Give each name a safe one of its own."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        safe, number = safe_name(name), 1
        while safe.lower() in taken:
            number += 1
            safe = f"{safe_name(name)[:74]}_{number}"
        taken.add(safe.lower())
        found[name] = safe
    return found


def few(names: Iterable[str]) -> str:
    """List names; of many, the first five."""
    listed = [printable(name) for name in names]
    return f"{', '.join(listed[:5])}{f' and {len(listed) - 5} more' if len(listed) > 5 else ''}"


def collapsed(said: list[str]) -> list[str]:
    """Put lines `NAME: reason` of one reason together if there are many."""
    names: dict[str, list[str]] = {}
    for line in said:
        name, _, reason = line.partition(": ")
        names.setdefault(reason or line, []).append(name)
    many = {reason: f"{few(of)}: {reason}" for reason, of in names.items() if len(of) > 5}
    return list(dict.fromkeys(many.get(line.partition(": ")[2], line) for line in said))


def json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of a JSONL file, each with its place for messages.

    Raises:
        Unusable: The file or a line cannot be read.
    """
    try:
        yield from ((f"line {number} of {path.name}", mapping(row)) for number, row in json_lines(path))
    except InputError as error:
        raise Unusable(
            f"{f'{error.key} of ' if error.key else ''}{path.name} has {error.found}; it may be cut short"
        ) from None


def finite(value: object, what: str) -> float:
    """Read a number, which may be written as text.

    Raises:
        Unusable: It is not a number, or not finite.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) < LARGEST:
        raise Unusable(f"{what} is not a finite number")
    return number


ADAPTERS = (
    "peft",
    "lora_local_path",
    "lora_path",
    "lora_paths",
    "lora",
    "adapter",
    "adapter_path",
    "adapter_name",
    "delta",
)
"""Keys that name an adapter, or the weights that are added to a model."""

_MODELS = re.compile("|".join(("pretrained", "model", "path", "engine", "tokenizer", "id", "name", *ADAPTERS)))
_KEYS = re.compile(
    r"add_bos_token|attn_implementation|backend|batch_size|calls|date|developer|device|do_sample|dtype|enable_lora|enable_thinking|"
    r"fewshot_as_multiturn|gpu_memory_utilization|limit|lm_eval_version|load_in_[48]bit|max_(?:batch_size|gen_toks|length|lora_rank|"
    r"model_len|tokens)|(?:model|softmax)_dtype|model_num_parameters|model_revision|model_sha|num_(?:beams|concurrent|fewshot)|"
    r"(?:data|tensor)_parallel_size|parallelize|prefix_token_id|quantization|revision|(?:random_|numpy_|torch_|fewshot_)?seed|subfolder|"
    r"temperature|tokenized_requests|tokenizer_backend|top_[kp]|transformers_version|truncation|trust_remote_code|version|git_hash|"
    r"(?:chat_template|system_instruction)_sha"
)
_VALUE = re.compile(r"(?:torch\.)?[\w+-]{1,80}(?::\d{1,2})?|v?\d[\w.+-]{1,80}", re.ASCII)


def settings(*given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that may be published: a fixed list of keys, plain values, and models by name.

    Everything else is left out, so keys, tokens, headers, hosts and paths never reach a record.
    """
    kept: dict[str, Any] = {}
    for key, value in (pair for part in given for pair in part.items()):
        if isinstance(value, str) and _MODELS.fullmatch(key):
            kept[key] = shown_model(value)
        elif _KEYS.fullmatch(key) and (
            (isinstance(value, int | float) and abs(value) < LARGEST)
            or (isinstance(value, str) and _VALUE.fullmatch(value))
        ):
            kept[key] = value
    return kept


def check_sides(path: Path, key: str, base: tuple[str, str | None], tuned: tuple[str, str | None]) -> None:
    """Refuse two runs that cannot be a base model's and a tuned model's.

    Args:
        path: The tuned model's file, for errors.
        key: Where it names the model.
        base: What identifies the base model, and its adapter.
        tuned: The same of the tuned model.

    Raises:
        InputError: They are of the same model, or only the base run has an adapter.
    """
    found = "the same model in both runs" if base[0] == tuned[0] else None
    if base[1] and not tuned[1]:
        found = f"an adapter ({shown_model(base[1])}) in the base run only, as if the two were exchanged"
    if found:
        raise InputError(
            path, key=key, found=found, expected="another model than the base run's, or the same with an adapter",
            hint="Give the base model's results first and the tuned model's second.",
        )  # fmt: skip
