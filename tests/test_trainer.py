"""A Trainer's output folder is read as people have it, without opening a pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from src.documents.context import Context
from src.documents.renderer import Renderer
from src.exchange.trainer import read_trainer
from src.figures import style
from src.figures.catalog import catalog
from src.figures.charts import WIDE
from src.record.errors import InputError
from src.record.schemas import TrainingLog

STATE = """{"global_step": 120, "epoch": 3.0, "max_steps": 120, "best_metric": 0.5, "best_global_step": 100, "train_batch_size": 8,
 "log_history": [
  {"step": 50, "loss": 1.2, "grad_norm": NaN, "learning_rate": 0.0002, "epoch": 1.2},
  {"step": 100, "loss": 0.8, "learning_rate": 0.0001}, {"step": 100, "eval_loss": 0.5, "eval_runtime": 2.0},
  {"step": 120, "train_runtime": 61.5, "train_loss": 0.9}]}"""


def folder(tmp_path: Path, state: str = STATE, place: str = "trainer_state.json") -> Path:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text(state)
    (tmp_path / "training_args.bin").write_bytes(b"\x80\x04.")
    return tmp_path


@pytest.mark.parametrize("place", ["trainer_state.json", "checkpoint-120/trainer_state.json"])
def test_state_and_results_are_read(place: str, tmp_path: Path) -> None:
    (tmp_path / "all_results.json").write_text('{"epoch": 3.0, "train_loss": 0.9, "train_runtime": 62.0}')
    folder(tmp_path, state='{"global_step": 20}', place="checkpoint-20/trainer_state.json")  # the last one counts
    found = read_trainer(folder(tmp_path, place=place), "mine")
    assert found.settings == {"max_steps": 120, "per_device_train_batch_size": 8, "num_train_epochs": 3.0}
    log = TrainingLog.model_validate(found.log)
    assert (log.steps, log.best_step, log.resources.duration_seconds) == (120, None, 62.0)
    assert [(e.step, e.loss, e.validation_loss) for e in log.log] == [(50, 1.2, None), (100, 0.8, 0.5)]
    assert log.notes == []


def test_the_trainers_own_evaluation_and_losses_by_step_are_shown(tmp_path: Path, context: Context) -> None:
    (tmp_path / "all_results.json").write_text('{"eval_accuracy": 0.91, "eval_runtime": 2.0, "epoch": 3.0}')
    (tmp_path / "eval_results.json").write_text('{"eval_loss": 0.5, "eval_samples_per_second": 9.0, "eval_x": "no"}')
    log = TrainingLog.model_validate(read_trainer(folder(tmp_path), "mine").log)
    assert log.evaluation == {"loss": 0.5, "accuracy": 0.91}
    renderer = Renderer(context, "hub")
    assert "- **Evaluation by the Trainer:** loss 0.5, accuracy 0.91" in renderer.render("parts/speeds.md", log=log)
    assert "| 100 | 0.8000 | 0.5000 |" in renderer.render("parts/losses.md", log=log)


def test_losses_that_are_not_numbers_stay_visible(tmp_path: Path, context: Context) -> None:
    """A diverged run must not look healthy."""
    entries = [f'{{"step": {step}, "loss": {loss}}}' for step, loss in ((10, 2.0), (20, 1.0), (30, "NaN"), (40, "NaN"))]
    entries.append('{"step": 40, "eval_loss": Infinity}')
    state = f'{{"global_step": 40, "log_history": [{", ".join(entries)}]}}'
    log = TrainingLog.model_validate(read_trainer(folder(tmp_path, state), "mine").log)
    assert log.notes == [
        "2 of 4 logged training losses are not numbers, the last one among them",
        "1 of 1 logged validation losses are not numbers, the last one among them",
    ]
    speeds = Renderer(context, "hub").render("parts/speeds.md", log=log)
    assert "- **Losses:** 2 of 4 logged training losses are not numbers, the last one among them" in speeds


@pytest.mark.parametrize(
    ("entries", "title", "rows"),
    [
        ([{"step": 1, "loss": -0.5}, {"step": 2, "loss": 0.25}], "Training loss", (("1", "-0.5000"), ("2", "0.2500"))),
        ([{"step": 2, "eval_loss": 0.25}], "Validation loss", (("2", "0.2500"),)),
        ([{"step": 1, "loss": 1}, {"step": 2, "eval_loss": 0.25}], "Training and validation loss", (("2", "0.2500"),)),
    ],
)
def test_the_chart_shows_the_losses_that_there_are(
    entries: list[dict[str, float]], title: str, rows: tuple[Any, ...], context: Context, tmp_path: Path
) -> None:
    """Another Trainer's loss may be of any kind, so its axis claims no unit."""
    state = json.dumps({"global_step": 2, "log_history": entries})
    log = TrainingLog.model_validate(read_trainer(folder(tmp_path, state=state), "mine").log)
    chart = next(chart for chart in catalog(context.analysis, log) if chart.name == "training")
    assert (chart.title, chart.rows) == (title, rows)
    (axes,) = chart.draw(style.LIGHT, WIDE).axes
    assert axes.get_ylabel() == "Loss" and axes.get_ylim()[0] <= float(rows[0][1])


def test_numbers_that_nothing_can_hold_are_not_taken(tmp_path: Path) -> None:
    huge = "9" * 400
    state = STATE.replace('"loss": 1.2', f'"loss": {huge}').replace('"best_metric": 0.5', f'"best_metric": {huge}')
    found = read_trainer(folder(tmp_path, state=state.replace('"step": 120', f'"step": {huge}')), "mine")
    log = TrainingLog.model_validate(found.log)
    assert [(e.step, e.loss) for e in log.log] == [(50, None), (100, 0.8)]


@pytest.mark.parametrize("state", ["[]", "{", '{"a": ' * 5000])
def test_a_broken_state_is_named(state: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trainer_state\.json"):
        read_trainer(folder(tmp_path, state=state), "mine")
