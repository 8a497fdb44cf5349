"""The final report: as a page of the site, as Markdown for print, and as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from src.analysis.analyse import MetricResult
from src.analysis.criteria import Completeness, Criterion
from src.analysis.statistics import Interval
from src.record.files import parse_json, read_text, sha256_file
from src.record.final_report import Conclusion, CriterionFound, EvidenceFound, FinalReport, Finding

from .compose import Document, Section, completeness, compose
from .context import Context
from .renderer import Renderer
from .templates import Target

REPORT = (
    Section("Executive summary", "report/summary", later=True),
    Section("Introduction", "report/introduction", (Section("Related work", "report/related"),)),
    Section(
        "Methodology",
        "report/methodology",
        (
            Section("Evaluation protocol", "shared/protocol"),
            Section("Metrics", "shared/metrics"),
            Section("Statistics", "shared/statistics"),
        ),
    ),
    Section(
        "Data",
        "shared/testing_data",
        (Section("Training data", "author/training_data"), Section("Preprocessing", "author/preprocessing")),
    ),
    Section(
        "Training",
        "report/training",
        (
            Section("The base model", "author/base_model"),
            Section("The adapter", "shared/adapter"),
            Section("Hardware", "report/hardware"),
            Section("Energy", "shared/environment_impact"),
        ),
    ),
    Section(
        "Evaluation",
        "report/evaluation",
        (
            Section("Breakdowns", "shared/breakdowns"),
            Section("What was answered", "shared/confusion"),
            Section("Error analysis", "report/errors"),
        ),
    ),
    Section("Comparison with the base model and with baselines", "report/comparison"),
    Section("The study: seeds and controls", "report/study"),
    Section("Success criteria", "report/criteria", later=True),
    Section("Limitations found", "report/limitations"),
    Section("Ethical considerations", "report/ethics"),
    Section(
        "Deployment",
        parts=(
            Section("How to load it", "shared/snippet"),
            Section("Size, latency and memory", "report/deployment"),
            Section("What it should not be used for", "card/uses_out_of_scope"),
        ),
    ),
    Section("Reproducibility", "report/reproducibility"),
    Section("Future work", "report/future"),
    Section("References", "shared/references"),
    Section(
        "Appendices",
        parts=(
            Section("All hyperparameters", "report/all_hyperparameters"),
            Section("Prompts and templates", "report/prompts"),
            Section("Full result tables", "report/full_tables"),
            Section("Dataset statistics", "dataset_card/statistics"),
            Section("Software versions", "report/software"),
        ),
    ),
)
"""Sections of the report."""


def report(
    context: Context, target: Target, decide: Callable[[Completeness], tuple[Criterion, ...]]
) -> tuple[Document, tuple[Criterion, ...]]:
    """Write the report without its title.

    Args:
        context: What it is made from.
        target: Where the text goes.
        decide: Decides the success criteria when the completeness of the report is known, before what they amount to is written.

    Returns:
        The report, and the criteria as they were decided.

    Raises:
        InputError: A section is empty, a citation has no entry, or a figure is named and not made.
    """
    renderer = Renderer(context, target, numbered=True, lists="all", heading_level=4)
    text = compose(renderer, REPORT)
    found = completeness(renderer, REPORT)
    criteria = decide(found)
    renderer.extra |= {"criteria": criteria, "statements": statements(context, criteria, target)}
    return Document(renderer.resolve(text), found), criteria


def report_data(context: Context, criteria: tuple[Criterion, ...]) -> FinalReport:
    """Return the report as data: the keys of the requirements with all evidence, numbers to six significant digits."""
    record, names = context.record, context.names
    text = read_text(record.results_path, "Restore it.")
    return FinalReport(
        project_name=record.project.title,
        version=record.project.version,
        model_repository=names.url(names.model),
        dataset_repository=names.url(names.dataset, "dataset"),
        configuration=record.experiment.model_dump(mode="json", exclude_unset=not record.settings_recorded),
        evaluation_results=parse_json(record.results_path, text),
        evaluation_results_sha256=sha256_file(record.results_path),
        conclusion=_conclusion(context, criteria),
        deployment=record.deployment if record.deployment_is_current else None,
    )


def _conclusion(context: Context, criteria: tuple[Criterion, ...]) -> Conclusion:
    said = statements(context, criteria)
    return Conclusion(
        success_criteria_met={c.key: _AS_BOOLEAN[c.outcome] for c in criteria},
        criteria={
            c.key: CriterionFound(
                label=c.label,
                outcome=c.outcome,
                evidence=[
                    EvidenceFound(kind=e.kind, outcome=e.outcome, statement=statement, facts=_rounded(e.facts))
                    for e, statement in zip(c.evidence, said[c.key], strict=True)
                ],
            )
            for c in criteria
        },
        significance_level=context.analysis.level,
        findings={m.key: _finding(m) for m in context.analysis.metrics},
    )


_AS_BOOLEAN = {"met": True, "not met": False, "not decided yet": None}


def statements(context: Context, criteria: tuple[Criterion, ...], target: Target = "hub") -> dict[str, list[str]]:
    """Put each piece of evidence into words on one line, by criterion."""
    renderer = Renderer(context, target)
    return {
        c.key: [" ".join(renderer.fragment("report/evidence", evidence=e).split()) for e in c.evidence]
        for c in criteria
    }


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
