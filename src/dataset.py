"""`python -m src.dataset`: build the spelling dataset and the test questions."""

from pathlib import Path
from typing import Annotated

import typer

from src.cli import Config, chosen, run, say


def dataset(
    config: Config = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the Parquet files; dataset_config.path by default.")
    ] = None,
) -> None:
    """Build the spelling dataset and the test questions.

    Training examples write out the tokens of the base model's vocabulary; questions are asked about words that are
    no single token. The same config always gives the same bytes.
    """
    from src.experiment.build import build
    from src.experiment.models import load_tokenizer
    from src.experiment.words import read_word_list
    from src.record.config import ExperimentConfig
    from src.record.files import load_yaml

    experiment = load_yaml(chosen(config), ExperimentConfig)
    settings = experiment.dataset_config
    words = read_word_list(Path(settings.word_list))
    target = output or Path(settings.path)
    written = build(load_tokenizer(experiment.required_base_model), words, target, settings)
    for name, rows in written.items():
        say(f"{rows:>8,} rows in {target / name}")


if __name__ == "__main__":
    run(dataset)
