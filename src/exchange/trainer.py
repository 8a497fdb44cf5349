"""Read what transformers' Trainer leaves in a model's folder: its state, and the hyperparameters in its README."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from src.record.config import TrainingConfig
from src.record.errors import InputError
from src.record.files import parse_yaml, read_text, untrusted_json
from src.record.model import read_model

from .reading import LARGEST

HYPERPARAMETERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "learning_rate": ("learning_rate", float),
    "train_batch_size": ("per_device_train_batch_size", int),
    "gradient_accumulation_steps": ("gradient_accumulation_steps", int),
    "lr_scheduler_type": ("lr_scheduler_type", lambda text: text.removeprefix("SchedulerType.").lower()),
    "lr_scheduler_warmup_steps": ("warmup_steps", lambda text: round(float(text))),
    "lr_scheduler_warmup_ratio": ("warmup_ratio", float),
    "num_epochs": ("num_train_epochs", float),
    "training_steps": ("max_steps", int),
    "optimizer": ("optim", lambda text: text.removeprefix("Use ").split(" ")[0][:60]),
    "mixed_precision_training": ("mixed_precision_training", str),
}
"""Lines of the README that the Trainer writes, the setting that each states, and how it is read."""

_LINE = re.compile(r"^- ([a-z_]{3,40}): (.{1,200})$", flags=re.MULTILINE)
_VERSION = re.compile(r"^- (PEFT|TRL|Transformers|Pytorch|Datasets|Tokenizers):? ([\w.+-]{1,40})$", flags=re.MULTILINE)
_PACKAGES = {"Pytorch": "torch"}
_LOSSES = {"loss": "loss", "eval_loss": "validation_loss", "learning_rate": "learning_rate", "grad_norm": "grad_norm"}


@dataclass(frozen=True)
class Trained:
    """What a folder says of its training; what it does not say is left out.

    Attributes:
        log: A training log, ready for `training_log.json`; None without a Trainer's state.
        settings: Keys of `training_config`.
        seed: The seed.
        card: Front matter of its README.
        said: What was left out, and why.
    """

    log: dict[str, Any] | None
    settings: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    card: dict[str, Any] = field(default_factory=dict)
    said: tuple[str, ...] = ()


def read_trainer(folder: Path, name: str) -> Trained:
    """Read a Trainer's output folder. No pickle is opened.

    Which checkpoint was kept is not read: the state names the best one, but not whether it was loaded at the end.

    Args:
        folder: The folder, with the adapter or the model in it.
        name: Name of the experiment that the log is written for.

    Raises:
        InputError: The state is malformed.
    """
    found, packages = _readme(folder)
    place = _state_file(folder)
    state = _state(place) if place is not None else {}
    history = [entry for entry in state.get("log_history") or [] if isinstance(entry, dict)]
    runtime = next((_number(e.get("train_runtime")) for e in reversed(history) if "train_runtime" in e), None)
    logged = [step for entry in history if (step := _whole(entry.get("step"))) is not None]
    steps = _whole(state.get("global_step")) or max(logged, default=0)
    if not steps:
        return found  # nothing was trained yet, or no state says it
    there = any((folder / config).is_file() for config in ("adapter_config.json", "config.json"))
    trained = read_model(folder).trained_parameters if there else None
    log = {
        "experiment_name": name,
        "steps": steps,
        "parameters": {"trainable": trained} if trained else {},
        "log": _entries(history),
        "resources": {"duration_seconds": runtime, "steps": steps},
        "environment": {"packages": packages} if packages else None,
    }
    size = _whole(state.get("train_batch_size"))
    stated = {"max_steps": steps} | ({"per_device_train_batch_size": size} if size else {})
    return replace(found, log=log, settings=stated | found.settings)


def _state_file(folder: Path) -> Path | None:
    """Find the Trainer's state: in the folder itself, or in its last checkpoint."""
    if (folder / "trainer_state.json").is_file():
        return folder / "trainer_state.json"
    numbered = [(int(path.parent.name.rsplit("-", 1)[1]), path) for path in folder.glob("checkpoint-*/trainer_state.json")
                if path.parent.name.rsplit("-", 1)[1].isdigit()]  # fmt: skip
    return max(numbered)[1] if numbered else None


def _state(path: Path) -> dict[str, Any]:
    """Read a state; the Trainer writes NaN where a gradient or a loss was none."""
    try:
        state = untrusted_json(read_text(path, "Move it elsewhere."))
    except ValueError as error:
        raise InputError(
            path,
            found=str(error).splitlines()[0],
            expected="the state that the Trainer saves",
            hint="Move it elsewhere.",
        ) from None
    if not isinstance(state, dict):
        raise InputError(path, found=type(state).__name__, expected="a JSON object", hint="Move it elsewhere.")
    return state


def _readme(folder: Path) -> tuple[Trained, dict[str, str]]:
    """Read what the folder's README states, and the versions of packages in it."""
    path = folder / "README.md"
    card: Any = {}
    text, said = "", tuple[str, ...]()
    try:
        text = read_text(path, "") if path.is_file() else ""
        if text.startswith("---\n") and "\n---" in text[4:]:
            head, _, text = text[4:].partition("\n---")
            card = parse_yaml(path, head)
    except InputError as error:  # the folder's documentation, without which the model is the same
        what = "its front matter is" if text else "it is"
        where = f" at {error.key}" if error.key else ""
        said = (f"{path.name}: {what} left out: {error.found}{where}",)
    settings: dict[str, Any] = {}
    stated = dict(_LINE.findall(text))
    for key, (setting, read) in HYPERPARAMETERS.items():
        if key in stated:
            try:
                value = read(stated[key].strip())
                states = TrainingConfig.model_validate({setting: value}).model_fields_set
            except (ValueError, OverflowError):
                continue  # a line that states it in another way states nothing that could be shown
            if setting in states:  # -1 stands for nothing
                settings[setting] = value
    seed = int(stated["seed"]) if stated.get("seed", "").strip().isdigit() else None
    packages = {_PACKAGES.get(name, name.lower()): version for name, version in _VERSION.findall(text)}
    return Trained(None, settings, seed, card if isinstance(card, dict) else {}, said), packages


def _entries(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    merged: dict[int, dict[str, float]] = {}
    for entry in history:
        kept = {name: number for key, name in _LOSSES.items() if (number := _number(entry.get(key))) is not None}
        step = _whole(entry.get("step"))
        if kept and step is not None:
            merged.setdefault(step, {}).update(kept)
    return [{"step": step, **values} for step, values in sorted(merged.items())]


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
    return float(value) if known else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST else None
