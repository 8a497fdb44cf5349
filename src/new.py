"""`python -m src.new`: create a project of its own for a model and its results."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from src.cli import run, say


def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project's folder: new or empty.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the experiment and of the model's repository on the Hub.")
    ] = None,
    adapter: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The adapter's folder; its publishable files are copied.")
    ] = None,
    lm_eval: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="A model's results of lm-evaluation-harness, with logged answers: the base model's, then the tuned one's, then any others'.",
        ),
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
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Replace the engine's files of a project by this repository's.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="With --upgrade: also those that were edited in the project.")
    ] = False,
) -> None:
    """Create a project for your own model: site, cards, report and publisher, with your results and none of this study's words.

    Without results it begins with a sample record, which says that it is one. What only you can say is marked TODO; the site shows
    these gaps, and the publisher refuses them. With --upgrade an existing project gets this repository's engine; your files stay.
    """
    from src.starter import create

    if upgrade:
        for line in create.upgrade(folder, overwrite=overwrite):
            say(line)
        return
    if name is None:
        raise typer.BadParameter("--name is missing")
    if lm_eval and metrics is not None:
        raise typer.BadParameter("give --lm-eval or --metrics, not both")
    for line in create.create(
        folder, name, adapter=adapter, lm_eval=lm_eval or (), filter=filter,
        metrics=metrics, with_experiment=with_experiment,
    ):  # fmt: skip
        say(line)
    say(f"created: {folder}. Next:")
    print(f"cd {shlex.quote(str(folder))} && git init\nmake serve\n.venv/bin/python -m src.publish --dry-run")


if __name__ == "__main__":
    run(new)
