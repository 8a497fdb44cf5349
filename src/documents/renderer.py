"""Rendering the templates of one document for one target, and noting what they cited, drew, claimed and lacked."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError, UndefinedError

from src.analysis.analyse import Given, Group, MetricResult, link_metrics
from src.analysis.evidence import Comparison, Figures
from src.analysis.study import ArmMetric
from src.record.errors import InputError, did_you_mean, show
from src.record.references import BIBLIOGRAPHY, Work
from src.record.results import BASE

from .claims import Claim, template_path
from .completeness import says_something
from .context import Context
from .demo import Demo
from .templates import AUTHOR, FRAGMENTS, Target

Value = TypeVar("Value")

CITATION = re.compile(r"\[(@[\w-]+(?:; @[\w-]+)*)\]")
"""How texts cite, as in `[@hu2022; @wilson1927]`; escaped text has neither the brackets nor the sign."""

NOTHING = "Nothing is on record about this."
"""What a section says that only the author could write, and nobody did."""


class Renderer:
    """Renders the templates of one document for one target, and knows what they cited, drew, claimed and lacked.

    Args:
        context: What the templates see.
        target: Where the text goes.
        root: Relative path from the page's source to the root of the sources, such as `../`, for links in Markdown.
        assets: The same from the page's address, for what is written in HTML.
        works_at: Page with the list of references, where the document has none of its own.
        **extra: More names for all templates.
    """

    def __init__(
        self,
        context: Context,
        target: Target,
        root: str = "",
        *,
        assets: str = "",
        works_at: str = "",
        **extra: Any,
    ) -> None:
        self.context = context
        self.target = target
        self.root = root
        self.env = context.environment
        self.works_at = works_at
        self.extra = extra
        self.numbered: list[str] = []  # names of the figures in order, where they carry numbers
        self.cited: list[str] = []
        self.figures: list[str] = []
        self.absent: list[str] = []
        self.claims: list[Claim] = []
        self._macros: Any = self.env.get_template(f"macros/{target}.j2").make_module(
            {"root": root, "assets": assets, "says_something": self.says_something}
        )

    def render(self, name: str, **extra: Any) -> str:
        """Render a template, by its path inside `src/fragments`, or `author/…` inside `docs/fragments`, without `.j2`."""
        file = _file(name)
        try:
            text = self.env.get_template(f"{name}.j2").render(self._names(), **extra)
        except (TemplateError, UnicodeDecodeError, RecursionError, TypeError, ArithmeticError) as error:
            raise _fault(error, file) from error
        cited = CITATION.sub(lambda found: self._citation(found, file), text.strip())
        return re.sub(r"\n{3,}", "\n\n", cited)

    def says_something(self, text: str) -> bool:
        """Determine whether a text has more than this document's sentences that something is not on record."""
        return says_something(text, self.absent)

    def author(self, name: str, **extra: Any) -> str:
        """Render one of the author's templates or short texts, or say that nothing is on record where there is none."""
        if not self.context.written_by_author(name):
            return self._absent(NOTHING)
        if not self.context.has_template(name):
            return self.context.project.texts[name].strip()
        return self.render(f"author/{name}.md", **extra)

    def _names(self) -> dict[str, Any]:
        """Return what every template can see."""
        context, record = self.context, self.context.record
        return {
            "target": self.target,
            "root": self.root,
            "record": record,
            "project": context.project,
            "experiment": context.experiment,
            "results": record.results,
            "log": record.training_log,
            "base_training": record.base_training,
            "analysis": context.shown_analysis,
            "study": context.analysis.study,
            "charts": context.charts,
            "names": context.names,
            "demo": context.demo if isinstance(context.demo, Demo) else None,
            "space": context.space,
            "inside_hub": context.inside_hub,
            "base_obstacle": context.base_obstacle,
            "tokens": context.example_tokens,
            "to": self._macros,
            "figure": self._figure,
            "picture": self._picture,
            "see": self._see,
            "absent": self._absent,
            "author": self.author,
            "written": context.written_by_author,
            "stated": context.stated,
            "cited": self._cited_works,
            "claim_found": self._claim,
            "prompt": context.snippet_prompt,
            "year": context.year,
            "answer": lambda *asked: str(self._asked(*asked)["answer"]),
            "asked": self._asked,
            **_numbers(context),
            **self.extra,
        }

    def _figure(self, name: str, title: str | None = None) -> str:
        name = name.replace("_", "-")
        chart = _known("figure", name, self.context.charts)
        self.figures.append(name)
        number = len(self.figures) if self.numbered else None
        return str(self._macros.figure(chart, title or chart.title, number))

    def _picture(self, name: str, words: str) -> str:
        """Show one of the author's own pictures, with the words for readers who do not see it."""
        _known("picture", name, self.context.pictures)
        return str(self._macros.picture(name, words))

    def _see(self, name: str) -> str:
        name = name.replace("_", "-")
        if name not in self.numbered:
            return "the figure"
        return str(self._macros.see(name, self.numbered.index(name) + 1))

    def _absent(self, sentence: str) -> str:
        self.absent.append(sentence)
        return sentence

    def _claim(self, claim: Claim) -> str:
        self.claims.append(claim)
        if claim.title:
            return claim.sentence if claim.holds else f"{claim.sentence} (does not hold)"
        return str(self._macros.claim(claim, f"claim-{len(self.claims)}"))

    def _asked(self, task: str, word: str, run: str = BASE) -> dict[str, Any]:
        """Return a task's question about a word, with what a run answered."""
        rows = self.context.record.answered(run, task) if run in self.context.record.runs else None
        words = rows["word"].to_pylist() if rows is not None else []
        if rows is None or word not in words:
            raise UndefinedError(f"no answer of {run} about {word} in {task}")
        place = words.index(word)
        return {**rows.questions.slice(place, 1).to_pylist()[0], "answer": rows["answer"][place].as_py() or ""}

    def _cited_works(self, everything: bool = False) -> list[Work]:
        listed = cited_anywhere(self.context) if everything else self.cited
        return [work for key, work in self.context.works.items() if key in listed]

    def _citation(self, found: re.Match[str], file: str) -> str:
        keys = _keys(found[0])
        for key in keys:
            if key not in self.context.works:
                raise InputError(file, f"[@{key}]: not a key of {BIBLIOGRAPHY}.")
        self.cited += keys
        return str(self._macros.cite([self.context.works[key] for key in keys], self.works_at))


