"""Names, numbers and settings out of other tools' files, which may contain anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from src.record import answers, questions
from src.record.errors import show
from src.record.model_name import shown_model

LARGEST = 1e30
"""Numbers from here on count as broken; answers store 32 bits."""

ADAPTERS = ("peft", "lora_local_path", "delta")
"""Keys of `model_args` that name an adapter, or the weights that are added to a model."""

COMPARED = frozenset(
    [
        "add_bos_token", "attn_implementation", "backend", "do_sample", "dtype", "enable_thinking", "fewshot_as_multiturn", "fewshot_seed",
        "limit", "lm_eval_version", "load_in_4bit", "load_in_8bit", "max_gen_toks", "max_length", "max_model_len", "max_tokens",
        "model_dtype", "num_beams", "num_fewshot", "numpy_seed", "prefix_token_id", "quantization", "random_seed", "seed",
        "softmax_dtype", "temperature", "top_k", "top_p", "torch_seed", "truncation",
    ]
)  # fmt: skip
"""Settings that may be published and can change an answer."""

_MODELS = ("pretrained", "model", "tokenizer", *ADAPTERS)
_PUBLISHED = COMPARED | {"chat_template_sha", "model_sha", "revision", "system_instruction_sha", "transformers_version"}
_VALUE = re.compile(r"(?:torch\.)?[\w+-]{1,80}|v?\d[\w.+-]{1,80}", re.ASCII)


def unique_names(names: Iterable[str]) -> list[str]:
    """Make each name safe as a part of a file's name and of a metric's key, and different from the others."""
    found: dict[str, str] = {}
    for name in names:
        safe = re.sub(r"\W+", "_", name).strip("_")[:80] or "task"
        while safe.lower() in found:
            safe += "_2"
        found[safe.lower()] = safe
    return list(found.values())


def column_names(names: Iterable[str], prefix: str) -> list[str]:
    """Name the columns of another tool's fields; a prefix goes before what a record's own column is called."""
    known = {*questions.SCHEMA.names, *answers.SCHEMA.names}
    plain = [re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:40] for name in names]
    return unique_names(name if name[:1].isalpha() and name not in known else f"{prefix}_{name}" for name in plain)


def listed(names: Iterable[str]) -> str:
    """List names, as far as there is room."""
    return show(", ".join(names))


def finite(value: Any) -> float:
    """Read a number, which may be written as text; raise ValueError where it is none that answers can store."""
    found = float(value)
    if not abs(found) < LARGEST:
        raise ValueError
    return found


def number(value: object) -> float | None:
    """Return a number of untrusted JSON; None for anything else, and for what nothing here can store."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
    return float(value) if known else None  # type: ignore[arg-type]


def settings(*given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that may be published: a fixed list of keys, plain values, and models by name.

    Everything else is left out, so keys, tokens, headers, hosts and paths never reach a record.
    """
    kept: dict[str, Any] = {}
    for key, value in (pair for part in given for pair in part.items()):
        text = value if isinstance(value, str) else ""
        number = isinstance(value, int | float) and abs(value) < LARGEST
        if key in _MODELS and text:
            kept[key] = shown_model(text)
        elif key in _PUBLISHED and (number or _VALUE.fullmatch(text)):
            kept[key] = value
    return kept
