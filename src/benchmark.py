"""`python -m src.benchmark`: measure what running the model costs on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from src.cli import EXPERIMENT, run, say


def benchmark(
    config: Annotated[Path, typer.Option(help="The experiment.")] = EXPERIMENT,
    project: Annotated[Path, typer.Option(help="The project config, for the prompt.")] = Path("configs/project.yaml"),
    processes: Annotated[int, typer.Option(min=1, help="Processes for each variant; the variants take turns.")] = 5,
    answers: Annotated[int, typer.Option(min=2, help="Answers that each process times.")] = 20,
    new_tokens: Annotated[int, typer.Option(min=1, help="Tokens of each answer.")] = 32,
    output: Annotated[
        Path | None, typer.Option(help="Where to write; results/NAME/deployment.json by default.")
    ] = None,
) -> None:
    """Measure load time, latency and memory on the CPU: base model, with the adapter beside it, and with it merged.

    Takes about two minutes on two cores; let nothing else run meanwhile. The report shows what it finds.
    """
    from src.experiment.deployment import benchmark as library
    from src.record.config import ExperimentConfig, ProjectConfig
    from src.record.files import load_yaml

    experiment = load_yaml(config, ExperimentConfig)
    prompt = load_yaml(project, ProjectConfig).example_prompt
    target = output or Path("results") / experiment.experiment_name / "deployment.json"
    result = library(
        experiment,
        Path(experiment.checkpoint),
        prompt,
        target,
        processes=processes,
        answers=answers,
        new_tokens=new_tokens,
    )
    for variant in result.variants:
        say(
            f"{variant.variant}: {1000 * variant.latency_seconds:.0f} ms for {result.new_tokens} tokens, loaded in "
            f"{variant.load_seconds:.2f} s, {variant.peak_memory_bytes / 1e6:.0f} MB at the peak"
        )
    say(f"written to {target}")


if __name__ == "__main__":
    run(benchmark)
