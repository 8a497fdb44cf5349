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
    """The receipt's file, and next to it the temporary one that notes what is going on.

    Attributes:
        last: What was published to this Hub before.
        unfinished: What a publication before this one, or this one, has not finished.
    """

    def __init__(self, path: Path, endpoint: str, last: Publication | None) -> None:
        self.path, self._note_path = path, path.with_name(f".{path.name}.unfinished")
        self.last = last if last is not None and last.endpoint == endpoint else None
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
        self.forget(repo.repo_id)
        commit = commit or (before.commit if before else None)
        paths = sorted({*repo.files, *(before.paths if before else ())})
        self.unfinished.repos.append(Note(repo_id=repo.repo_id, created=created, paths=paths, commit=commit))
        self.begin()

    def forget(self, repo_id: str) -> None:
        """Remove the note about a repository."""
        self.unfinished.repos[:] = [note for note in self.unfinished.repos if note.repo_id != repo_id]

    def entry(self, repo: Repository, commit: str, tag: str | None, *, private: bool, ours: bool) -> PublishedRepo:
        """Return a repository's entry; its tag stays while the commit does."""
        before = self.last.repo(repo.role) if self.last else None
        return PublishedRepo(
            role=repo.role,
            repo_id=repo.repo_id,
            kind=repo.kind,
            commit=commit,
            visibility="private" if private else "public",
            never_public=private and ours,
            files=len(repo.files),
            paths=sorted(repo.files),
            bytes=repo.size,
            tag=tag or (before.tag if before and before.commit == commit else None),
        )

    def finish(self, results_sha256: str, repos: list[PublishedRepo], checks: list[Check]) -> Publication:
        """Write and return the receipt, and remove the notes about its repositories.

        It keeps what the last one says of repositories that were not touched.
        """
        roles = {repo.role for repo in repos}
        if self.last is not None:
            results_sha256 = results_sha256 if "model" in roles else self.last.results_sha256
            repos = [*(repo for repo in self.last.repos if repo.role not in roles), *repos]
            checks = [*(check for check in self.last.checks if check.repo not in roles), *checks]
        publication = Publication(
            endpoint=self.unfinished.endpoint,
            time=datetime.now(UTC).replace(microsecond=0),
            results_sha256=results_sha256,
            repos=repos,
            checks=checks,
        )
        write_json(self.path, publication.model_dump(mode="json"))
        for repo in repos:
            self.forget(repo.repo_id)
        self.begin()
        if not self.unfinished.repos:
            self._note_path.unlink()
        return publication
