"""`python -m src.report`: write the final report, as data and as PDF."""

from pathlib import Path
from typing import Annotated

import typer

from src.cli import Project, run, say


def report(
    pdf: Annotated[Path, typer.Option(help="Where the PDF is written.")] = Path("dist/report.pdf"),
    project: Project = Path("configs/project.yaml"),
) -> None:
    """Write the final report: results/NAME/final_report.json, and the same text as PDF.

    Decides the success criteria of configs/criteria.yaml by the evidence in the record and shows each outcome. The PDF needs
    the extra `report` (pandoc and Typst as Python packages).
    """
    from src.documents.build import build
    from src.record.files import atomic

    documents = build(Path(), Path(".cache"), project=project)
    documents.check()
    path = documents.context.record.report_path
    data = documents.pdf()
    for criterion in documents.criteria:
        say(f"{criterion.outcome}: {criterion.label}")
    with atomic(path) as temporary:
        temporary.write_text(documents.final_report, encoding="utf-8")
    say(f"written: {path}")
    with atomic(pdf) as temporary:
        temporary.write_bytes(data)
    say(f"written: {pdf} ({len(data) / 1e6:.1f} MB)")


if __name__ == "__main__":
    run(report)
