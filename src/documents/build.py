"""A build: from the repository to all of its documents."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from src.analysis.criteria import Completeness, Criterion, decide
from src.record.load import load_record

from .cards import base_card, dataset_card, model_card
from .compose import Document
from .context import Context, RepoNames
from .pdf import report_pdf
from .readme import readme
from .report_text import report, report_data


@dataclass(frozen=True)
class Documents:
    """All documents of a record; each is composed once, when it is first asked for.

    Attributes:
        context: What they are made from.
    """

    context: Context

    @cached_property
    def readme(self) -> Document:
        """README.md."""
        return readme(self.context)

    @cached_property
    def model_card(self) -> Document:
        """The model card, as it goes to the Hub."""
        return model_card(self.context)

    @cached_property
    def dataset_card(self) -> Document | None:
        """The dataset card, as it goes to the Hub; None if no dataset lies beside the record."""
        return dataset_card(self.context) if self.context.record.splits else None

    @cached_property
    def base_card(self) -> str | None:
        """The card of the base model, as it goes to the Hub; None if it was not pretrained here."""
        record = self.context.record
        return base_card(self.context) if record.base_folder and record.base_training else None

    @cached_property
    def printed_report(self) -> tuple[Document, tuple[Criterion, ...]]:
        """The report for print, and the success criteria that were decided on the way."""
        return report(self.context, "print", self._decide)

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The success criteria, decided from the record and from the documents as they are."""
        return self.printed_report[1]

    @cached_property
    def site_report(self) -> str:
        """The report as a page of the site, without its title."""
        return report(self.context, "site", lambda _: self.criteria)[0].text

    @cached_property
    def final_report(self) -> str:
        """`final_report.json`."""
        return report_data(self.context, self.criteria).model_dump_json(indent=2) + "\n"

    def pdf(self) -> bytes:
        """Make the report as PDF, or take it from the cache.

        Raises:
            InputError: pandoc or Typst is not installed or refuses the text, or the report itself has a fault.
        """
        return report_pdf(self.context, self.printed_report[0].text)

    def committed(self) -> dict[Path, str]:
        """Return the documents that are committed although they follow from the record, so that people can read them on a code host."""
        record = self.context.record
        files = {record.root / "README.md": self.readme.text, record.report_path: self.final_report}
        if self.dataset_card is not None:
            files[record.data / "README.md"] = self.dataset_card.text
        if record.base_folder is not None and self.base_card is not None:
            files[record.base_folder / "README.md"] = self.base_card
        return files

    def _decide(self, printed: Completeness) -> tuple[Criterion, ...]:
        found = {
            "model_card": self.model_card.completeness,
            "readme": self.readme.completeness,
            "report": printed,
        }
        if self.dataset_card is not None:
            found["dataset_card"] = self.dataset_card.completeness
        context = self.context
        return decide(context.record, context.analysis, found, inside_hub=context.inside_hub)


def build(
    root: Path,
    cache: Path | None,
    *,
    project: Path | None = None,
    experiment: Path | None = None,
) -> Documents:
    """Load the record of a repository, and compose its documents.

    Args:
        root: The repository.
        cache: The cache's folder; None for no cache.
        project: The project config; `configs/project.yaml` by default.
        experiment: The experiment's config; the one that the project names by default.

    Raises:
        InputError: The record is missing or malformed.
    """
    record = load_record(root, project=project, experiment=experiment)
    return Documents(Context(record, RepoNames.of(record), cache))
