"""The final report: as a page of the site, as Markdown for print, and as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from src.analysis.analyse import MetricResult
from src.analysis.criteria import Completeness, Criterion, decide
from src.analysis.statistics import Interval
from src.record.files import parse_json, read_text, sha256_file
from src.record.final_report import Conclusion, CriterionFound, EvidenceFound, FinalReport, Finding

from .cards import DATASET_CARD, MODEL_CARD, dataset_card_body, model_card_body
from .compose import Section, completeness, compose
from .context import Context, Renderer, Target, check_citations
from .readme import README, readme

REPORT = (
    Section("Executive summary", "report_summary"),
    Section("Introduction", "report_introduction", (Section("Related work", "report_related"),)),
    Section(
        "Methodology",
        "report_methodology",
        (
            Section("Evaluation protocol", "protocol"),
            Section("Metrics", "metrics"),
            Section("Statistics", "statistics"),
        ),
    ),
    Section(
        "Data",
        "testing_data",
        (Section("Training data", "training_data"), Section("Preprocessing", "preprocessing")),
    ),
    Section(
        "Training",
        "report_training",
        (
            Section("The base model", "base_model"),
            Section("The adapter", "adapter"),
            Section("Hardware", "hardware"),
            Section("Energy", "environment_impact"),
        ),
    ),
    Section(
        "Evaluation",
        "report_evaluation",
        (
            Section("Breakdowns", "breakdowns"),
            Section("What was answered", "confusion"),
            Section("Error analysis", "report_errors"),
        ),
    ),
    Section("Comparison with the base model and with baselines", "report_comparison"),
    Section("The study: seeds and controls", "report_study"),
    Section("Success criteria", "criteria"),
    Section("Limitations found", "report_limitations"),
    Section("Ethical considerations", "report_ethics"),
    Section(
        "Deployment",
        parts=(
            Section("How to load it", "snippet"),
            Section("Size, latency and memory", "deployment"),
            Section("What it should not be used for", "uses_out_of_scope"),
        ),
    ),
    Section("Reproducibility", "reproducibility"),
    Section("Future work", "report_future"),
    Section("References", "references"),
    Section(
        "Appendices",
        parts=(
            Section("All hyperparameters", "all_hyperparameters"),
            Section("Prompts and templates", "prompts"),
            Section("Full result tables", "full_tables"),
            Section("Dataset statistics", "dataset_statistics"),
            Section("Software versions", "software"),
        ),
    ),
)
"""Sections of the report."""


@dataclass(frozen=True)
class Report:
    """The final report of a record.

    Attributes:
        context: What it is made from.
    """

    context: Context

    @cached_property
    def criteria(self) -> tuple[Criterion, ...]:
        """The success criteria, decided from the record and from the documents as they are."""
        context = self.context
        return decide(context.record, context.analysis, _documents(context), inside_hub=context.inside_hub)

    def body(self, target: Target) -> str:
        """Write the report without its title, for the site or for print.

        Raises:
            InputError: A section is missing, a citation has no entry, an entry no citation, or a figure is named and not made.
        """
        check_citations(self.context.record)
        return _body(self.context, target, self.criteria)[0]

    @cached_property
    def data(self) -> FinalReport:
        """The report as data: the keys of the requirements with all evidence, numbers to six significant digits."""
        record, names = self.context.record, self.context.names
        text = read_text(record.results_path, "Restore it.")
        return FinalReport(
            project_name=record.project.title,
            version=record.project.version,
            model_repository=names.url(names.model),
            dataset_repository=names.url(names.dataset, "dataset"),
            configuration=record.experiment.model_dump(mode="json"),
            evaluation_results=parse_json(record.results_path, text),
            evaluation_results_sha256=sha256_file(record.results_path),
            conclusion=self._conclusion(),
            deployment=record.deployment if record.deployment_is_current else None,
        )

    def json(self) -> str:
        """Write `final_report.json`."""
        return self.data.model_dump_json(indent=2) + "\n"

    def _conclusion(self) -> Conclusion:
        statements = _statements(self.context, self.criteria)
        return Conclusion(
            success_criteria_met={c.key: _AS_BOOLEAN[c.outcome] for c in self.criteria},
            criteria={
                c.key: CriterionFound(
                    label=c.label,
                    outcome=c.outcome,
                    evidence=[
                        EvidenceFound(kind=e.kind, outcome=e.outcome, statement=statement, facts=_rounded(e.facts))
                        for e, statement in zip(c.evidence, statements[c.key], strict=True)
                    ],
                )
                for c in self.criteria
            },
            significance_level=self.context.analysis.level,
            findings={m.key: _finding(m) for m in self.context.analysis.metrics},
        )


_AS_BOOLEAN = {"met": True, "not met": False, "not decided yet": None}


def _body(context: Context, target: Target, criteria: tuple[Criterion, ...]) -> tuple[str, Renderer]:
    renderer = Renderer(
        context,
        target,
        numbered=True,
        lists="all",
        criteria=criteria,
        statements=_statements(context, criteria, target),
        heading_level=4,
    )
    return renderer.resolve(compose(renderer, REPORT)), renderer


def _documents(context: Context) -> Mapping[str, Completeness]:
    """Read every document against its list of sections; the report with its criteria still open, since they follow from this."""
    card, dataset, front = (Renderer(context, "hub") for _ in range(3))
    undecided = decide(context.record, context.analysis, {}, inside_hub=context.inside_hub)
    body, renderer = _body(context, "hub", undecided)
    found = {
        "model_card": completeness(model_card_body(card), MODEL_CARD, card.absent),
        "readme": completeness(readme(front), README, front.absent),
        "report": completeness(body, REPORT, renderer.absent),
    }
    if context.record.splits:
        found["dataset_card"] = completeness(dataset_card_body(dataset), DATASET_CARD, dataset.absent)
    return found


def _statements(context: Context, criteria: tuple[Criterion, ...], target: Target = "hub") -> dict[str, list[str]]:
    """Put each piece of evidence into words on one line, by criterion."""
    renderer = Renderer(context, target)
    return {c.key: [" ".join(renderer.fragment("evidence", evidence=e).split()) for e in c.evidence] for c in criteria}


def _finding(m: MetricResult) -> Finding:
    return Finding(
        label=m.config.label,
        primary=m.config.primary,
        direction=m.config.direction,
        base=_rounded(m.base),
        finetuned=_rounded(m.finetuned),
        change=_rounded(m.change),
        relative_change=_rounded(m.relative),
        questions=m.questions,
        base_interval=_bounds(m.base_interval),
        finetuned_interval=_bounds(m.finetuned_interval),
        change_interval=_bounds(m.change_interval),
        test=m.test,
        p_value=_rounded(m.p_value),
        p_adjusted=_rounded(m.p_adjusted),
        baselines={b.label: _rounded(b.value) for b in m.baselines},
        verdict=m.verdict,
    )


def _bounds(interval: Interval | None) -> tuple[float, float] | None:
    return None if interval is None else (_rounded(interval.low), _rounded(interval.high))


def _rounded(value: Any) -> Any:
    """Keep six significant digits of every fraction, so that another processor's last digit changes nothing."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return value
