"""Success criteria as they are declared: `configs/criteria.yaml` says what decides each of them, and never that it is met."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .config import Strict
from .publication import Role

DocumentName = Literal["model_card", "dataset_card", "readme", "report"]


class SignificantImprovement(Strict):
    """The test of a primary metric, at the level in metrics.yaml, after Holm's correction."""

    kind: Literal["significant_improvement"]
    metric: str = Field(description="Key of a primary metric.")
    arm: str | None = Field(None, description="Arm that it is about, in every run; the published run by default.")


class CompleteDocuments(Strict):
    """Documents that hold every section of their lists, none of them only saying that nothing is on record."""

    kind: Literal["complete_documents"]
    documents: list[DocumentName] = Field(min_length=1)


class VerifiedPublication(Strict):
    """The receipt of a publication: these results, these repositories, every check passed."""

    kind: Literal["verified_publication"]
    endpoint: str = Field("https://huggingface.co", pattern=r"^https?://", description="The Hub that counts.")
    repositories: list[Role] = Field(min_length=1, description="Repositories that must be there.")


class TrackingRun(Strict):
    """A tracked training run whose id is in the record."""

    kind: Literal["tracking_run"]
    integration: str = Field(description="The tracker, as the Trainer calls it, such as wandb.")


EvidenceConfig = Annotated[
    SignificantImprovement | CompleteDocuments | VerifiedPublication | TrackingRun, Field(discriminator="kind")
]


class CriterionConfig(Strict):
    """One criterion: met when all of its evidence is."""

    label: str = Field(description="What is to be reached, in a sentence.")
    evidence: list[EvidenceConfig] = Field(min_length=1, description="What decides it.")


class CriteriaConfig(Strict):
    """All success criteria (`configs/criteria.yaml`), by the key that they have in the final report."""

    criteria: dict[str, CriterionConfig] = Field(default_factory=dict)
