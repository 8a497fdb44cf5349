"""`python -m src.train`: fine-tune the LoRA adapter on spelling."""

from pathlib import Path
from typing import Annotated

import typer

from src.cli import run, say


def train(
    config: Annotated[Path, typer.Option(help="The experiment.")] = Path("configs/experiments/gpt2-mini.yaml"),
    results: Annotated[Path | None, typer.Option(help="Folder for training_log.json; results/NAME by default.")] = None,
    work: Annotated[
        Path | None, typer.Option(help="Folder for the Trainer's checkpoints; runs/NAME by default.")
    ] = None,
) -> None:
    """Fine-tune the LoRA adapter on spelling alone.

    Keeps the checkpoint with the lowest validation loss. A run that is interrupted goes on where it was when the same command is
    given again. With several GPUs: `accelerate launch -m src.train --config CONFIG`.
    """
    from src.experiment.train import train as library
    from src.record.config import ExperimentConfig
    from src.record.files import load_yaml

    experiment = load_yaml(config, ExperimentConfig)
    name = experiment.experiment_name
    result = library(experiment, results or Path("results") / name, work or Path("runs") / name)
    say(
        f"best validation loss {result['best_validation_loss']:.4f} at step {result['best_step']}; adapter in {experiment.checkpoint}"
    )


if __name__ == "__main__":
    run(train)
