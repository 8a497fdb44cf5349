"""Names, numbers and settings out of other tools' files, which may contain anything."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from src.record.errors import printable
from src.record.model_name import shown_model

from .answers import Unusable

LARGEST = 1e30
"""Numbers from here on count as broken; answers store 32 bits."""


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


def first_five(names: Iterable[str]) -> str:
    """List names; of many, the first five."""
    listed = [printable(name) for name in names]
    return f"{', '.join(listed[:5])}{f' and {len(listed) - 5} more' if len(listed) > 5 else ''}"


def collapsed(notes: list[str]) -> list[str]:
    """Merge notes `NAME: reason` that share a reason if there are many."""
    names: dict[str, list[str]] = {}
    for line in notes:
        name, _, reason = line.partition(": ")
        names.setdefault(reason or line, []).append(name)
    many = {reason: f"{first_five(of)}: {reason}" for reason, of in names.items() if len(of) > 5}
    return list(dict.fromkeys(many.get(line.partition(": ")[2], line) for line in notes))


def finite(value: object, what: str) -> float:
    """Read a number, which may be written as text."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) < LARGEST:
        raise Unusable(f"{what} is not a finite number")
    return number


ADAPTERS = ("peft", "lora_local_path", "lora_path", "adapter", "delta")
"""Keys of `model_args` that name an adapter, or the weights that are added to a model."""

_MODELS = ("pretrained", "model", "path", "engine", "tokenizer", *ADAPTERS)
_KEYS = re.compile(
    r"add_bos_token|attn_implementation|backend|batch_size|device|do_sample|dtype|enable_lora|enable_thinking|fewshot_as_multiturn|"
    r"limit|load_in_[48]bit|max_(?:batch_size|gen_toks|length|model_len|tokens)|(?:model|softmax)_dtype|model_num_parameters|"
    r"model_(?:revision|sha)|num_(?:beams|concurrent|fewshot)|parallelize|prefix_token_id|quantization|revision|"
    r"(?:random_|numpy_|torch_|fewshot_)?seed|subfolder|temperature|top_[kp]|transformers_version|truncation|trust_remote_code|"
    r"lm_eval_version|git_hash|(?:chat_template|system_instruction)_sha"
)
_VALUE = re.compile(r"(?:torch\.)?[\w+-]{1,80}(?::\d{1,2})?|v?\d[\w.+-]{1,80}", re.ASCII)


def settings(*given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that may be published: a fixed list of keys, plain values, and models by name.

    Everything else is left out, so keys, tokens, headers, hosts and paths never reach a record.
    """
    kept: dict[str, Any] = {}
    for key, value in (pair for part in given for pair in part.items()):
        number = isinstance(value, int | float) and abs(value) < LARGEST
        if isinstance(value, str) and key in _MODELS:
            kept[key] = shown_model(value)
        elif _KEYS.fullmatch(key) and (number or (isinstance(value, str) and _VALUE.fullmatch(value))):
            kept[key] = value
    return kept