def _numbers(context: Context) -> dict[str, Callable[..., Any]]:
    """Return what conditions read numbers with; each raises where the record has no such thing."""

    def arm(name: str) -> dict[str, ArmMetric]:
        """Return an arm's metrics by key."""
        study = context.analysis.study
        return _known("arm", name, {arm.name: arm.metrics for arm in study.all_arms} if study else {})

    def metric(key: str) -> MetricResult:
        return _known("metric", key, {m.key: m for m in context.analysis.metrics})

    def base(key: str) -> Figures:
        found = metric(key).base
        if found is None:
            raise UndefinedError("no base model was evaluated")
        return found

    def run(key: str) -> Comparison:
        return metric(key).run

    def groups(key: str, by: str) -> dict[Any, Group]:
        """Return the groups of a breakdown by their value."""
        found = next((b for b in context.analysis.breakdowns if (b.metric, b.by.key) == (key, by)), None)
        if found is None:
            raise UndefinedError(f"no breakdown of {key} by {by}")
        return {group.value: group for group in found.groups}

    def given(key: str, other: str, name: str) -> Given:
        """Return a metric of a run where another one is right, and where it is wrong."""
        record = context.record
        for each in (key, other):
            _known("metric", each, record.metrics.metrics)
        found = link_metrics(record, record.runs[name], key, other) if name in record.runs else None
        if found is None:
            raise UndefinedError(f"{key} and {other} of {name} are not computed from the same answers")
        return found

    return {"arm": arm, "base": base, "run": run, "groups": groups, "given": given, "metric": metric}


def _known(kind: str, name: str, known: Mapping[str, Value]) -> Value:
    """Return what has a name, or say that nothing has, and which name may be meant."""
    if name not in known:
        raise UndefinedError(f"no {kind} {name}{did_you_mean(name, known)}")
    return known[name]


def render_with_references(make: Callable[[], Renderer], name: str, **extra: Any) -> tuple[str, Renderer]:
    """Render a document whose text refers to its own figures and references: once to learn them, once to write them."""
    first, second = make(), make()
    first.render(name, **extra)
    second.cited = list(first.cited)
    if second.target == "print":
        second.numbered = first.figures
    return second.render(name, **extra), second


def _file(name: str) -> str:
    folder, _, rest = name.partition("/")
    return str(AUTHOR / f"{rest}.j2") if folder == "author" else f"src/fragments/{name}.j2"


def _fault(error: Exception, file: str) -> InputError:
    """Name the template and line at fault, which Jinja puts into the traceback; where it did not, the fault is in `file`."""
    frames = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__) if f.filename.endswith(".j2")]
    if isinstance(error, TemplateSyntaxError) and error.filename:
        frames.append((error.filename, error.lineno))
    said = f"no template {error.name}" if isinstance(error, TemplateNotFound) else show(error)
    if not frames:
        return InputError(file, said)
    path, line = frames[-1]
    return InputError(template_path(path), f"line {line}: {said}")


def _keys(text: str) -> list[str]:
    return [key.removeprefix("@") for found in CITATION.findall(text) for key in found.split("; ")]


def cited_anywhere(context: Context) -> set[str]:
    """Return the keys that some template or the project's own texts cite; a work that nothing cites is not listed."""
    record = context.record
    unused = set()  # parts of the engine whose subject this record does not have
    if not (record.model.is_lora or (record.experiment.lora_config and not record.model.config)):
        unused.add(FRAGMENTS / "parts/adapter.md.j2")
    if not record.tested:
        unused.add(FRAGMENTS / "parts/statistics.md.j2")
    paths = [
        path
        for folder in (FRAGMENTS, record.root / AUTHOR)
        for path in sorted(folder.rglob("*.j2"))
        if path not in unused
    ]
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return {key for text in (*texts, record.project.model_dump_json()) for key in _keys(text)}
