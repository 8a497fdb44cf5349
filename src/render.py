"""`python -m src.render`: write the committed documents again from the record."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from src.cli import run, say

if TYPE_CHECKING:
    from src.documents.build import Documents


def render(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 if a document differs from the record.")
    ] = False,
    claims: Annotated[
        bool, typer.Option("--claims", help="List every claim with its condition and values; exit with 1 if one fails.")
    ] = False,
) -> None:
    """Write README.md, data/README.md, the base model's card and the final report's data again from the record.

    With `--check` it says which of them no longer match, and writes nothing. With `--claims` it lists every claim of these documents and
    of the site: file, line, condition, values, and whether it holds.
    """
    from src.documents.build import build
    from src.documents.templates import unused_words
    from src.record.files import atomic

    built = build(Path(), Path(".cache"))
    if claims:
        raise typer.Exit(_list_claims(built))
    built.check()
    for sentence in unused_words(built.context.record):
        say(sentence)
    stale = built.stale()
    for path, text in stale.items():
        if not check:
            with atomic(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
        say(f"{'does not match the record' if check else 'written'}: {path}")
    if check and stale:
        raise typer.Exit(1)


def _list_claims(documents: "Documents") -> int:
    from src.documents.pages import every_claim

    every = {(claim.file, claim.line): claim for claim in every_claim(documents)}
    for claim in every.values():
        values = "; ".join(f"{name} = {value}" for name, value in claim.values)
        print(f"{'holds' if claim.holds else 'FAILS'}  {claim.file}:{claim.line}\n  {claim.sentence}")
        print(f"  if {claim.condition}\n  {values}\n")
    failed = sum(not claim.holds for claim in every.values())
    say(f"{len(every)} claims, {failed} of which fail" if failed else f"{len(every)} claims, all of which hold")
    return 1 if failed else 0


if __name__ == "__main__":
    run(render)
