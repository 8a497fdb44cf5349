"""What pretraining and fine-tuning share: a run is resumed only as what it was, and its outcome is written whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from src.record.binding import flat
from src.record.errors import InputError
from src.record.files import write_json

from .energy import measure


def same_run(work: Path, identity: dict[str, Any]) -> None:
    """Note what is run in the run's folder, and refuse to resume a run of anything else."""
    path = work / "run.json"
    if not path.exists():
        if any(work.glob("checkpoint-*")):
            raise InputError(work, "checkpoints of an unknown run. Delete the folder, or give another --work.")
        write_json(path, identity)
        return
    before, now = flat(json.loads(path.read_text(encoding="utf-8"))), flat(identity)
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            message = f"{key}: {before.get(key)} before, {now.get(key)} now. Delete the folder, or give another --work."
            raise InputError(path, message)


@contextmanager
def resumed(trainer: Any, country_iso_code: str | None = None) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Give the Trainer's last checkpoint, and what the block uses once it ends; of a run that was resumed, that is not known."""
    from transformers.trainer_utils import get_last_checkpoint

    last = get_last_checkpoint(trainer.args.output_dir)
    resources: dict[str, Any] = {"steps": trainer.args.max_steps}
    with measure(country_iso_code) as used:
        yield last, resources
    resources |= {key: used[key] for key in ("cpu", "gpu")} if last else used


def training_log(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep the losses and learning rates of the Trainer's log, one entry per step."""
    names = {"loss": "loss", "eval_loss": "validation_loss", "learning_rate": "learning_rate", "grad_norm": "grad_norm"}
    merged: dict[int, dict[str, Any]] = {}
    for entry in history:
        kept = {name: float(entry[key]) for key, name in names.items() if key in entry}
        if kept:
            merged.setdefault(int(entry["step"]), {}).update(kept)
    return [{"step": step, **values} for step, values in sorted(merged.items())]


@contextmanager
def replacing_files(target: Path) -> Iterator[Path]:
    """Give an empty folder; its files replace those in `target` once the block ends."""
    staging = target.with_name(f".{target.name}.staging")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    yield staging
    target.mkdir(parents=True, exist_ok=True)
    for file in staging.iterdir():
        file.chmod(0o644)
        file.replace(target / file.name)
    staging.rmdir()
