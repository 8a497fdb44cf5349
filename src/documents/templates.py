"""Where fragments lie, and the Jinja environment of each target."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from jinja2 import BytecodeCache, ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from jinja2.bccache import Bucket

from src.analysis.statistics import COUNT_RESAMPLES, RESAMPLES

from .formatting import FILTERS
from .prose import prose

Target = Literal["site", "hub", "print"]

FRAGMENTS = Path(__file__).parent.parent / "fragments"
"""The engine's fragments, which hold for any record."""

AUTHOR = Path("docs/fragments")
"""The author's fragments, relative to the repository: what only this project can say. Their names begin with `author/`."""


class _Compiled(BytecodeCache):
    """Keeps what fragments compile to: the targets' environments differ in nothing that the compiler sees."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key, bucket.checksum] = bucket.code


def environments(root: Path) -> dict[Target, Environment]:
    """Return the Jinja environment of each target, which compile every fragment once for all of them.

    Args:
        root: The repository.
    """
    compiled = _Compiled()
    return {target: _environment(target, root, compiled) for target in ("site", "hub", "print")}


def _environment(target: Target, root: Path, compiled: BytecodeCache) -> Environment:
    """Return the Jinja environment of a target; an undefined name is an error."""
    env = Environment(
        loader=ChoiceLoader([PrefixLoader({"author": FileSystemLoader(root / AUTHOR)}), FileSystemLoader(FRAGMENTS)]),
        bytecode_cache=compiled,
        extensions=["jinja2.ext.loopcontrols"],
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    env.filters.update(FILTERS, prose=prose)
    env.globals.update(target=target, resamples=RESAMPLES, count_resamples=COUNT_RESAMPLES)
    return env
