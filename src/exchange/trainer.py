"""What transformers' Trainer leaves in a model's folder: `trainer_state.json`, and its results in `all_results.json`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, Field

from src.record.checkpoint import json_object
from src.record.files import load_json
from src.record.model import read_model

from .reading import number

MOST = 20
"""Most metrics of the Trainer's evaluation that are taken over."""

_SPEED = re.compile(r"runtime|samples|.*_per_second")

_LOSSES = {"loss": "loss", "eval_loss": "validation_loss", "learning_rate": "learning_rate", "grad_norm": "grad_norm"}


class TrainerState(BaseModel):
    """`trainer_state.json`, as far as it is read."""

    global_step: int = Field(0, ge=0, le=10**12)
    train_batch_size: int | None = Field(None, ge=1, le=10**12)
    log_history: list[dict[str, Any]] = []


class Trained(NamedTuple):
    """What a folder says of its training: a log, ready for `training_log.json`, and keys of `training_config`."""

    log: dict[str, Any] | None
    settings: dict[str, Any]


def read_trainer(folder: Path, name: str) -> Trained:
    """Read a Trainer's output folder. No pickle is opened."""
    place = _state_file(folder)
    state = load_json(place, TrainerState) if place is not None else TrainerState()
    steps, history = state.global_step, state.log_history
    if not steps:
        return Trained(None, {})  # nothing was trained yet, or no state says it
    summaries = [path for name in ("eval", "all") if (path := folder / f"{name}_results.json").is_file()]
    ended = {key: number(value) for path in summaries for key, value in json_object(path).items()}
    trained = read_model(folder).trained_parameters
    runtimes = [*(number(entry.get("train_runtime")) for entry in history), ended.get("train_runtime")]
    log = {
        "experiment_name": name,
        "steps": steps,
        "parameters": {"trainable": trained} if trained else {},
        "log": _entries(history),
        "notes": _not_numbers(history),
        "evaluation": _evaluation(ended),
        "resources": {"duration_seconds": next(filter(None, reversed(runtimes)), None), "steps": steps},
    }
    known = {"per_device_train_batch_size": state.train_batch_size, "num_train_epochs": ended.get("epoch")}
    return Trained(log, {"max_steps": steps} | {key: value for key, value in known.items() if value})


def _evaluation(stated: dict[str, float | None]) -> dict[str, float]:
    """Return the metrics of the Trainer's evaluation, without its speed."""
    named = {key.removeprefix("eval_"): value for key, value in stated.items() if key.startswith("eval_")}
    kept = {key[:60]: value for key, value in named.items() if value is not None and not _SPEED.fullmatch(key)}
    return dict(list(kept.items())[:MOST])


def _state_file(folder: Path) -> Path | None:
    """Find the Trainer's state: in the folder itself, or in its last checkpoint."""
    found = [*folder.glob("trainer_state.json")] or folder.glob("checkpoint-[0-9]*/trainer_state.json")
    return max(found, key=lambda path: (len(path.parent.name), path.parent.name), default=None)


def _entries(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what was logged at each step."""
    merged: dict[int, dict[str, float]] = {}
    for entry in history:
        kept = {name: known for key, name in _LOSSES.items() if (known := number(entry.get(key))) is not None}
        step = number(entry.get("step"))
        if kept and step is not None:
            merged.setdefault(int(step), {}).update(kept)
    return [{"step": step, **values} for step, values in sorted(merged.items())]


def _not_numbers(history: list[dict[str, Any]]) -> list[str]:
    """Count the losses that are not numbers: a run that diverged must not look healthy."""
    found = []
    for key, what in (("loss", "training losses"), ("eval_loss", "validation losses")):
        logged = [number(entry[key]) for entry in history if isinstance(entry.get(key), float | int)]
        if None in logged:
            last = ", the last one among them" if logged[-1] is None else ""
            found.append(f"{logged.count(None)} of {len(logged)} logged {what} are not numbers{last}")
    return found
