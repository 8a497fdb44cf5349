"""`python -m src.benchmark`: measure what running the model costs on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from src.cli import Config, run, say


def benchmark(
    config: Config = None,
    project: Annotated[Path, typer.Option(help="The project config, for the prompts.")] = Path("configs/project.yaml"),
    processes: Annotated[int, typer.Option(min=1, help="Processes for each variant; the variants take turns.")] = 5,
    answers: Annotated[int, typer.Option(min=2, help="Answers that each process times.")] = 20,
    new_tokens: Annotated[int, typer.Option(min=1, help="Tokens of each answer.")] = 32,
    output: Annotated[
        Path | None, typer.Option(help="Where to write; results/NAME/deployment.json by default.")
    ] = None,
) -> None:
    """Measure load time, latency and memory on the CPU: base model, with the adapter next to it, and with it merged.

    Takes about two minutes on two cores; let nothing else run meanwhile. Also records what the published models write after the
    project's example prompts, which documents quote. An adapter that is not the one that was evaluated is refused.
    """
    from src.documents.snippet import snippet_prompt
    from src.experiment.deployment import benchmark as library
    from src.record.errors import InputError
    from src.record.load import load_record

    record = load_record(Path(), project=project, experiment=config)
    record.check_adapter()
    experiment = record.experiment
    adapters = {"finetuned": Path(experiment.checkpoint)}
    if record.study is not None:
        names = [record.study.config.published, *record.study.config.also_published]
        adapters = {name: Path(record.study.study.run(name).experiment.checkpoint) for name in names}
    target = output or Path("results") / experiment.experiment_name / "deployment.json"
    if record.results.hashes is None and target.exists() and not record.deployment_is_current:
        raise InputError(target, "measurements of another adapter. Remove it, or name another file with --output.")
    result = library(
        experiment,
        Path(experiment.checkpoint),
        snippet_prompt(record).text,
        target,
        adapters=adapters,
        samples_of=record.project.sample_prompts,
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
