"""What transformers' Trainer leaves in a model's folder: `trainer_state.json`, and its results in `all_results.json`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.record.checkpoint import json_object
from src.record.model import read_model

from .reading import LARGEST, mapping

MOST = 20
"""Most metrics of the Trainer's evaluation that are taken over."""

_SPEED = re.compile(r"runtime|samples|.*_per_second")

_LOSSES = {"loss": "loss", "eval_loss": "validation_loss", "learning_rate": "learning_rate", "grad_norm": "grad_norm"}


@dataclass(frozen=True)
class Trained:
    """What a folder says of its training: a log, ready for `training_log.json`, and keys of `training_config`."""

    log: dict[str, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def read_trainer(folder: Path, name: str) -> Trained:
    """Read a Trainer's output folder. No pickle is opened."""
    place = _state_file(folder)
    state = json_object(place) if place is not None else {}
    summaries = [path for name in ("eval", "all") if (path := folder / f"{name}_results.json").is_file()]
    ended = {key: value for path in summaries for key, value in json_object(path).items()}
    logged = state.get("log_history")
    history = [mapping(entry) for entry in logged] if isinstance(logged, list) else []
    steps = _whole(state.get("global_step")) or max((_whole(entry.get("step")) or 0 for entry in history), default=0)
    if not steps:
        return Trained()  # nothing was trained yet, or no state says it
    trained = read_model(folder).trained_parameters
    runtimes = [_number(entry.get("train_runtime")) for entry in (*history, ended)]
    log = {
        "experiment_name": name,
        "steps": steps,
        "parameters": {"trainable": trained} if trained else {},
        "log": _entries(history),
        "notes": _not_numbers(history),
        "evaluation": _evaluation(ended),
        "resources": {"duration_seconds": next(filter(None, reversed(runtimes)), None), "steps": steps},
    }
    size, epochs = _whole(state.get("train_batch_size")), _number(ended.get("epoch"))
    settings: dict[str, Any] = {"max_steps": steps}
    settings |= {"per_device_train_batch_size": size} if size else {}
    settings |= {"num_train_epochs": epochs} if epochs else {}
    return Trained(log, settings)


def _evaluation(stated: dict[str, Any]) -> dict[str, float]:
    """Return the metrics of the Trainer's evaluation, without its speed."""
    named = {key.removeprefix("eval_"): _number(value) for key, value in stated.items() if key.startswith("eval_")}
    kept = {key[:60]: value for key, value in named.items() if value is not None and not _SPEED.fullmatch(key)}
    return dict(list(kept.items())[:MOST])


def _state_file(folder: Path) -> Path | None:
    """Find the Trainer's state: in the folder itself, or in its last checkpoint."""
    if (folder / "trainer_state.json").is_file():
        return folder / "trainer_state.json"
    found = folder.glob("checkpoint-[0-9]*/trainer_state.json")
    return max(found, key=lambda path: (len(path.parent.name), path.parent.name), default=None)


def _entries(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    merged: dict[int, dict[str, float]] = {}
    for entry in history:
        kept = {name: number for key, name in _LOSSES.items() if (number := _number(entry.get(key))) is not None}
        step = _whole(entry.get("step"))
        if kept and step is not None:
            merged.setdefault(step, {}).update(kept)
    return [{"step": step, **values} for step, values in sorted(merged.items())]


def _not_numbers(history: list[dict[str, Any]]) -> list[str]:
    """Count the losses that are not numbers: a run that diverged must not look healthy."""
    found = []
    for key, what in (("loss", "training losses"), ("eval_loss", "validation losses")):
        logged = [entry[key] for entry in history if isinstance(entry.get(key), float | int)]
        broken = [value for value in logged if _number(value) is None]
        if broken:
            last = ", the last one among them" if _number(logged[-1]) is None else ""
            found.append(f"{len(broken)} of {len(logged)} logged {what} are not numbers{last}")
    return found


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
    return float(value) if known else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST else None
