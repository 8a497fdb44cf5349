"""Claims: prose that states the condition under which it is true.

In a template:

    {% claim run("exact").figures.value > base("exact").value %}
    It translates better: {{ … }} of the sentences.
    {% endclaim %}

With a name, as in `{% claim CONDITION as title %}Its message{% endclaim %}`, the words are kept under it, for the title of a chart.

The sentence is shown only while the condition holds. When it does not, or a value in it is missing, the build names file, line, sentence,
condition and values, and stops.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, nodes
from jinja2.exceptions import TemplateSyntaxError, UndefinedError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context as Names

from src.analysis.study import ArmMetric
from src.record.errors import CommandError
from src.record.wording import midsentence

from . import formatting

_COMPARED = frozenset(["<", ">", "==", "!=", "<=", ">=", "and", "or", "not", "in", "is"])
"""What stands between the operands of a condition."""

UNKNOWN = "not on record"
"""What is shown of a value that was not measured."""

_MISSING = (UndefinedError, TypeError, AttributeError, KeyError, TemplateSyntaxError)
"""What evaluating an expression raises where a value in it is missing."""

_QUIET = re.compile(r"`[^`]*`|\[@[^\]]*\]|https?://\S+")
_DIGIT = re.compile(r"(?<![\w-])\d")


@dataclass(frozen=True)
class Claim:
    """A claim as it was found in a document.

    Attributes:
        file: Its template, relative to the repository.
        line: Line of its condition.
        values: Each operand of the condition with its value.
        holds: Whether the condition is true, and no value is missing.
        sentence: The prose, rendered for the document's target.
        title: Whether it is the title of a chart, which bears no mark of its own.
        words: The values for readers, as in `lowest of 2 runs 71%`, where an operand has words.
    """

    file: str
    line: int
    condition: str
    values: tuple[tuple[str, str], ...]
    holds: bool
    sentence: str
    title: bool = False
    words: tuple[str, ...] = ()

    def failure(self) -> str:
        """Describe a claim that does not hold, in a line."""
        values = "; ".join(f"{name} is {value}" for name, value in self.values)
        return f"{self.file}:{self.line}: “{self.sentence}” needs {self.condition}, but {values}."


class ClaimsError(CommandError):
    """Claims that the record does not support."""

    exit_code = 2

    def __init__(self, failed: Iterable[Claim]) -> None:
        lines = [claim.failure() for claim in failed]
        count = f"{len(lines)} {'claim does' if len(lines) == 1 else 'claims do'} not hold"
        super().__init__("\n  ".join([f"{count}. Correct the sentence, or its condition:", *lines]))


def unsupported(claims: Iterable[Claim]) -> list[Claim]:
    """Return the claims that do not hold, each once."""
    return list({(claim.file, claim.line): claim for claim in claims if not claim.holds}.values())


def conditions(environment: Environment, source: str, name: str | None = None) -> list[str]:
    """Return the conditions of a template's claims in order, as Jinja's own lexer reads them: not of claims in comments or raw text."""
    found: list[str] = []
    tokens: list[tuple[str, str]] | None = None
    for _, kind, value in environment.lexer.tokeniter(source, name):
        if kind == "block_begin":
            tokens = []
        elif kind == "block_end":
            words = [token for token in tokens or () if token[0] != "whitespace"]
            if words and words[0] == ("name", "claim"):
                text = "".join(value for _, value in tokens or ()).split("claim", 1)[1]
                if len(words) > 3 and words[-2] == ("name", "as"):
                    text = text.rsplit("as", 1)[0]
                found.append(" ".join(text.split()))
            tokens = None
        elif tokens is not None:
            tokens.append((kind, value))
    return found


class ClaimExtension(Extension):
    """Jinja's `{% claim CONDITION %} … {% endclaim %}` and `{% claim CONDITION as NAME %} … {% endclaim %}`."""

    tags = {"claim"}  # noqa: RUF012, the type that Jinja declares

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._conditions: dict[str | None, Iterator[str]] = {}
        self._compiled = cache(partial(environment.compile_expression, undefined_to_none=False))

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Read the conditions of a template that is about to be parsed."""
        self._conditions[name] = iter(conditions(self.environment, source, name))
        return source

    def parse(self, parser: Parser) -> nodes.Node:
        """Parse a claim into a call of `_claim`; refuse a constant condition, and a number in digits in the prose."""
        line = next(parser.stream).lineno
        text = next(self._conditions[parser.name])  # claims are parsed in the order in which they are written
        condition = parser.parse_expression()
        kept = parser.parse_assign_target() if parser.stream.skip_if("name:as") else None
        body = parser.parse_statements(("name:endclaim",), drop_needle=True)
        name, file = parser.name or "", parser.filename
        if _is_constant(condition):
            raise TemplateSyntaxError("a claim whose condition is constant", line, name, file)
        whole = nodes.Scope(body)
        for part in whole.find_all(nodes.TemplateData):
            if _DIGIT.search(_QUIET.sub("", part.data)):
                raise TemplateSyntaxError("a claim with a number in digits; print the value instead", line, name, file)
        for shown in (part for printed in whole.find_all(nodes.Output) for part in printed.nodes):
            if not isinstance(shown, nodes.TemplateData) and not _names(shown):
                raise TemplateSyntaxError("a claim that prints a constant; print the value instead", line, name, file)
        place = nodes.Const(file or name), nodes.Const(line), nodes.Const(text), nodes.Const(kept is not None)
        called = self.call_method("_claim", [*place, nodes.DerivedContextReference()])
        block = nodes.CallBlock(called, [], [], body).set_lineno(line)
        return block if kept is None else nodes.AssignBlock(kept, None, [block]).set_lineno(line)

    def _claim(self, name: str, line: int, text: str, title: bool, names: Names, caller: Callable[[], str]) -> str:
        given = names.get_all()
        values = []
        for part in dict.fromkeys(filter(None, map(_operand, _split(self.environment, text)))):
            if not re.fullmatch(r"[\d.]+|\"[^\"]*\"|'[^']*'", part):
                values.append((part, _shown(partial(self._value, part, given))))
        try:
            found = self._value(text, given)
            unknown = any(value == UNKNOWN for _, value in values) and " is " not in text
            holds = isinstance(found, bool | np.bool_) and bool(found) and not unknown
        except _MISSING as error:
            holds = False
            values.append(("the condition", f"not known ({error})"))
        try:
            sentence = " ".join(str(caller()).split())
        except _MISSING as error:
            holds, sentence = False, f"(a value is missing: {error})"
        described = [_described(part, partial(self._value, given=given)) for part, _ in values]
        words = tuple(dict.fromkeys(filter(None, described)))
        claim = Claim(template_path(name), line, text, tuple(values), holds, sentence, title, words)
        shown = given["claim_found"](claim)
        return str(shown) if title else f"{shown}\n"

    def _value(self, text: str, given: dict[str, Any]) -> Any:
        return self._compiled(text)(given)


def _names(expression: nodes.Node) -> bool:
    """Determine whether an expression reads anything by its name."""
    return isinstance(expression, nodes.Name) or next(expression.find_all(nodes.Name), None) is not None


def _is_constant(condition: nodes.Expr) -> bool:
    """Determine whether a condition, or a part of it, holds or fails whatever the record says."""
    if not _names(condition):
        return True
    parts = [condition, *condition.find_all(nodes.Expr)]
    joined = [side for part in parts if isinstance(part, nodes.And | nodes.Or) for side in (part.left, part.right)]
    compared = [
        (part.expr, *(operand.expr for operand in part.ops)) for part in parts if isinstance(part, nodes.Compare)
    ]
    itself = any(one == other for operands in compared for one, other in pairwise(operands))
    return itself or any(isinstance(side, nodes.Const) for side in joined)


def _split(environment: Environment, condition: str) -> list[str]:
    """Cut a condition at its comparisons, as Jinja's own lexer reads it; the name of a test after `is` is left out."""
    parts, is_test = [""], False
    for _, kind, value in environment.lexer.tokeniter(f"{{{{{condition}}}}}", None):
        if kind in ("operator", "name") and value in _COMPARED:
            parts.append("")
            is_test = value == "is" or (is_test and value == "not")
        elif kind == "name" and is_test:
            is_test = False
        elif not kind.startswith("variable_"):
            parts[-1] += value
    return parts


