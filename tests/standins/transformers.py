"""Stands in for transformers: models whose logits are drawn by the hash of their weights and of what they are asked."""

import hashlib
from types import SimpleNamespace
from typing import Any

import numpy as np
from _files import fetch
from torch import Tensor


def tensor(values: Any) -> Tensor:
    """Return an array as a stand-in for a tensor."""
    return np.asarray(values).view(Tensor)


class AutoTokenizer:
    """Takes a character for a token."""

    eos_token_id = 0

    @classmethod
    def from_pretrained(cls, name: str, revision: str | None = None) -> "AutoTokenizer":
        """Read the tokenizer's file, as the real one would."""
        fetch(name, "tokenizer.json", revision).read_bytes()
        return cls()

    def __call__(self, text: str, return_tensors: str) -> dict[str, Tensor]:
        return {"input_ids": tensor([[ord(c) for c in text]])}

    def decode(self, ids: Any, skip_special_tokens: bool = False) -> str:
        """Return the characters."""
        return "".join(chr(i) for i in ids)


class Model:
    """A model that is nothing but the bytes of its weights."""

    def __init__(self, weights: bytes) -> None:
        self.weights = weights

    def eval(self) -> "Model":
        """Change nothing."""
        return self

    def __call__(self, input_ids: Tensor) -> SimpleNamespace:
        seed = hashlib.sha256(self.weights + input_ids.tobytes()).digest()
        return SimpleNamespace(logits=tensor(np.random.default_rng(list(seed)).random((*input_ids.shape, 16))))

    def generate(self, input_ids: Tensor, max_new_tokens: int, **options: Any) -> Tensor:
        """Append letters that follow from the weights."""
        more = [97 + b % 26 for b in hashlib.sha256(self.weights).digest()[:max_new_tokens]]
        return tensor([[*input_ids[0], *more]])


class AutoModelForCausalLM:
    """Reads a model's files."""

    @classmethod
    def from_pretrained(cls, name: str, revision: str | None = None) -> Model:
        """Read config and weights."""
        files = [fetch(name, file, revision).read_bytes() for file in ("config.json", "model.safetensors")]
        return Model(b"".join(files))
