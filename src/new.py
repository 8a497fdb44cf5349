"""`python -m src.new`: create a project of its own for a model and its results."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from src.cli import run, say


def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project's folder: new or empty.")],
    name: Annotated[str, typer.Option(help="Name of the experiment and of the model's repository on the Hub.")],
    adapter: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The adapter's folder; its publishable files are copied.")
    ] = None,
    lm_eval: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="BASE TUNED", help="Both models' results of lm-evaluation-harness, with logged answers."),
    ] = None,
    filter: Annotated[
        str | None,
        typer.Option("--filter", help="With --lm-eval: whose answers count, where a task has several filters."),
    ] = None,
    metrics: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON with the metrics of both models, if you have nothing else."),
    ] = None,
    with_experiment: Annotated[
        bool,
        typer.Option("--with-experiment", help="Take along the experiment: dataset, training, evaluation, workflow."),
    ] = False,
) -> None:
    """Create a project for your own model: site, cards, report and publisher, with your results and none of this study's words.

    Without results it begins with a sample record, which says that it is one. What only you can say is marked TODO; the site shows
    these gaps, and the publisher refuses them.
    """
    from src.starter.create import create

    if lm_eval is not None and metrics is not None:
        raise typer.BadParameter("give --lm-eval or --metrics, not both")
    for line in create(
        folder, name, adapter=adapter, lm_eval=lm_eval, filter=filter, metrics=metrics, with_experiment=with_experiment
    ):
        say(line)
    say(f"created: {folder}. Next:")
    print(f"cd {shlex.quote(str(folder))} && git init\nmake serve\npython -m src.publish")


if __name__ == "__main__":
    run(new)