_READ = {
    "lowest": "lowest of {runs}",
    "highest": "highest of {runs}",
    "mean": "mean of {runs}",
    "answered": "most valid answers of {runs}",
    "controls | max": "highest control of {runs}",
    "lead": "lead of the published recipe",
    "lead_interval.low": "lead of the published recipe, at least",
    "used": "runs that use the question",
}
"""What is read of an arm's metric, in words."""

_OF_METRIC = re.compile(r"(?P<arm>.+?)\.(?P<read>" + "|".join(map(re.escape, _READ)) + ")")
_OF_MODEL = re.compile(r"(?P<model>base|run)\(.(?P<metric>\w+).\)\.(?:figures\.)?(?P<read>value|answered|control)")


def _described(operand: str, evaluate: Callable[[str], Any]) -> str | None:
    """Put an operand and its value into words; None where there are none for it."""
    operand = re.sub(r"\s*[-+*/]\s*[\d.]+$", "", operand)  # a margin is the author's, not a value
    of_metric, of_model = _OF_METRIC.fullmatch(operand), _OF_MODEL.fullmatch(operand)
    try:
        if of_metric and isinstance(found := evaluate(of_metric["arm"]), ArmMetric):
            value, read = evaluate(operand), of_metric["read"]
            runs = f"{len(found.runs)} run{'s' if len(found.runs) > 1 else ''}"
            form = formatting.difference if read.startswith("lead") else formatting.value
            shown = f"{value} of {len(found.runs)}" if read == "used" else form(value, found.metric)
            return f"{found.arm}, {midsentence(found.metric.label)}: {_READ[read].format(runs=runs)} {shown}"
        if of_model:
            config = evaluate(f"metric({of_model['metric']!r}).config")
            model = {"base": "base model", "run": "published run"}[of_model["model"]]
            read = {"value": "", "answered": " valid answers", "control": " control"}[of_model["read"]]
            return f"{model}, {midsentence(config.label)}:{read} {formatting.value(evaluate(operand), config)}"
    except _MISSING:
        pass  # what is missing is said by the claim itself
    return None


def _operand(text: str) -> str:
    """Return an operand without parentheses that only group."""
    text = text.strip()
    while text.count("(") > text.count(")") and text.startswith("("):
        text = text[1:].strip()
    while text.count(")") > text.count("(") and text.endswith(")"):
        text = text[:-1].strip()
    return text


def _shown(value: Callable[[], Any]) -> str:
    try:
        found = value()
        if found is None:
            return UNKNOWN
        return f"{found:.4g}" if isinstance(found, float) else str(found)
    except _MISSING as error:
        return f"not known ({error})"


def template_path(file: str) -> str:
    """Name a template's file, relative to the repository."""
    path = Path(file)
    engine = Path(__file__).parent.parent / "fragments"
    if path.is_relative_to(engine):
        return f"src/fragments/{path.relative_to(engine).as_posix()}"
    return f"docs/fragments/{file.rpartition('docs/fragments/')[2]}"
