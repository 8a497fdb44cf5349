"""`python -m src.evaluate`: ask both models the same questions."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from src.cli import run, say


class SplitName(StrEnum):
    """Questions that can be asked."""

    validation = "validation"
    test = "test"


def evaluate(
    config: Annotated[Path, typer.Option(help="The experiment.")] = Path("configs/experiments/gpt2-mini.yaml"),
    metrics: Annotated[Path, typer.Option(help="The metrics that are computed.")] = Path("configs/metrics.yaml"),
    split: Annotated[
        SplitName, typer.Option(help="Ask validation questions while choosing a recipe; test questions once.")
    ] = SplitName.test,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the results; results/NAME for test, runs/NAME/validation for validation."),
    ] = None,
) -> None:
    """Ask the base model and the fine-tuned model the same questions.

    Writes evaluation_results.json and predictions.parquet, a row a question.
    """
    from src.experiment.evaluate import evaluate as library
    from src.record.config import ExperimentConfig, MetricsConfig
    from src.record.files import load_yaml

    experiment = load_yaml(config, ExperimentConfig)
    declared = load_yaml(metrics, MetricsConfig)
    name = experiment.experiment_name
    default = Path("results") / name if split is SplitName.test else Path("runs") / name / "validation"
    target = output or default
    result = library(experiment, declared, split.value, target)
    for key, base in result["base_model"]["metrics"].items():
        say(f"{declared.metrics[key].label}: {base:.4f} -> {result['finetuned_model']['metrics'][key]:.4f}")
    say(f"results in {target}")


if __name__ == "__main__":
    run(evaluate)
