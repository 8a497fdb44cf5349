"""Where templates are, and the Jinja environment that renders them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Literal

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined, UndefinedError

from src.analysis.analyse import MIN_GROUP
from src.analysis.statistics import RESAMPLES
from src.record.errors import did_you_mean
from src.record.load import WORDS, Record

from .claims import ClaimExtension
from .formatting import FILTERS
from .prose import prose

Target = Literal["site", "hub", "print"]

FRAGMENTS = Path(__file__).parent.parent / "fragments"
"""The engine's templates, which hold for any record."""

AUTHOR = WORDS
"""The author's templates; their names begin with `author/`."""

TERMS = "terms"
"""The author's template of abbreviations, which every page of the site ends with: the theme shows them as tooltips."""

_NAMED = re.compile(r"""(?:author|written)\("(\w+)"|author/(\w+)""")


def unused_words(record: Record) -> list[str]:
    """Return a sentence for each of the author's templates and short texts that no document takes in."""
    folder = record.root / AUTHOR
    texts = [path.read_text(encoding="utf-8") for path in (*FRAGMENTS.rglob("*.j2"), *folder.rglob("*.j2"))]
    known = {name for text in texts for found in _NAMED.findall(text) for name in found if name} | {TERMS}
    files = sorted(path.name.removesuffix(".md.j2") for path in folder.glob("*.md.j2"))
    written = [(f"{AUTHOR}/{name}.md.j2", name, ".md.j2") for name in files]
    written += [(f"configs/project.yaml: texts.{name}", name, "") for name in record.project.texts]
    unused = [entry for entry in written if entry[1] not in known]
    return [f"{place}: no document takes it in{did_you_mean(name, known, end)}" for place, name, end in unused]


def _measured(value: Any) -> Any:
    """Refuse to print a value that is not on record."""
    if value is None:
        raise UndefinedError("a value that is not on record is printed")
    return value


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
        finalize=_measured,
    )
    env.filters.update(FILTERS, prose=prose)
    env.tests["gap"] = lambda text: "TODO" in text
    env.globals.update(resamples=RESAMPLES, min_group=MIN_GROUP)
    return env
