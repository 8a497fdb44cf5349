"""`python -m src.import_results`: make a record of another tool's results, or bring new numbers into one."""

import gc
from pathlib import Path
from typing import Annotated, Literal

import typer

from src.cli import run, say


def import_results(
    tool: Annotated[Literal["lm-eval"], typer.Argument(help="Whose results they are.")],
    runs: Annotated[
        list[Path], typer.Argument(metavar="[BASE] TUNED [MORE…]", help="Each model's results: folder or file.")
    ],
    filter: Annotated[
        str | None, typer.Option("--filter", help="Which filter's answers count, where a task has several.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace results that were not imported.")] = False,
) -> None:
    """Make a record of the base model's results, the fine-tuned model's, and any others'; of one model alone, without a comparison.

    Reads folders of lm-evaluation-harness (`lm_eval run … --output_path DIR --log_samples`). A new experiment gets its config and its
    metrics declared. Importing again replaces the results and nothing else: it prints what changed, which claims no longer hold, and
    what a config would have to change. What is left out is printed and listed in the results.
    """
    from src.exchange.imported import write_record
    from src.exchange.lm_eval import import_lm_eval

    found = import_lm_eval(runs, filter)
    lines, changes = write_record(found, Path(), replace=replace)
    for line in [*found.notes, *lines]:
        say(line)
    _compare_documents(changes)


def _compare_documents(changes: list[str]) -> None:
    """Print what new results change: values, claims, documents, and numbers that the author typed."""
    from src.documents.build import build
    from src.documents.claims import unsupported
    from src.documents.pages import every_claim
    from src.record.gaps import typed_numbers

    say(f"{len(changes)} values changed" if changes else "no value changed")
    for line in changes:
        print(line)
    documents = build(Path(), Path(".cache"))
    failed = unsupported(every_claim(documents))
    for claim in failed:
        print(f"no longer holds: {claim.failure()}")
    for gap in typed_numbers(documents.context.record):
        print(f"a number in digits: {gap.file}:{gap.line}: {gap.text}")
    if failed:
        say("Correct these claims, then run `python -m src.render`.")
        return
    for path in documents.stale():
        print(f"does not match the record: {path}. Run `python -m src.render`.")


if __name__ == "__main__":
    gc.disable()  # answers hold no cycles, and looking for some takes a third of the time
    run(import_results)
