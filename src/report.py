"""`python -m src.report`: write the final report, as data and as PDF."""

from pathlib import Path
from typing import Annotated

import typer

from src.cli import run, say


def report(
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write nothing; exit with 1 if final_report.json does not follow from the record."
        ),
    ] = False,
    pdf: Annotated[Path, typer.Option(help="Where the PDF is written.")] = Path("dist/report.pdf"),
    project: Annotated[Path, typer.Option(help="The project config.")] = Path("configs/project.yaml"),
    config: Annotated[
        Path | None, typer.Option(help="The experiment; the one that the project names by default.")
    ] = None,
) -> None:
    """Write the final report: results/NAME/final_report.json, and the same text as PDF.

    Decides the success criteria of configs/criteria.yaml by the evidence in the record and shows each outcome. The PDF needs
    the extra `report` (pandoc and Typst as Python packages).
    """
    from src.documents.context import Context, RepoNames
    from src.documents.pdf import start_pdf
    from src.documents.report_text import Report
    from src.figures.beside import Beside
    from src.record.files import atomic, read_text
    from src.record.load import load_record

    cache = Path(".cache")
    with Beside(cache / "charts") as beside:
        record = load_record(Path(), project=project, experiment=config)
        found = Report(Context(record, RepoNames.of(record), cache))
        if check:
            same = record.report_path.is_file() and read_text(record.report_path, "") == found.json()
            say(f"{'follows from the record' if same else 'does not match the record'}: {record.report_path}")
            raise typer.Exit(0 if same else 1)
        beside.draw(found.context.charts)
        finish = start_pdf(found)
        text = found.json()
        for criterion in found.criteria:
            say(f"{criterion.outcome}: {criterion.label}")
    data = finish()
    with atomic(record.report_path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    say(f"written: {record.report_path}")
    with atomic(pdf) as temporary:
        temporary.write_bytes(data)
    say(f"written: {pdf} ({len(data) / 1e6:.1f} MB)")


if __name__ == "__main__":
    run(report)
