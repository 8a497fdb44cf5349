"""How a model is named: a Hub id, a path into the Hub's cache, or a folder. Configs, adapters and results share this parser."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import printable

_ID = re.compile(
    r"(?:(?P<organization>\w[\w.-]{0,95})/)?(?P<name>\w[\w.-]{0,95})(?:@(?P<revision>[\w.-]{1,100}))?", re.ASCII
)
_CACHED = re.compile(
    r"(?:.*[/\\])?models--(?:(?P<organization>[\w.-]+?)--)?(?P<name>[\w.-]+?)(?:[/\\]snapshots[/\\](?P<revision>[\w.-]+))?[/\\]*",
    re.ASCII,
)
_PATH = re.compile(r"[/~]|[A-Za-z]:[\\/]|\\\\|\.{1,2}[\\/]|file:")


@dataclass(frozen=True)
class ModelName:
    """A model's name. The folders of a path are dropped.

    Attributes:
        name: Its name without the organization, or the last folder of a path.
        organization: The organization on the Hub, if stated.
        revision: The commit, branch or tag, if stated.
        local: Whether it is a folder instead of a Hub id.
    """

    name: str
    organization: str | None = None
    revision: str | None = None
    local: bool = False

    @property
    def id(self) -> str:
        """The Hub id, or the name alone."""
        return f"{self.organization}/{self.name}" if self.organization else self.name

    def same_model(self, other: ModelName) -> bool:
        """Compare organization and name; where either has no organization, the name alone."""
        both = self.organization is not None and other.organization is not None
        ours, theirs = (model.id if both else model.name for model in (self, other))
        return ours.casefold() == theirs.casefold()

    def names(self, other: str) -> bool:
        """Determine whether another way of writing it ends in the same name."""
        return self.name.casefold() == parse_model_name(other).name.casefold()


def is_path(value: object) -> bool:
    """Determine whether a setting is a path on somebody's machine."""
    return isinstance(value, str) and _PATH.match(value) is not None


def parse_model_name(text: str) -> ModelName:
    """Parse a Hub id, a path into the Hub's cache (`models--ORG--NAME/snapshots/…`), or any other path."""
    text = text.strip()
    found = _CACHED.fullmatch(text) or _ID.fullmatch(text)
    if found is not None:
        return ModelName(found["name"], found["organization"], found["revision"])
    path = re.sub(r"^\w+://[^/]*|[?#].*$", "", text)  # an address: neither host, user nor query
    parts = [part for part in re.split(r"[/\\]+", path) if part not in ("", ".", "..", "~")]
    return ModelName(parts[-1] if parts else "unnamed", local=True)


def shown_model(model: str) -> str:
    """Name a model as a document may: by its Hub id, or by the last folder of its path."""
    return printable(parse_model_name(model).id)[:200]


def shown_in(root: Path, model: str) -> str:
    """Name a model as a record may: a folder of the repository by its path in it, anything else as a document does."""
    own = root.absolute()
    place = Path(os.path.normpath(own / model))
    short = max(map(len, place.parts)) < 256  # longer names cannot be looked up
    inside = short and place != own and place.is_relative_to(own) and place.is_dir()
    return place.relative_to(own).as_posix() if inside else shown_model(model)
