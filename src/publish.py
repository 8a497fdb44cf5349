"""`python -m src.publish`: put model, dataset and cards together for the Hugging Face Hub."""

from pathlib import Path
from typing import Annotated

import typer

from src.cli import EXIT_BAD_INPUT, run, say


def publish(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the files as they would be uploaded, and touch no network.")
    ] = False,
    output: Annotated[Path, typer.Option(help="Folder for the bundle; it is replaced.")] = Path("dist/hub"),
    namespace: Annotated[
        str | None, typer.Option(help="User or organisation on the Hub; the one in the project config by default.")
    ] = None,
    project: Annotated[Path, typer.Option(help="The project config.")] = Path("configs/project.yaml"),
    config: Annotated[
        Path | None, typer.Option(help="The experiment; the one that the project names by default.")
    ] = None,
    results: Annotated[Path | None, typer.Option(help="evaluation_results.json; results/NAME/ by default.")] = None,
    model: Annotated[
        Path | None, typer.Option(help="The adapter's folder; the one that the experiment names by default.")
    ] = None,
) -> None:
    """Write the Hub bundle: model, dataset and base model, each with its card, exactly as they would be uploaded.

    Weights and data are checked against the hashes that were evaluated first. The folders can be uploaded with
    `hf upload`; this version does not upload by itself.
    """
    from src.documents.context import Context, Names
    from src.documents.formatting import size
    from src.hub.bundle import build_bundle
    from src.record.load import load_record

    if not dry_run:
        say("error: this version writes the bundle only. Give --dry-run, then upload the folders with `hf upload`.")
        raise typer.Exit(EXIT_BAD_INPUT)
    record = load_record(Path(), project=project, experiment=config, results=results, checkpoint=model)
    bundle = build_bundle(Context(record, Names.of(record, namespace)), output, Path(".cache/charts"))
    for repo, name, size_bytes in bundle.files:
        print(f"{size(size_bytes):>9}  {repo}/{name}")
    say(f"bundle in {bundle.folder}")


if __name__ == "__main__":
    run(publish)
