"""Rendering the fragments of one document for one target, and noting what they cited, drew and lacked."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import Any, Literal

from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError, UndefinedError

from src.record.errors import InputError
from src.record.references import BIBLIOGRAPHY, Work

from .context import Context
from .demo import Demo
from .templates import AUTHOR, FRAGMENTS, Target

CITATION = re.compile(r"\[(@[\w-]+(?:; @[\w-]+)*)\]")
"""How texts cite, as in `[@hu2022; @wilson1927]`; text that is made safe holds neither the brackets nor the sign."""

NOTHING = "Nothing is on record about this."
"""What a section says that only the author could write, and nobody did."""

_SEE = re.compile("\ue000([a-z0-9-]+)\ue001")
_LATER = re.compile("\ue002([a-z0-9_/]+)\ue003")


class _NoFigure(LookupError):
    """A fragment asks for a figure that is not made."""


class Renderer:
    """Renders the fragments of one document for one target, and knows what they cited, drew and lacked.

    Args:
        context: What the fragments see.
        target: Where the text goes.
        root: Relative path from the page to the root of the site, such as `../`.
        numbered: Whether figures carry numbers.
        lists: Which works the document's own list of references holds. On the site, one without a list points to the report's.
        **extra: More names for all fragments.

    Attributes:
        cited: Keys of the works cited so far.
        figures: Names of the charts shown so far, in order.
        absent: Sentences that say that something is not on record.
        filled: For each section rendered so far, by title, whether it says anything else.
    """

    def __init__(
        self,
        context: Context,
        target: Target,
        root: str = "",
        *,
        numbered: bool = False,
        lists: Literal["cited", "all", "none"] = "cited",
        **extra: Any,
    ) -> None:
        self.context = context
        self.target = target
        self.env = context.environment
        self.numbered = numbered
        self.lists_all = lists == "all"
        self.works_at = f"{root}report.md" if lists == "none" else ""
        self.extra = extra
        self.cited: list[str] = []
        self.figures: list[str] = []
        self.absent: list[str] = []
        self.filled: dict[str, bool] = {}
        self._macros: Any = self.env.get_template(f"macros/{target}.j2").make_module({"root": root})

    def fragment(self, name: str, **extra: Any) -> str:
        """Render one fragment.

        Args:
            name: Its path without `.md.j2`. Of `author/NAME` the author's is taken, else the engine's `shared/NAME`, and where there
                is neither, the text says that nothing is on record.
            **extra: More names for this fragment.

        Returns:
            Markdown without blank lines around it, and never two in a row.

        Raises:
            InputError: The fragment is missing, names something that does not exist, or cites a work without an entry.
        """
        folder, _, rest = name.partition("/")
        own = folder == "author"
        file = str(AUTHOR / f"{rest}.md.j2") if own else f"src/fragments/{name}.md.j2"
        try:
            template = self.env.select_template([f"{name}.md.j2", f"shared/{rest}.md.j2"][: 1 + own])
            text = template.render(self._names(), **extra)
        except TemplateNotFound as error:
            if own and error.name == f"shared/{rest}.md.j2":
                return self._absent(NOTHING)
            raise _fault(
                error, file, f"no fragment {error.name}", "a fragment of that name", "Restore it, or correct the name."
            ) from None
        except _NoFigure as error:
            made = f"one of {', '.join(self.context.charts) or 'none, since the record has no data for charts'}"
            hint = "Correct the name in the fragment, or ask for the figure only where the record has its data."
            raise _fault(error, file, f"a figure that is not made: {error}", made, hint) from None
        except UndefinedError as error:
            hint = "Correct the fragment, or declare the name."
            raise _fault(error, file, error.message, "names that exist", hint) from None
        except (TemplateError, UnicodeDecodeError, RecursionError, TypeError, ArithmeticError) as error:
            hint = "Correct the fragment; it is a Jinja template."
            raise _fault(error, file, str(error), "a fragment that can be rendered", hint) from error
        cited = CITATION.sub(lambda found: self._citation(found, file), text.strip())
        return re.sub(r"\n{3,}", "\n\n", cited)

    def later(self, name: str) -> str:
        """Leave a fragment to be rendered when the rest of the document is written."""
        return f"\ue002{name}\ue003"

    def resolve(self, text: str) -> str:
        """Put in what was left for later, and turn references to figures into their numbers.

        Raises:
            InputError: A figure is referred to and not shown, or as for `fragment`.
        """

        def number(found: re.Match[str]) -> str:
            name = found[1]
            if name not in self.figures:
                raise InputError(
                    "the report",
                    key=f"see({name!r})",
                    found="a reference to a figure that is not shown",
                    expected=f"one of {', '.join(self.figures) or 'none'}",
                    hint="Show the figure, or take the reference out of its fragment.",
                )
            return str(self._macros.see(name, self.figures.index(name) + 1))

        return _SEE.sub(number, _LATER.sub(lambda found: self.fragment(found[1]), text))

    def _names(self) -> dict[str, Any]:
        """Return what every fragment can see."""
        context, record = self.context, self.context.record
        return {
            "target": self.target,
            "record": record,
            "project": context.project,
            "experiment": context.experiment,
            "results": record.results,
            "log": record.training_log,
            "base_training": record.base_training,
            "analysis": context.shown_analysis,
            "charts": context.charts,
            "names": context.names,
            "demo": context.demo if isinstance(context.demo, Demo) else None,
            "space": context.space,
            "to": self._macros,
            "figure": self._figure,
            "see": lambda chart: f"\ue000{chart}\ue001",
            "absent": self._absent,
            "stated": context.stated,
            "cited": self._cited_works,
            **self.extra,
        }

    def _figure(self, name: str) -> str:
        name = name.replace("_", "-")
        charts = self.context.charts
        if name not in charts:
            raise _NoFigure(name)
        self.figures.append(name)
        return str(self._macros.figure(charts[name], len(self.figures) if self.numbered else None))

    def _absent(self, sentence: str) -> str:
        self.absent.append(sentence)
        return sentence

    def _cited_works(self) -> list[Work]:
        listed = cited_anywhere(self.context) if self.lists_all else self.cited
        return [work for key, work in self.context.works.items() if key in listed]

    def _citation(self, found: re.Match[str], file: str) -> str:
        keys = _keys(found[0])
        for key in keys:
            if key not in self.context.works:
                raise InputError(
                    file,
                    key=f"[@{key}]",
                    found="a citation without an entry",
                    expected=f"a key of {BIBLIOGRAPHY}",
                    hint="Add the entry, or correct the citation.",
                )
        self.cited += keys
        return str(self._macros.cite([self.context.works[key] for key in keys], self.works_at))


def _fault(error: Exception, file: str, found: object, expected: str, hint: str) -> InputError:
    """Name the fragment and line at fault, which Jinja puts into the traceback; where it did not, the fault is in `file`."""
    frames = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__) if f.filename.endswith(".j2")]
    if isinstance(error, TemplateSyntaxError) and error.filename:
        frames.append((error.filename, error.lineno))
    line = None
    if frames:
        path, line = Path(frames[-1][0]), frames[-1][1]
        own = path.is_relative_to(FRAGMENTS)
        file = f"src/fragments/{path.relative_to(FRAGMENTS)}" if own else str(AUTHOR / path.name)
    return InputError(file, key=f"line {line}" if line else None, found=found, expected=expected, hint=hint)


def _keys(text: str) -> list[str]:
    return [key.removeprefix("@") for found in CITATION.findall(text) for key in found.split("; ")]


def cited_anywhere(context: Context) -> set[str]:
    """Return the keys that some fragment or the project's own texts cite; a work that nothing cites is not listed."""
    folders = (FRAGMENTS, context.record.root / AUTHOR)
    texts = [path.read_text(encoding="utf-8") for folder in folders for path in sorted(folder.rglob("*.j2"))]
    return {key for text in (*texts, context.record.project.model_dump_json()) for key in _keys(text)}
