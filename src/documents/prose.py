"""What the author wrote in the configs, as Markdown without HTML, attributes or scripts, on every target."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel

from src.analysis.analyse import Analysis, MetricResult

Model = TypeVar("Model", bound=BaseModel)

_CODE = re.compile(r"((?<![\\`])(`+)(?!`)[^\n]+?(?<!`)\2(?!`))")
"""Code within a line, in which nothing is markup."""

_MARKUP = re.compile(r"<(?!https?://[^\s<>\"]+>)|\{")
"""What begins HTML (an address in pointed brackets does not) or a list of attributes."""

_TARGET = re.compile(r"(\[@[^\]]+\](?=:))|(\](?:\(|:)\s*)(?!<?(?:https?://|mailto:|[#./]|[\w./-]+(?:[)#\s]|$)))")
"""A citation before a colon; or what begins a link, before a target neither of the web nor within the documents."""


def prose(text: str) -> str:
    """Make what could be HTML, an attribute or the address of a script show as text; the rest stays Markdown."""
    parts = _CODE.split(text)
    for place in range(0, len(parts), 3):
        escaped = _MARKUP.sub(lambda found: f"&#{ord(found[0])};", parts[place])
        parts[place] = _TARGET.sub(lambda found: found[1] or "&#93;" + found[2][1:], escaped)
    return "".join(part for place, part in enumerate(parts) if place % 3 != 2)


def shown(model: Model) -> Model:
    """Return a config with all of its texts as `prose` makes them."""
    return model.model_copy(update={name: _shown(value) for name, value in model})


def shown_analysis(analysis: Analysis) -> Analysis:
    """Return an analysis whose metrics' definitions are as `prose` makes them; labels are text, which templates escape."""

    def shown_metric(m: MetricResult) -> MetricResult:
        return replace(m, config=m.config.model_copy(update={"definition": prose(m.config.definition)}))

    return replace(analysis, metrics=tuple(map(shown_metric, analysis.metrics)))


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return prose(value)
    if isinstance(value, BaseModel):
        return shown(value)
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return {key: _shown(item) for key, item in value.items()} if isinstance(value, dict) else value
