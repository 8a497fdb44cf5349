"""`python -m src.import_results`: make a record of another tool's results."""

import gc
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from src.cli import run, say


class Tool(StrEnum):
    """Whose results are read."""

    lm_eval = "lm-eval"
    every_eval_ever = "every-eval-ever"


def import_results(
    tool: Annotated[Tool, typer.Argument(help="Whose results they are.")],
    base: Annotated[Path, typer.Argument(help="The base model's run: its folder, or its file.")],
    tuned: Annotated[Path, typer.Argument(help="The fine-tuned model's run.")],
    name: Annotated[str, typer.Option(help="Name of the experiment that is written.")],
    filter: Annotated[
        str | None, typer.Option("--filter", help="Which filter's or scorer's answers count, where a task has several.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over an experiment of that name.")] = False,
    replace_study: Annotated[
        bool,
        typer.Option(
            "--replace-study",
            help="Set the words about another record aside, in a folder of set-aside/, and begin with blank ones.",
        ),
    ] = False,
) -> None:
    """Make a record of two runs of another tool, one of the base model and one of the fine-tuned model.

    Reads folders of lm-evaluation-harness (`lm_eval run … --output_path DIR --log_samples`), or aggregate files of Every Eval Ever with
    their instance-level files next to them. Writes results/NAME/, configs/experiments/NAME.yaml and the metrics that are not declared
    yet, and shows the new record in configs/project.yaml. What is left out is printed and listed in the results. A project whose words
    are about another record is refused: `python -m src.new` creates one of its own.
    """
    from src.exchange.imported import checked_name, write_record
    from src.starter.replace import check_words, sample_replaced, set_aside

    checked_name(name)
    check_words(Path(), name, replace=replace_study)
    if tool is Tool.lm_eval:
        from src.exchange.lm_eval import import_lm_eval

        found = import_lm_eval(base, tuned, filter)
    else:
        from src.exchange.every_eval_ever import import_every_eval_ever

        found = import_every_eval_ever(base, tuned, filter)
    for line in found.said:
        say(line)
    with set_aside(Path(), name) as aside, sample_replaced(Path(), name) as sample:
        written = write_record(found, Path(), name, replace=replace or sample)
    for line in [*aside, *(f"written: {line}" for line in written)]:
        say(line)


if __name__ == "__main__":
    gc.disable()  # answers hold no cycles, and looking for some takes a third of the time
    run(import_results)
