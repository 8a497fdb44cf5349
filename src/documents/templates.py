"""Where fragments lie, and the Jinja environment that renders them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined

from src.analysis.analyse import CONSTANT_SHARE, MIN_GROUP
from src.analysis.statistics import COUNT_RESAMPLES, RESAMPLES

from .formatting import FILTERS
from .prose import prose

Target = Literal["site", "hub", "print"]

FRAGMENTS = Path(__file__).parent.parent / "fragments"
"""The engine's fragments, which hold for any record."""

AUTHOR = Path("docs/fragments")
"""The author's fragments, relative to the repository: what only this project can say. Their names begin with `author/`."""


@cache
def environment(root: Path) -> Environment:
    """Return the Jinja environment of a repository, for all targets; an undefined name is an error.

    It compiles each fragment once, and again after the fragment has changed.

    Args:
        root: The repository.
    """
    env = Environment(
        loader=ChoiceLoader([PrefixLoader({"author": FileSystemLoader(root / AUTHOR)}), FileSystemLoader(FRAGMENTS)]),
        extensions=["jinja2.ext.loopcontrols"],
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    env.filters.update(FILTERS, prose=prose)
    env.globals.update(
        resamples=RESAMPLES, count_resamples=COUNT_RESAMPLES, constant_share=CONSTANT_SHARE, min_group=MIN_GROUP
    )
    return env
