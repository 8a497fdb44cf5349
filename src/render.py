"""`python -m src.render`: write the committed documents again from the record."""

from pathlib import Path
from typing import Annotated

import typer

from src.cli import run, say


def render(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 if a document differs from the record.")
    ] = False,
) -> None:
    """Write README.md, data/README.md, the base model's card and the final report's data again from the record.

    With `--check` it says which of them no longer match, and writes nothing.
    """
    from src.documents.build import build
    from src.record.files import atomic

    documents = build(Path(), Path(".cache")).committed()
    stale = [path for path, text in documents.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not check:
            with atomic(path) as temporary:
                temporary.write_text(documents[path], encoding="utf-8")
        say(f"{'does not match the record' if check else 'written'}: {path}")
    if check and stale:
        raise typer.Exit(1)


if __name__ == "__main__":
    run(render)
