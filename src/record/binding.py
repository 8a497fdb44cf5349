"""What a config says against what was run: the settings that training and evaluation stored, and the hashes of what they used."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NoReturn

from .config import TRAINED, ExperimentConfig, LoraConfig
from .errors import InputError, show
from .files import validate
from .model_name import parse_model_name
from .schemas import EvaluationResults, Hashes, TrainingLog

FREE = frozenset(
    ["experiment_name", "note", "checkpoint", "base_revision", "dataset_config.path", "training_config.report_to"]
)
"""Keys of an experiment's config that name or describe, and change nothing that was run."""

RETIRED = (
    "published_for", "dataset_config.skills", "dataset_config.books", "dataset_config.question_tokens", "evaluation_config.variants",
    "evaluation_config.tasks",
)  # fmt: skip
"""Keys that older records have, and that made no difference to what is still on record."""


def check_settings(
    config_path: Path,
    config: ExperimentConfig,
    results_path: Path,
    runs: Mapping[str, dict[str, Any] | None],
    adapter: dict[str, Any],
) -> None:
    """Refuse a config that states other settings than were run; parts that stored none are not compared."""
    stated = flat(config.as_recorded())
    for what, stored in runs.items():
        if stored is None:
            continue
        kept = deepcopy(stored)
        for retired in RETIRED:
            part, _, name = retired.rpartition(".")
            inside = kept.get(part) if part else kept
            if isinstance(inside, dict):
                inside.pop(name, None)
        ran = flat(validate(results_path, kept, ExperimentConfig).as_recorded())
        for key in sorted(ran.keys() | stated.keys()):
            if key in FREE or (what == "the training" and key.split(".")[0] not in TRAINED):
                continue
            if key == "base_model":
                _compare_base(config_path, ran.get(key), stated.get(key), what)
            else:
                _compare(config_path, key, ran.get(key), stated.get(key), what)
    base = adapter.get("base_model_name_or_path")
    if base and config.base_model:
        _compare_base(config_path, base, config.base_model, "adapter_config.json")
    if config.lora_config is None or not {"r", "lora_alpha"} <= adapter.keys():
        return
    lora, trained = config.lora_config, validate(Path("adapter_config.json"), adapter, LoraConfig)
    for key in ("r", "alpha", "dropout", "use_rslora", "bias", "target_modules"):
        ran_with, says = getattr(trained, key), getattr(lora, key)
        if key == "target_modules":
            if not (isinstance(ran_with, list) and isinstance(says, list)):
                continue
            ran_with, says = sorted(ran_with), sorted(says)
        if key in trained.model_fields_set:
            _compare(config_path, f"lora_config.{key}", ran_with, says, "adapter_config.json")


def check_weights(config_path: Path, config: ExperimentConfig, results: EvaluationResults) -> None:
    """Refuse to publish weights under another name than imported results give them; hashes, where there are some, say more."""
    evaluated, usual = results.finetuned_model.name, f"checkpoints/{config.experiment_name}"
    imported = results.source is not None and results.hashes is None and evaluated is not None
    if imported and config.checkpoint != usual and not parse_model_name(config.checkpoint).names(str(evaluated)):
        refuse_weights(config_path, str(evaluated), config.checkpoint)


def refuse_weights(config_path: Path, evaluated: str, published: str) -> NoReturn:
    """Say that other weights are published than were evaluated."""
    message = f"checkpoint: the results are of {evaluated}, and {published} is published. Publish what was evaluated"
    raise InputError(config_path, f"{message}; if it is the same, give its folder that name.")


def check_trained(log_path: Path, log: TrainingLog, evaluated: Hashes | None) -> None:
    """Refuse a training log of another adapter, base model or dataset than were evaluated; without hashes nothing is compared."""
    if evaluated is None or log.hashes is None:
        return
    for part in ("base", "data", "adapter"):
        before, after = getattr(log.hashes, part), getattr(evaluated, part)
        for name in sorted(before) if after else ():  # the word list is the training's alone
            asked = name in after or name.endswith((".parquet", ".safetensors"))
            if asked and after.get(name) != before[name]:
                raise InputError(log_path, f"hashes.{part}.{name}: another file was trained with than evaluated.")


def _compare_base(path: Path, ran: object, stated: object, what: str) -> None:
    """Compare two names of a base model, which may be ids or paths."""
    if not (isinstance(ran, str) and isinstance(stated, str)):
        _compare(path, "base_model", ran, stated, what)
        return
    names = parse_model_name(ran), parse_model_name(stated)
    if not names[0].same_model(names[1]):
        message = f"base_model: {names[1].id}, but {what} says that {names[0].id} was run. State that one."
        raise InputError(path, message)


def _compare(path: Path, key: str, ran: object, stated: object, what: str) -> None:
    if ran != stated:
        raise InputError(path, f"{key}: {show(stated)}, but {what} says that {show(ran)} was run. State what was run.")


def flat(data: Any, prefix: str = "") -> dict[str, Any]:
    """Return a nested dictionary as one level, each key the path to its value, as in `training_config.max_steps`."""
    if not isinstance(data, dict) or not data:
        return {prefix: data}
    return {k: v for key, value in data.items() for k, v in flat(value, f"{prefix}.{key}" if prefix else key).items()}
