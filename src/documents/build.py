"""A build: from the repository to all of its documents."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from src.analysis.criteria import Completeness, Criterion, decide
from src.figures.style import on_white
from src.record.errors import InputError, did_you_mean
from src.record.load import PROJECT, load_record

from .cards import base_card_metadata, dataset_card_metadata, model_card_metadata
from .claims import Claim, ClaimsError, unsupported
from .completeness import REQUIRED, completeness, without_empty
from .context import Context, RepoNames
from .pdf import report_pdf
from .renderer import NOTHING, Renderer, render_with_references
from .report import report_json, statements
from .templates import AUTHOR

README_CHART = Path("docs/assets/readme-chart.svg")
"""Where the chart that the README shows is committed."""


@dataclass(frozen=True)
class Document:
    """A document as it was rendered: Markdown, which of the sections that it should have it has, and the claims in it."""

    text: str
    completeness: Completeness
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Documents:
    """All documents of a record; each is rendered once, when it is first asked for."""

    context: Context

    @cached_property
    def readme(self) -> Document:
        """README.md."""
        return self._document("readme", root=f"{AUTHOR.as_posix()}/")

    @cached_property
    def model_card(self) -> Document:
        """The model card, as it goes to the Hub."""
        return self._document("model_card", model_card_metadata(self.context))

    @cached_property
    def dataset_card(self) -> Document | None:
        """The dataset card, as it goes to the Hub; None without a dataset in the repository."""
        if not self.context.record.splits:
            return None
        return self._document("dataset_card", dataset_card_metadata(self.context), role="dataset")

    @cached_property
    def base_card(self) -> Document | None:
        """The card of the base model, as it goes to the Hub; None if it was not pretrained here."""
        record = self.context.record
        if not (record.base_folder and record.base_training):
            return None
        return self._document("base_card", base_card_metadata(self.context), role="base")

    @cached_property
    def printed_report(self) -> tuple[Document, tuple[Criterion, ...]]:
        """The report for print, and the success criteria that were decided on the way."""
        criteria = self._decide(self._report(()).completeness)
        return self._report(criteria), criteria

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The success criteria, decided from the record and from the documents as they are."""
        return self.printed_report[1]

    @cached_property
    def finding(self) -> str:
        """What was found, in a few sentences; the same in every document. Of an author's words, all of it are claims."""
        if self.context.written_by_author("finding"):
            rest = Renderer(self.context, "hub", claim_found=lambda claim: "").author("finding")
            if rest:
                place = AUTHOR / "finding.md.j2" if self.context.has_template("finding") else PROJECT
                raise InputError(place, f"finding: not in a claim: {' '.join(rest.split())[:100]}")
        return Renderer(self.context, "hub").render("parts/finding.md")

    @cached_property
    def final_report(self) -> str:
        """`final_report.json`."""
        return report_json(self.context, self.criteria, self.finding)

    def pdf(self) -> bytes:
        """Make the report as PDF, or take it from the cache."""
        return report_pdf(self.context, self.printed_report[0].text)

    def committed(self) -> dict[Path, str]:
        """Return the documents that are committed although they are generated, so that people can read them on a code host."""
        record = self.context.record
        files = {record.root / "README.md": self.readme.text, record.report_path: self.final_report}
        name, charts = record.project.readme_chart, self.context.charts
        if name is not None and name not in charts:
            raise InputError(PROJECT, f"readme_chart: no chart {name}{did_you_mean(name, charts)}")
        if name is not None:
            files[record.root / README_CHART] = on_white(self.context.rendered(charts[name], "light.svg").decode())
        if self.dataset_card is not None:
            files[record.data / "README.md"] = self.dataset_card.text
        if record.base_folder is not None and self.base_card is not None:
            files[record.base_folder / "README.md"] = self.base_card.text
        return files

    def stale(self) -> dict[Path, str]:
        """Return the committed documents that are missing or differ from the record."""
        found = self.committed().items()
        return {path: text for path, text in found if not path.is_file() or path.read_text(encoding="utf-8") != text}

    def claims(self) -> list[Claim]:
        """Return every claim of README, cards and report, each once, in the order of the documents."""
        documents = (self.readme, self.model_card, self.printed_report[0], self.dataset_card, self.base_card)
        found = [claim for document in documents if document for claim in document.claims]
        return list({(claim.file, claim.line): claim for claim in found}.values())

    def check(self) -> None:
        """Refuse documents with claims that the record does not support, and a finding with anything else."""
        failed = unsupported(self.claims())
        if failed:
            raise ClaimsError(failed)
        self.finding  # noqa: B018 - which refuses anything else than claims

    def _document(self, name: str, metadata: str = "", **extra: Any) -> Document:
        make = partial(Renderer, self.context, "hub", **extra)
        text, renderer = render_with_references(make, f"documents/{name}.md")
        kept = REQUIRED[name] if name in ("model_card", "dataset_card") else ()
        text = without_empty(text, renderer.absent, kept, NOTHING)
        found = completeness(text, REQUIRED.get(name, ()), [*renderer.absent, NOTHING])
        head = f"---\n{metadata}\n---\n\n" if metadata else ""
        return Document(f"{head}{text}\n", found, tuple(renderer.claims))

    def _report(self, criteria: tuple[Criterion, ...]) -> Document:
        worded = statements(self.context, criteria, "print")
        make = partial(Renderer, self.context, "print")
        text, renderer = render_with_references(make, "documents/report.md", criteria=criteria, statements=worded)
        text = without_empty(text, renderer.absent, (), NOTHING)
        found = completeness(text, REQUIRED["report"], renderer.absent)
        return Document(text, found, tuple(renderer.claims))

    def _decide(self, printed: Completeness) -> tuple[Criterion, ...]:
        documents = {"model_card": self.model_card, "readme": self.readme, "dataset_card": self.dataset_card}
        found = {name: document.completeness for name, document in documents.items() if document} | {"report": printed}
        return decide(self.context.record, self.context.analysis, found, inside_hub=self.context.inside_hub)


def build(root: Path, cache: Path | None, *, project: Path = PROJECT) -> Documents:
    """Load the record of a repository, and prepare its documents."""
    record = load_record(root, project=project)
    return Documents(Context(record, RepoNames.of(record), cache))
