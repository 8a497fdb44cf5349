"""The receipt of a publication: `results/NAME/publication.json`, what was put on the Hub and what was checked there."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from .config import Name, Strict
from .schemas import Sha256

Role = Literal["base", "dataset", "model", "space"]
Visibility = Literal["public", "private"]
Outcome = Literal["passed", "failed", "not checked"]


class Check(Strict):
    """One line of a verification."""

    repo: Role = Field(description="Repository that was looked at.")
    name: str = Field(description="What was looked at.")
    outcome: Outcome
    detail: str | None = Field(None, description="What was found, or why it was not checked.")


class PublishedRepo(Strict):
    """One repository as it was left."""

    role: Role
    repo_id: str = Field(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$", description="Namespace and name on the Hub.")
    kind: Literal["model", "dataset", "space"] = Field(description="The Hub's kind of repository.")
    commit: str = Field(pattern=r"^[0-9a-f]{40}$", description="Commit of `main` that was verified.")
    visibility: Visibility
    never_public: bool = Field(False, description="Whether this project created it and it was private ever since.")
    paths: list[str] = Field(default_factory=list, description="The files that this project published.")
    files: int = Field(ge=1, description="Number of files.")
    bytes: int = Field(ge=0, description="Their size together.")
    tag: Name | None = Field(None, description="Tag that was put on the commit.")


class Publication(Strict):
    """What was published, and every check that it passed."""

    endpoint: str = Field(pattern=r"^https?://", description="The Hub that was published to.")
    time: datetime = Field(description="When the verification ended.")
    results_sha256: Sha256 = Field(description="SHA-256 of the evaluation results that were published.")
    repos: list[PublishedRepo] = Field(min_length=1)
    checks: list[Check]

    def repo(self, role: Role) -> PublishedRepo | None:
        """Return the repository of a role, if it was published."""
        return next((repo for repo in self.repos if repo.role == role), None)

    def url(self, repo: PublishedRepo) -> str:
        """Return the address of a repository's page."""
        return f"{self.endpoint}/{'' if repo.kind == 'model' else repo.kind + 's/'}{repo.repo_id}"

    def count(self, outcome: Outcome) -> int:
        """Count the checks with an outcome."""
        return sum(check.outcome == outcome for check in self.checks)

    @property
    def namespace(self) -> str:
        """User or organization that the repositories belong to."""
        return self.repos[0].repo_id.split("/")[0]
