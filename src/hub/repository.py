"""Repositories as they should be: files with their hashes, and how they are written as folders."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from src.record.files import replacing, sha256_file
from src.record.publication import Role

from .errors import Refused

ROLES: tuple[Role, ...] = ("dataset", "base", "model", "space")
"""The repositories in the order in which they are published: what one names is there before it."""

_TEXT = re.compile(
    r"\.(md|json|jsonl|ipynb|txt|yaml|yml|tsv|csv|bib|html?|svg|js|css|py|toml|cfg|ini|jinja|xml)$|(^|/)[A-Z]+$"
)
"""Paths of text files."""

SMALL = 1_000_000
"""Bytes up to which a text file is sent within the commit."""

Commits = Mapping[Role, str]
"""The commit of each repository, where it is known."""

Sources = dict[str, Path | bytes]
"""Files with their content, or the content, by their path in a repository."""


@dataclass(frozen=True)
class RemoteFile:
    """A file on the Hub: its size, its git object id, and its SHA-256 if it is stored as a large file."""

    size: int
    blob_id: str
    sha256: str | None


@dataclass(frozen=True)
class HubFile:
    """One file of a repository.

    Attributes:
        path: Its place in the repository.
        source: The file with its content, or the content.
        size: Bytes.
        sha256: Hex digest of the content.
    """

    path: str
    source: Path | bytes
    size: int
    sha256: str

    @cached_property
    def blob_id(self) -> str:
        """Git's object id of the content, by which the Hub names small files."""
        content = self.content
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()

    @property
    def content(self) -> bytes:
        """The whole content, for small files; the file on disk must still be the one that was hashed."""
        if isinstance(self.source, bytes):
            return self.source
        content = self.source.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise self._changed()
        return content

    @property
    def small_text(self) -> bool:
        """Whether the Hub keeps it in git itself, by its name and size, and not as a large file."""
        return is_text(self.path) and self.size <= SMALL

    def check_unchanged(self) -> None:
        """Refuse a file on disk that is not the one that was hashed."""
        if isinstance(self.source, Path) and sha256_file(self.source) != self.sha256:
            raise self._changed()

    def _changed(self) -> Refused:
        return Refused(f"{self.path}: changed on disk since the plan was made. Run the same command again.")

    def same_as(self, there: RemoteFile) -> bool:
        """Determine whether a file on the Hub has this content, by its size and hash."""
        if there.size != self.size:
            return False
        return there.sha256 == self.sha256 if there.sha256 is not None else there.blob_id == self.blob_id


@dataclass(frozen=True)
class Repository:
    """One repository as it should be.

    Attributes:
        role: What it is to the project, and its folder in the bundle.
        repo_id: Its name on the Hub, without a namespace while that is not known.
        kind: The Hub's kind of repository.
        files: Its files, by path.
        naming: Returns the files that name commits of other repositories, for commits as far as they are known.
        retired: Paths that this project published before and does not publish any more.
    """

    role: Role
    repo_id: str
    kind: Literal["model", "dataset", "space"]
    files: dict[str, HubFile]
    naming: Callable[[Commits], dict[str, HubFile]] | None = None
    retired: frozenset[str] = frozenset()

    def at(self, commits: Commits) -> Repository:
        """Return the repository with the commits of the others written into its files."""
        if self.naming is None:
            return self
        return replace(self, files=dict(sorted((self.files | self.naming(commits)).items())))

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())

    @property
    def page(self) -> str:
        """Its address on the Hub, below the endpoint."""
        return f"{'' if self.kind == 'model' else self.kind + 's/'}{self.repo_id}"

    @property
    def card(self) -> str:
        """The text of README.md; empty if there is none."""
        return self.files["README.md"].content.decode(errors="replace") if "README.md" in self.files else ""

    def write(self, folder: Path, *, link: bool = False) -> None:
        """Write the files into a folder; on request those that are files already are linked instead of copied."""
        for path, file in self.files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(file.source, bytes):
                target.write_bytes(file.source)
            elif link:
                target.symlink_to(file.source.absolute())
            else:
                shutil.copyfile(file.source, target)


def is_text(path: str) -> bool:
    """Determine from its name whether a file is text."""
    return _TEXT.search(path) is not None


def hashed(sources: Sources) -> dict[str, HubFile]:
    """Return the files of a repository, hashed, by path."""
    found = {}
    for name, source in sorted(sources.items()):
        if isinstance(source, bytes):
            found[name] = HubFile(name, source, len(source), hashlib.sha256(source).hexdigest())
        else:
            found[name] = HubFile(name, source, source.stat().st_size, sha256_file(source))
    return found


def write_bundle(repos: list[Repository], output: Path) -> None:
    """Write every repository as a folder, all of them or none."""
    with replacing(output, "--output") as folder:
        for repo in repos:
            repo.write(folder / repo.role)
