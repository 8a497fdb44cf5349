"""Names, numbers and settings out of other tools' files, which may contain anything."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from src.record.errors import show
from src.record.model_name import shown_model

from .answers import Unusable

LARGEST = 1e30
"""Numbers from here on count as broken; answers store 32 bits."""


COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")
"""What the name of a column may be."""


def mapping(value: object) -> dict[str, Any]:
    """Return an object of untrusted JSON; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def safe_name(name: str) -> str:
    """Make a name safe as a part of a file's name and of a metric's key."""
    return re.sub(r"\W+", "_", name).strip("_")[:80] or "task"


def unique_names(names: Iterable[str]) -> dict[str, str]:
    """Give each name a safe one of its own."""
    found: dict[str, str] = {}
    for name in names:
        safe = safe_name(name)
        while safe.lower() in map(str.lower, found.values()):
            safe += "_2"
        found[name] = safe
    return found


def listed(names: Iterable[str]) -> str:
    """List names, as far as there is room."""
    return show(", ".join(names))


def finite(value: object, what: str) -> float:
    """Read a number, which may be written as text."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) < LARGEST:
        raise Unusable(f"{what} is not a finite number")
    return number


ADAPTERS = ("peft", "lora_local_path", "delta")
"""Keys of `model_args` that name an adapter, or the weights that are added to a model."""

_MODELS = ("pretrained", "model", "tokenizer", *ADAPTERS)
COMPARED = re.compile(
    r"add_bos_token|attn_implementation|backend|do_sample|dtype|enable_thinking|fewshot_as_multiturn|limit|lm_eval_version|"
    r"load_in_[48]bit|max_(?:gen_toks|length|model_len|tokens)|(?:model|softmax)_dtype|num_(?:beams|fewshot)|prefix_token_id|"
    r"quantization|(?:random_|numpy_|torch_|fewshot_)?seed|temperature|top_[kp]|truncation"
)
"""Settings that may be published and can change an answer."""

_ABOUT = re.compile(
    r"batch_size|device|git_hash|model_(?:num_parameters|revision|sha)|parallelize|revision|subfolder|transformers_version|"
    r"trust_remote_code|(?:chat_template|system_instruction)_sha"
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
        elif (COMPARED.fullmatch(key) or _ABOUT.fullmatch(key)) and (
            number or (isinstance(value, str) and _VALUE.fullmatch(value))
        ):
            kept[key] = value
    return kept
