"""Whether a tokenizer fits the model that it is published with, as far as files say it."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub as hf
from huggingface_hub.errors import HFValidationError

from src.record.checkpoint import json_object
from src.record.load import Record

from .errors import Refused


def check_tokens(record: Record) -> list[str]:
    """Refuse a tokenizer with more tokens than there are embeddings: those of added tokens were not saved.

    Returns:
        A line if it is not known how many embeddings there are; empty otherwise.

    Raises:
        Refused: Token ids of the tokenizer have no embedding.
    """
    model = record.model
    count = token_count(record.checkpoint) if record.checkpoint.is_dir() else 0
    rows = model.vocabulary or (None if model.full else record.base_vocabulary or _cached_vocabulary(record))
    if rows is None:
        base = record.base_name.id if record.base_name else "the base model"
        unknown = count and not model.full
        return [f"not checked: whether {base} has embeddings for the tokenizer's {count:,} tokens"] if unknown else []
    if count > rows:
        models = "the model" if model.full else "base model and adapter"
        raise Refused(
            f"{record.experiment.checkpoint}: its tokenizer has {count - rows:,} tokens more than the {rows:,} embeddings of {models}. Save "
            "the adapter again with `save_embedding_layers=True`, or the tokenizer that it was trained with."
        )
    return []


def token_count(folder: Path) -> int:
    """Return how many embeddings a checkpoint's tokenizer needs, as its JSON files say; 0 if they do not say it."""
    files = {
        name: folder / name for name in ("tokenizer.json", "tokenizer_config.json", "added_tokens.json", "vocab.json")
    }
    data = {name: json_object(path) if path.is_file() else {} for name, path in files.items()}
    model, more = data["tokenizer.json"].get("model"), data["tokenizer.json"].get("added_tokens")
    vocabulary = (model.get("vocab") if isinstance(model, dict) else None) or data["vocab.json"]
    ids = (
        list(vocabulary.values())
        if isinstance(vocabulary, dict)
        else list(range(len(vocabulary)))
        if isinstance(vocabulary, list)
        else []
    )
    ids += [token.get("id") for token in more if isinstance(token, dict)] if isinstance(more, list) else []
    ids += data["added_tokens.json"].values()
    added = data["tokenizer_config.json"].get("added_tokens_decoder")
    ids += [int(key) for key in added if key.isdecimal()] if isinstance(added, dict) else []
    return 1 + max((i for i in ids if isinstance(i, int)), default=-1)


def _cached_vocabulary(record: Record) -> int | None:
    """Return the size of a base model's vocabulary, if its config is in the Hub's cache here."""
    name = record.base_name
    if name is None or not name.on_hub or record.model.reads != "text":
        return None
    try:
        found = hf.try_to_load_from_cache(name.id, "config.json", revision=record.base_pinned)
    except HFValidationError:
        return None
    size = json_object(Path(found)).get("vocab_size") if isinstance(found, str) else None
    return size if isinstance(size, int) else None
