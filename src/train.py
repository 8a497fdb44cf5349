"""`python -m src.train`: fine-tune a LoRA adapter."""

from pathlib import Path
from typing import Annotated

import typer

from src.cli import Planned, RunName, chosen, run, say


def train(
    config: Planned = None,
    run_name: RunName = None,
    log: Annotated[Path | None, typer.Option(help="File for the training log; in results/NAME by default.")] = None,
    work: Annotated[
        Path | None, typer.Option(help="Folder for the Trainer's checkpoints; runs/NAME by default.")
    ] = None,
) -> None:
    """Fine-tune the LoRA adapter.

    Keeps the checkpoint with the lowest validation loss. A run that is interrupted resumes when the same command is given again; one
    with other settings or data is refused.
    """
    from src.record.study import read_run

    what = read_run(chosen(config, study=run_name is not None), run_name)
    from src.experiment.finetune import train as library  # after the config, since it imports torch

    result = library(what, log or what.log, work or what.work)
    say(
        f"best validation loss {result['best_validation_loss']:.4f} at step {result['best_step']}; "
        f"adapter in {what.experiment.checkpoint}"
    )


if __name__ == "__main__":
    run(train)
