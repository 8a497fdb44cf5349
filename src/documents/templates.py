"""Where templates are, and the Jinja environment that renders them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined

from src.analysis.analyse import MIN_GROUP
from src.analysis.evidence import ANSWERS
from src.analysis.statistics import RESAMPLES
from src.record.load import WORDS

from .claims import ClaimExtension
from .formatting import FILTERS
from .prose import prose

Target = Literal["site", "hub", "print"]

FRAGMENTS = Path(__file__).parent.parent / "fragments"
"""The engine's templates, which hold for any record."""

AUTHOR = WORDS
"""The author's templates; their names begin with `author/`."""


@cache
def environment(root: Path) -> Environment:
    """Return the Jinja environment of a repository, for all targets; an undefined name is an error.

    It compiles each template once, and again after the template has changed.
    """
    env = Environment(
        loader=ChoiceLoader([PrefixLoader({"author": FileSystemLoader(root / AUTHOR)}), FileSystemLoader(FRAGMENTS)]),
        extensions=["jinja2.ext.loopcontrols", ClaimExtension],
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    env.filters.update(FILTERS, prose=prose)
    env.tests["gap"] = lambda text: "TODO" in text
    env.globals.update(resamples=RESAMPLES, min_group=MIN_GROUP, least_answered=ANSWERS)
    return env
