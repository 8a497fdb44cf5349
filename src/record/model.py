"""What a checkpoint is, as its own files say it: an adapter of some kind, or a full model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

from .checkpoint import check_safetensors, is_full, json_object, weight_files


@dataclass(frozen=True)
class Head:
    """What a model does with its last hidden states: the class of transformers that loads it, and the Hub's name for the task."""

    auto: str
    pipeline: str

    @property
    def by_peft(self) -> str:
        """Class of peft that loads an adapter with its base model, at the revision and with the tokens that it was trained on."""
        known = self.auto not in ("AutoModel", "AutoModelForMaskedLM")
        return self.auto.replace("AutoModel", "AutoPeftModel") if known else "AutoPeftModel"


HEADS = {
    "CAUSAL_LM": Head("AutoModelForCausalLM", "text-generation"),
    "SEQ_2_SEQ_LM": Head("AutoModelForSeq2SeqLM", "text2text-generation"),
    "SEQ_CLS": Head("AutoModelForSequenceClassification", "text-classification"),
    "TOKEN_CLS": Head("AutoModelForTokenClassification", "token-classification"),
    "FEATURE_EXTRACTION": Head("AutoModel", "feature-extraction"),
    "MASKED_LM": Head("AutoModelForMaskedLM", "fill-mask"),
}
"""What a model does, by peft's `task_type`, which has none for a masked language model."""

ARCHITECTURES = {
    "ForCausalLM": "CAUSAL_LM",
    "LMHeadModel": "CAUSAL_LM",
    "ForMaskedLM": "MASKED_LM",
    "ForSequenceClassification": "SEQ_CLS",
    "ForTokenClassification": "TOKEN_CLS",
    "MTModel": "SEQ_2_SEQ_LM",
}
"""Ends of the names of a model's classes, and what each does."""

OTHER_INPUTS = {"num_mel_bins", "vision_config"}
"""Keys of the config of a model that reads sound or images, whose class may end in ForConditionalGeneration as well."""

EMBEDDINGS = ("embed_tokens", "wte", "word_embeddings", "shared", "embed_in", "tok_embeddings")
CLASSIFIERS = ("out_proj", "score", "classifier")
"""Names of modules that hold the token embeddings and a classifier's output, the innermost first."""

SETTINGS = ("r", "lora_alpha", "lora_dropout", "target_modules", "use_rslora", "bias", "modules_to_save")
"""Keys of a LoRA adapter's config that an experiment's config states too."""

SPECIAL = ("use_rslora", "use_dora", "rank_pattern", "alpha_pattern", "layers_to_transform", "trainable_token_indices")
"""Keys of a LoRA adapter's config that a card names where they are set."""


