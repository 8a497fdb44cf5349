"""The receipt of a publication, and the note of one that is not finished."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from src.record.config import Strict
from src.record.files import parse_json, read_text, validate, write_json
from src.record.publication import Check, Publication, PublishedRepo

from .repository import Repository


class Created(Strict):
    """A repository that an unfinished publication created."""

    repo_id: str
    time: datetime = Field(description="When it was about to be created.")
    commit: str | None = Field(None, pattern=r"^[0-9a-f]{40}$", description="The commit that was read back.")


class Unfinished(Strict):
    """What a publication that did not finish created, so that the next one may make it visible."""

    endpoint: str
    created: list[Created] = Field(default_factory=list)

    def find(self, repo_id: str) -> Created | None:
        """Return the note about a repository."""
        return next((entry for entry in self.created if entry.repo_id == repo_id), None)


class Receipt:
    """The receipt's file, and next to it the temporary one that notes what is going on.

    Args:
        path: The receipt's file.
        endpoint: The Hub.
    """

    def __init__(self, path: Path, endpoint: str) -> None:
        self.path, self._note = path, path.with_name(f".{path.name}.unfinished")
        if self._note.exists():
            hint = "Remove the file; what an unfinished publication created then stays private."
            self.unfinished = validate(
                self._note, parse_json(self._note, read_text(self._note, hint)), Unfinished, hint
            )
        else:
            self.unfinished = Unfinished(endpoint=endpoint)
        if self.unfinished.endpoint != endpoint:
            self.unfinished = Unfinished(endpoint=endpoint)

    def begin(self) -> None:
        """Write the note, which shows that the receipt can be written here."""
        write_json(self._note, self.unfinished.model_dump(mode="json"))

    def note(self, repo_id: str, commit: str | None = None) -> None:
        """Note that a repository is created, or the commit in it that was read back."""
        others = [entry for entry in self.unfinished.created if entry.repo_id != repo_id]
        entry = Created(repo_id=repo_id, time=datetime.now(UTC).replace(microsecond=0), commit=commit)
        self.unfinished = Unfinished(endpoint=self.unfinished.endpoint, created=[*others, entry])
        self.begin()

    def forget(self, repo_id: str) -> None:
        """Remove the note about a repository that is finished."""
        left = [entry for entry in self.unfinished.created if entry.repo_id != repo_id]
        self.unfinished = Unfinished(endpoint=self.unfinished.endpoint, created=left)
        self.begin()

    def finish(self, publication: Publication, done: list[Repository]) -> None:
        """Write the receipt of a publication, and remove the note about the repositories that are finished with it."""
        write_json(self.path, publication.model_dump(mode="json"))
        for repo in done:
            self.forget(repo.repo_id)
        self.end()

    def end(self) -> None:
        """Remove the note, unless it is about a repository that is not finished."""
        if not self.unfinished.created:
            self._note.unlink(missing_ok=True)


def merged(
    last: Publication | None, endpoint: str, results_sha256: str, repos: list[PublishedRepo], checks: list[Check]
) -> Publication:
    """Return the receipt of a publication; repositories that it did not touch stay as in the last one to this Hub."""
    done = {repo.role for repo in repos}
    return Publication(
        endpoint=endpoint,
        time=datetime.now(UTC).replace(microsecond=0),
        results_sha256=results_sha256,
        repos=[*(repo for repo in (last.repos if last else []) if repo.role not in done), *repos],
        checks=[*(check for check in (last.checks if last else []) if check.repo not in done), *checks],
    )


def published(repo: Repository, commit: str, *, private: bool, last: Publication | None) -> PublishedRepo:
    """Return a repository's entry in the receipt; its tag stays while the commit does."""
    before = last.repo(repo.role) if last else None
    return PublishedRepo(
        role=repo.role,
        repo_id=repo.repo_id,
        kind=repo.kind,
        commit=commit,
        visibility="private" if private else "public",
        files=len(repo.files),
        bytes=repo.size,
        tag=before.tag if before and before.commit == commit else None,
    )
