"""The final report as data: `results/NAME/final_report.json`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .config import Strict
from .schemas import Sha256

Decision = Literal["met", "not met", "not decided yet"]


class EvidenceFound(Strict):
    """What one kind of evidence says."""

    kind: str
    outcome: Decision
    statement: str = Field(description="What was found, in a sentence of Markdown.")
    facts: dict[str, Any] = Field(description="The same as data.")


class CriterionFound(Strict):
    """One success criterion, decided."""

    label: str
    outcome: Decision
    evidence: list[EvidenceFound]


class Finding(Strict):
    """One metric of both models and what the difference is worth."""

    label: str
    primary: bool
    direction: Literal["higher", "lower"] = Field(description="Which way is better.")
    base: float | None = Field(description="Null where no base model was evaluated.")
    finetuned: float
    change: float | None = Field(description="Fine-tuned minus base.")
    relative_change: float | None = Field(None, description="The change as a share of the base's value.")
    questions: int | None = None
    base_interval: tuple[float, float] | None = None
    finetuned_interval: tuple[float, float] | None = None
    change_interval: tuple[float, float] | None = None
    test: str | None = None
    p_value: float | None = Field(None, description="Two-sided, not corrected.")
    p_adjusted: float | None = Field(None, description="After Holm, for primary metrics.")
    baselines: dict[str, float] = Field(default_factory=dict)
    control: float | None = Field(None, description="Accuracy of the same answers to exchanged questions.")
    control_p: float | None = Field(None, description="Chance of as many right answers in that case; one-sided.")
    answered: float | None = Field(None, description="Share of freely written lines that are candidates.")
    verdict: str


class Conclusion(Strict):
    """The outcome."""

    success_criteria_met: dict[str, bool | None] = Field(description="By criterion; null while it is not decided.")
    criteria: dict[str, CriterionFound] = Field(description="The same with the evidence that decides.")
    significance_level: float
    findings: dict[str, Finding] = Field(description="By metric.")


class FinalReport(Strict):
    """The final report: everything it states, and its evidence."""

    project_name: str
    version: str
    finding: str = Field(description="What was found, word for word as in every document.")
    model_repository: str | None = Field(description="Address on the Hub; null while it is not known.")
    dataset_repository: str | None = Field(description="Address on the Hub; null while it is not known.")
    configuration: dict[str, Any] = Field(description="The experiment's config.")
    evaluation_results: dict[str, Any] = Field(description="evaluation_results.json as it is.")
    evaluation_results_sha256: Sha256
    conclusion: Conclusion
