"""The only place where numbers are rounded and untrusted text is made safe."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from rich.filesize import decimal

from src.analysis.statistics import Interval
from src.record.config import MetricConfig
from src.record.errors import printable
from src.record.wording import midsentence

TEXT_LIMIT = 200
"""Characters of untrusted text that a document shows."""

MODULES = 7
"""Most adapted modules that are named in full; seven are the linear layers of most decoders."""

_CODE = re.compile(r"(^```.*?^```$|`[^`\n]*`)", flags=re.DOTALL | re.MULTILINE)
_UNIT = re.compile(r"(?<=\d) (?=(?:%|points?|nats|bits|B|kB|MB|GB|s|ms|min|h|kg|g|kWh|Wh)(?![\w-]))")
_RANGE = re.compile(r"(?<=\d) to (?=[+−])")

MARKUP = "&<>\\`*{}[]()#+!|~^$:@"
"""Signs that Markdown, its extensions or HTML read within a line."""

_UNDERSCORE = r"(?<![^\W_])_|_(?![^\W_])"
"""One that is not inside a word."""


def decimals(unit: str, questions: int | None) -> int:
    """Return how many decimals a value deserves: no finer than one question's weight.

    A proportion is shown in per cent: with 100 questions one answer weighs a point, so whole points are shown below 200 questions
    and tenths from there on. Distances and numbers get one more digit than the square root of the sample supports, at most three.
    """
    if unit == "proportion":
        return 1 if questions is None or questions >= 200 else 0
    if questions is None:
        return 3
    return max(1, min(3, math.ceil(math.log10(max(questions, 1)) / 2) + 1))


def value(number: float, metric: MetricConfig, questions: int | None = None) -> str:
    """Format a metric's value in its unit: `43.2%` or `0.187`."""
    places = decimals(metric.unit, questions)
    shown = f"{100 * number:.{places}f}%" if metric.unit == "proportion" else f"{number:.{places}f}"
    return shown.replace("-", "−")


def interval(
    bounds: Interval | None, metric: MetricConfig, questions: int | None = None, *, signed: bool = False
) -> str:
    """Format an interval as `low to high`, or say that it was not measured."""
    if bounds is None:
        return "not measured"
    shown = _signed if signed else value
    low, high = (shown(number, metric, questions) for number in (bounds.low, bounds.high))
    return f"{low.removesuffix('%')} to {high}"


def _signed(number: float, metric: MetricConfig, questions: int | None, *, unit: bool = False) -> str:
    places = decimals(metric.unit, questions)
    scaled = round(100 * number if metric.unit == "proportion" else number, places)
    sign = "+" if scaled > 0 else "−" if scaled < 0 else ""
    name = " points" if unit and metric.unit == "proportion" else ""
    return f"{sign}{abs(scaled):.{places}f}{name}"


def difference(number: float, metric: MetricConfig, questions: int | None = None) -> str:
    """Format a difference of a metric with its sign and unit: `+12.3 points` or `−0.71`."""
    return _signed(number, metric, questions, unit=True)


def percent(share: float | None) -> str:
    """Format a share as per cent: whole from 10% on, otherwise with a decimal, as in `53%` and `4.1%`."""
    if share is None:
        return "not measured"
    return f"{100 * share:.{0 if share == 0 or share >= 0.0995 else 1}f}%"


def floor_percent(share: float) -> str:
    """Format a share as whole per cent rounded down, for sentences that say “at least”."""
    return f"{math.floor(100 * share + 1e-9)}%"


def plain_block(untrusted: object, limit: int) -> str:
    """Bound untrusted text and make it printable, line breaks kept, for a fenced block."""
    raw = str(untrusted)
    return printable(raw[:limit], allowed="\n").replace("```", "ˋˋˋ") + ("…" if len(raw) > limit else "")


def p_value(p: float | None) -> str:
    """Format a p-value: three decimals, or `< 0.001`."""
    if p is None:
        return "not tested"
    return "<\N{NO-BREAK SPACE}0.001" if p < 0.001 else f"{p:.3f}"


def count(number: float) -> str:
    """Format a whole number with thousands separated."""
    return f"{number:,.0f}"


def unbroken(text: str) -> str:
    """Keep numbers and their units on one line, and intervals; what is between backticks or a fence stays as it is."""
    space = "\N{NO-BREAK SPACE}"
    parts = _CODE.split(text)
    parts[::2] = [_RANGE.sub(f"{space}to{space}", _UNIT.sub(space, part)) for part in parts[::2]]
    return "".join(parts)


def duration(seconds: float) -> str:
    """Format a duration: `53 s`, `12 min` or `1 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def plain(untrusted: object, limit: int = TEXT_LIMIT) -> str:
    """Bound untrusted text and make it printable; for places that take text and no markup."""
    raw = str(untrusted)
    return printable(raw[:limit].replace("\n", " ").replace("\t", " ")) + ("…" if len(raw) > limit else "")


def bibtex(untrusted: object) -> str:
    """Write text for a field of BibTeX: signs that LaTeX would obey are escaped."""
    return re.sub(r"[&%#_]", r"\\\g<0>", plain(untrusted))


def text(untrusted: object, limit: int = TEXT_LIMIT) -> str:
    """Make untrusted text show as text in Markdown and HTML, also inside a table.

    Control characters and bidirectional marks become U+FFFD, every sign that Markdown or HTML could read within a line becomes a
    numeric entity (links without brackets included), and what is too long is cut.
    """
    raw = str(untrusted)
    cut = re.sub(r"[\n\t]", " ", printable(raw[:limit], allowed="\n\t"))
    signs = MARKUP + "." if "www" in cut.lower() else MARKUP
    escaped = re.sub(f"[{re.escape(signs)}]|{_UNDERSCORE}", lambda found: f"&#{ord(found[0])};", cut)
    return escaped + ("…" if len(raw) > limit else "")


def attribute(untrusted: object, limit: int = 1000) -> str:
    """Make text safe inside a quoted HTML attribute inside Markdown."""
    return text(untrusted, limit).replace('"', "&quot;")


def mathml(tex: str, block: bool = False) -> str:
    """Turn a formula in TeX into MathML, which browsers show without a script; `block` puts it on a line of its own."""
    from latex2mathml.converter import convert

    formula = str(convert(tex, display="block" if block else "inline"))
    return f'<div class="formula" tabindex="0" role="group" aria-label="Formula">{formula}</div>' if block else formula


def last_line(prompt: object) -> str:
    """Return the last line of a prompt, which is the question itself where solved examples stand before it."""
    return str(prompt).strip().rsplit("\n", 1)[-1]


def modules(names: str | Sequence[str]) -> str:
    """List adapted modules; of many, the last parts of their names and how many there are."""
    stated = [names] if isinstance(names, str) else list(names)
    if len(stated) <= MODULES:
        return ", ".join(map(text, stated))
    return f"{', '.join(map(text, sorted({name.rsplit('.', 1)[-1] for name in stated})))} ({len(stated):,} modules)"


FILTERS: dict[str, Callable[..., str]] = {"size": decimal} | {
    function.__name__: function
    for function in (
        attribute, bibtex, count, difference, duration, floor_percent, interval, last_line, mathml, midsentence, modules, p_value,
        percent, plain, plain_block, text, value,
    )
}  # fmt: skip
"""What templates can use, by name."""
