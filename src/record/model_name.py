"""How a model is named: by Hub id, legacy id, cache path, URL or folder; one parser for configs, adapters and other tools' results."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import printable

_ID = re.compile(r"(?P<organization>[\w.-]{1,96})/(?P<name>[\w.-]{1,96})(?:@(?P<revision>[\w.-]{1,100}))?", re.ASCII)
_HUB_URL = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co|hf-mirror\.com|modelscope\.cn/models)/"
    r"(?P<id>[\w.-]+(?:/[\w.-]+)?)(?:/(?:tree|resolve|blob)/(?P<revision>[\w.-]+))?.*",
    re.ASCII,
)
_PATH_START = re.compile(r"[/\\~.$]|[A-Za-z]:|\w+://")
_PATH = re.compile(r"[/~]|[A-Za-z]:[\\/]|\\\\|\.{1,2}[\\/]|file:")
_FOLDERS = frozenset(
    [
        "adapter",
        "adapters",
        "cache",
        "checkpoint",
        "checkpoints",
        "ckpt",
        "ckpts",
        "data",
        "exp",
        "experiments",
        "log",
        "logs",
        "lora",
        "loras",
        "mnt",
        "model",
        "models",
        "opt",
        "out",
        "output",
        "outputs",
        "peft",
        "result",
        "results",
        "run",
        "runs",
        "save",
        "saved",
        "saves",
        "scratch",
        "tmp",
        "train",
        "training",
        "weights",
        "work",
        "workspace",
    ]
)
"""First parts of relative paths. Nothing else distinguishes `out/adapter` from a Hub id."""

_LEGACY = {
    "openai-community": r"(?:gpt2(?:-medium|-large|-xl)?|openai-gpt)",
    "google-bert": r"bert-(?:base|large)-.+",
    "distilbert": r"distil(?:gpt2|bert-.+|roberta-base)",
    "FacebookAI": r"(?:xlm-)?roberta-.+|xlm-.+",
    "google-t5": r"t5-(?:small|base|large|3b|11b)",
    "albert": r"albert-.+",
    "xlnet": r"xlnet-.+",
    "almanach": r"camembert-base",
    "Salesforce": r"ctrl",
    "transfo-xl": r"transfo-xl-wt103",
}
"""Organizations of the models that the Hub still accepts without one."""


@dataclass(frozen=True)
class ModelName:
    """What is known of a model from how it is named; the folders of a path are never kept.

    Attributes:
        name: Its name without the organization, or the last folder of a path.
        organization: The organization on the Hub, if one is stated.
        revision: The commit, branch or tag, if one is stated.
        local: Whether it is named by a path that does not reveal a Hub id.
    """

    name: str
    organization: str | None = None
    revision: str | None = None
    local: bool = False

    @property
    def id(self) -> str:
        """The Hub id, or the name alone."""
        return f"{self.organization}/{self.name}" if self.organization else self.name

    @property
    def on_hub(self) -> bool:
        """Whether the name is enough to find the model on the Hub."""
        return (self.organization or _legacy_organization(self)) is not None

    def same_model(self, other: ModelName) -> bool:
        """Compare organization and name; a folder's organization is unknown, so only its name counts."""
        ours, theirs = (model.organization or _legacy_organization(model) for model in (self, other))
        known = ours is not None and theirs is not None
        return self.name.casefold() == other.name.casefold() and (
            not known or str(ours).casefold() == str(theirs).casefold()
        )


def _legacy_organization(model: ModelName) -> str | None:
    if model.local:
        return None
    return next((owner for owner, names in _LEGACY.items() if re.fullmatch(names, model.name)), None)


def is_path(value: object) -> bool:
    """Determine whether a setting is a path of somebody's machine, whatever it leads to."""
    return isinstance(value, str) and _PATH.match(value) is not None


def parse_model_name(text: str) -> ModelName:
    """Parse a Hub id, a legacy id, a path into a cache of the Hub or of ModelScope, a URL, or the path of a folder (POSIX or Windows)."""
    text = text.strip().strip("\"'").strip()
    path = re.sub(r"^\w+://[^/]*|[?#].*$", "", text) if "://" in text else text
    parts = [part for part in re.split(r"[/\\]+", path) if part not in ("", ".", "..", "~")]
    cached = _from_cache(parts)
    if cached is not None:
        return cached
    url = _HUB_URL.fullmatch(text)
    if url is not None:
        owner, _, name = url["id"].rpartition("/")
        return ModelName(name, owner or None, url["revision"])
    found = _ID.fullmatch(text)
    if found is not None and found["organization"].lower() not in _FOLDERS and not _PATH_START.match(text):
        return ModelName(found["name"], found["organization"], found["revision"])
    return ModelName(parts[-1] if parts else "unnamed", local=len(parts) != 1 or _PATH_START.match(text) is not None)


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


def _from_cache(parts: list[str]) -> ModelName | None:
    for place, part in enumerate(parts):
        if part.startswith("models--"):
            owner, _, name = part.removeprefix("models--").rpartition("--")  # neither contains two hyphens
            revision = (
                parts[place + 2] if parts[place + 1 : place + 2] == ["snapshots"] and parts[place + 2 :] else None
            )
            return ModelName(name, owner or None, revision)
    if "modelscope" in parts:
        inside = parts[parts.index("modelscope") + 1 :]
        while inside[:1] in (["hub"], ["models"]):
            inside = inside[1:]
        if len(inside) > 1:
            return ModelName(_dotted(inside[1]), _dotted(inside[0]))
    if len(parts) > 1 and "___" in parts[-1]:
        return ModelName(_dotted(parts[-1]), _dotted(parts[-2]))
    return None


def _dotted(folder: str) -> str:
    """Undo how ModelScope writes a period in the name of a folder."""
    return folder.replace("___", ".")