@dataclass(frozen=True)
class Model:
    """A checkpoint as its own files describe it; what they do not state is None.

    `config` holds the adapter's `adapter_config.json` or the full model's `config.json`. Without a checkpoint it is empty.
    """

    folder: Path
    config: Mapping[str, Any]
    full: bool = False

    @property
    def method(self) -> str | None:
        """The adapter's method, as peft names it."""
        stated = self.config.get("peft_type")
        named = "LoRA" if self.is_lora else stated
        return named if isinstance(named, str) and named and not self.full else None

    @property
    def head(self) -> Head | None:
        """What the model does; None where it is nothing that a snippet is written for."""
        task = None if self.full else self.config.get("task_type")
        if task is not None:
            return HEADS.get(str(task))
        name = self.architecture or ""
        if name.endswith("ForConditionalGeneration"):
            return None if OTHER_INPUTS & self.config.keys() else HEADS["SEQ_2_SEQ_LM"]
        return next((HEADS[task] for end, task in ARCHITECTURES.items() if name.endswith(end)), None)

    @property
    def architecture(self) -> str | None:
        """Name of a full model's class, or of the class that an adapter without a task was trained on."""
        names = self.config.get("architectures") if self.full else None
        mapped = None if self.full else self.config.get("auto_mapping")
        if isinstance(mapped, dict) and isinstance(mapped.get("base_model_class"), str):
            return str(mapped["base_model_class"])
        return str(names[0]) if isinstance(names, list) and names else None

    @property
    def library(self) -> str | None:
        """The Hub's name of the library that loads it."""
        return "transformers" if self.full else "peft" if self.config else None

    @property
    def is_lora(self) -> bool:
        """Whether it is LoRA or a variant that peft calls so."""
        return not self.full and self.config.get("peft_type") == "LORA"

    @property
    def special(self) -> list[str]:
        """Keys of the config by which a LoRA adapter differs from what its rank, alpha and modules say."""
        return [key for key in SPECIAL if self.is_lora and self.config.get(key)]

    @property
    def adapted(self) -> list[str]:
        """The modules that are adapted, or the pattern that names them."""
        stated = self.config.get("target_modules")
        return [stated] if isinstance(stated, str) else sorted(map(str, stated)) if isinstance(stated, list) else []

    @property
    def settings(self) -> dict[str, Any] | None:
        """The adapter's settings, by the names that an experiment's `lora_config` shares with peft; None where it is not LoRA."""
        if not self.is_lora or not {"r", "lora_alpha"} <= self.config.keys():
            return None
        return {key: self.config[key] for key in SETTINGS if self.config.get(key) not in (None, False, 0, "none", [])}

    @property
    def trained_whole(self) -> list[str]:
        """Modules that were trained in full and are saved with the adapter; peft also states names that the model does not have."""
        stated = self.config.get("modules_to_save")
        names = sorted(map(str, stated)) if isinstance(stated, list) and not self.full else []
        saved = {part for name in self.shapes for part in name.split(".")}
        return [name for name in names if name.rsplit(".", 1)[-1] in saved] if saved else names

    @property
    def bias(self) -> str | None:
        """Which biases were trained: `all` or `lora_only`."""
        stated = self.config.get("bias")
        return str(stated) if stated and stated != "none" and not self.full else None

    @property
    def revision(self) -> str | None:
        """The base model's revision that the adapter was trained on, where it is pinned."""
        stated = self.config.get("revision")
        safe = isinstance(stated, str) and re.fullmatch(r"[\w./-]{1,100}", stated)
        return str(stated) if safe and stated != "main" and not self.full else None

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor, by name, from the files' headers."""
        found: dict[str, tuple[int, ...]] = {}
        for path in weight_files(self.folder).values() if self.config else ():
            found |= tensor_shapes(path)
        return found

    @property
    def parameters(self) -> int | None:
        """Number of parameters in the checkpoint; None of a quantized model, whose tensors hold several in one number."""
        packed = self.full and self.config.get("quantization_config")
        return None if packed else sum(prod(shape) for shape in self.shapes.values())

    @property
    def trained_parameters(self) -> int | None:
        """Number of parameters that were trained, where all of them and no others are saved."""
        known = self.config.get("peft_type") in ("LORA", "IA3") and not self.full
        with_embeddings = (
            self.vocabulary is not None and not self.trained_whole
        )  # which peft saves along with new tokens
        return self.parameters or None if known and not with_embeddings else None

    @property
    def vocabulary(self) -> int | None:
        """Rows of the token embeddings that are saved."""
        return self._rows(EMBEDDINGS)

    @property
    def classifies(self) -> bool:
        """Whether it gives texts or tokens a label."""
        return self.head in (HEADS["SEQ_CLS"], HEADS["TOKEN_CLS"])

    @property
    def labels(self) -> int | None:
        """Number of classes of a classifier that is saved with an adapter."""
        return self._rows(CLASSIFIERS) if self.classifies and not self.full else None

    @property
    def unnamed_labels(self) -> bool:
        """Whether a classifier's labels have no names but transformers' own, as in LABEL_0; an adapter's config has no place for any."""
        names = self.config.get("id2label") if self.full else None
        named = isinstance(names, dict) and not any(str(name).startswith("LABEL_") for name in names.values())
        return self.classifies and not named

    def _rows(self, modules: tuple[str, ...]) -> int | None:
        for module in modules:
            for name, shape in self.shapes.items():
                parts = name.split(".")
                if parts[-1] == "weight" and module in parts and "lora_" not in name:
                    return shape[0]
        return None


def read_model(folder: Path) -> Model:
    """Read a checkpoint's description of itself; an empty one if there is no checkpoint."""
    full = is_full(folder)
    path = folder / ("config.json" if full else "adapter_config.json")
    return Model(folder, json_object(path) if path.is_file() else {}, full)


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes in a safetensors file, without reading its tensors."""
    header = check_safetensors(path)
    return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
