"""What a publication was asked to do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from src.record.publication import Role

from .repository import ROLES


@dataclass(frozen=True)
class Options:
    """What the command was asked to do; see `python -m src.publish --help`. With an `output`, nothing is sent."""

    namespace: str | None = None
    only: Collection[Role] = ROLES
    output: Path | None = None
    verify: bool = False
    plan_only: bool = False
    verify_only: bool = False
    yes: bool = False
    overwrite: bool = False
    make_public: Collection[str] = ()
    tag: str | None = None
    timeout: float | None = None
    load: bool = True
    smoke: bool = True
