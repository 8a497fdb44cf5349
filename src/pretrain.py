"""`python -m src.pretrain`: train the small base model from scratch on public-domain books."""

from pathlib import Path
from typing import Annotated

import typer

from src.cli import chosen, run, say


def pretrain(
    corpus: Annotated[Path, typer.Option(help="Folder of Markdown books (see the base model's README.md).")],
    sources: Annotated[
        Path | None,
        typer.Option(help="List of the books with their SHA-256, tab-separated; models/NAME/sources.tsv by default."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="What to train; configs/pretrain/NAME.yaml by default, after the project's base model."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the model; models/NAME by default.")] = None,
    work: Annotated[
        Path | None, typer.Option(help="Folder for the checkpoint to resume from; runs/pretrain-NAME by default.")
    ] = None,
    compile_model: Annotated[
        bool, typer.Option("--compile", help="Compile the model: quicker, needs a C++ compiler.")
    ] = False,
) -> None:
    """Train the base model from scratch on public-domain books.

    Takes about an hour on two cores. A run that is interrupted resumes when the same command is given again.
    On a machine with a CUDA GPU it runs there.
    """
    from src.experiment.pretrain import pretrain as library
    from src.record.config import ExperimentConfig, PretrainConfig
    from src.record.files import load_yaml

    if config is None:
        base = load_yaml(chosen(None), ExperimentConfig).required_base_model
        config = Path("configs/pretrain") / f"{Path(base).name}.yaml"
    settings = load_yaml(config, PretrainConfig)
    target = output or Path("models") / settings.name
    listed = sources or Path("models") / settings.name / "sources.tsv"
    checkpoints = work or Path("runs") / f"pretrain-{settings.name}"
    result = library(settings, corpus, listed, target, checkpoints, compile_model=compile_model)
    say(f"held-out loss {result['held_out_loss']:.3f} nats per token; model in {target}")


if __name__ == "__main__":
    run(pretrain)
