"""`python -m src.evaluate`: ask both models the same questions."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from src.cli import Planned, RunName, chosen, run, say


def evaluate(
    config: Planned = None,
    run_name: RunName = None,
    metrics: Annotated[
        Path | None, typer.Option(help="The metrics that are computed; configs/metrics.yaml by default.")
    ] = None,
    split: Annotated[
        Literal["validation", "test"],
        typer.Option(help="Ask validation questions while choosing a recipe; test questions once."),
    ] = "test",
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the results; results/NAME for test, runs/NAME/validation for validation."),
    ] = None,
) -> None:
    """Ask the base model and the fine-tuned model the same questions.

    Writes questions.parquet, answers/MODEL.parquet and evaluation_results.json. A further run of a study adds its own answers and
    runs/RUN.json to the published run's record, whose base model is not asked again.
    """
    from src.record.config import METRICS, MetricsConfig
    from src.record.files import load_yaml
    from src.record.study import read_run

    what = read_run(chosen(config, study=run_name is not None), run_name)
    from src.experiment.evaluate import evaluate as library  # after the config, since it imports torch

    declared = load_yaml(metrics or METRICS, MetricsConfig)
    target = output or (what.results if split == "test" else what.work / "validation")
    values = library(what, declared, split, target)
    for key, value in values.items():
        say(f"{declared.metrics[key].label}: {value:.4f}")
    say(f"results in {target}")


if __name__ == "__main__":
    run(evaluate)
