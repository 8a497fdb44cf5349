"""The receipt of a publication, and the note of one that is not finished."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from src.record.config import Strict
from src.record.files import parse_json, read_text, validate, write_json
from src.record.publication import Check, Publication, PublishedRepo

from .repository import Repository


class Note(Strict):
    """A repository that an unfinished publication changes."""

    repo_id: str
    created: bool = Field(description="Whether we created it and it was never public.")
    paths: list[str] = Field(default_factory=list, description="The files that we publish in it.")
    commit: str | None = Field(None, pattern=r"^[0-9a-f]{40}$", description="Our newest commit that was read back.")


class Unfinished(Strict):
    """What a publication that did not finish has changed."""

    endpoint: str
    id: str = Field(pattern=r"^[0-9a-f]{16}$", description="Is in the message of each of its commits.")
    repos: list[Note] = Field(default_factory=list)

    def find(self, repo_id: str) -> Note | None:
        """Return the note about a repository."""
        return next((note for note in self.repos if note.repo_id == repo_id), None)


class Receipt:
    """The receipt's file, and next to it the temporary one that notes what is going on."""

    def __init__(self, path: Path, endpoint: str) -> None:
        self.path, self._note_path = path, path.with_name(f".{path.name}.unfinished")
        self.unfinished = Unfinished(endpoint=endpoint, id=secrets.token_hex(8))
        if self._note_path.exists():
            hint = "Remove the file; what an unfinished publication created then stays private."
            data = parse_json(self._note_path, read_text(self._note_path, hint))
            before = validate(self._note_path, data, Unfinished, hint)
            self.unfinished = before if before.endpoint == endpoint else self.unfinished

    def begin(self) -> None:
        """Write the note, which shows that the receipt can be written here."""
        write_json(self._note_path, self.unfinished.model_dump(mode="json"))

    def note(self, repo: Repository, *, created: bool, commit: str | None = None) -> None:
        """Note that a repository is changed, or the commit in it that was read back."""
        before = self.unfinished.find(repo.repo_id)
        self.forget(repo)
        commit = commit or (before.commit if before else None)
        paths = sorted({*repo.files, *(before.paths if before else ())})
        self.unfinished.repos.append(Note(repo_id=repo.repo_id, created=created, paths=paths, commit=commit))
        self.begin()

    def finish(self, publication: Publication, repos: list[Repository]) -> None:
        """Write the receipt, and remove the notes about the repositories that are finished with it."""
        write_json(self.path, publication.model_dump(mode="json"))
        for repo in repos:
            self.forget(repo)
        self.begin()
        if not self.unfinished.repos:
            self._note_path.unlink()

    def forget(self, repo: Repository) -> None:
        """Remove the note about a repository."""
        self.unfinished.repos[:] = [note for note in self.unfinished.repos if note.repo_id != repo.repo_id]


def write_receipt(
    last: Publication | None, endpoint: str, results_sha256: str, repos: list[PublishedRepo], checks: list[Check]
) -> Publication:
    """Return the receipt of what was just published; it keeps what the last one says of repositories that were not touched."""
    roles = {repo.role for repo in repos}
    kept = [repo for repo in (last.repos if last else []) if repo.role not in roles]
    passed = [check for check in (last.checks if last else []) if check.repo not in roles]
    now = datetime.now(UTC).replace(microsecond=0)
    return Publication(
        endpoint=endpoint, time=now, results_sha256=results_sha256, repos=[*kept, *repos], checks=[*passed, *checks]
    )


def receipt_entry(
    repo: Repository, commit: str, *, private: bool, never_public: bool, last: Publication | None
) -> PublishedRepo:
    """Return a repository's entry in the receipt; its tag stays while the commit does."""
    before = last.repo(repo.role) if last else None
    return PublishedRepo(
        role=repo.role,
        repo_id=repo.repo_id,
        kind=repo.kind,
        commit=commit,
        visibility="private" if private else "public",
        never_public=never_public,
        files=len(repo.files),
        paths=sorted(repo.files),
        bytes=repo.size,
        tag=before.tag if before and before.commit == commit else None,
    )
