"""Which of the sections that a document should have are there, read from its rendered headings."""

from __future__ import annotations

import re
from collections.abc import Iterable

from src.analysis.criteria import Completeness

REQUIRED = {
    # Headings of the Hub's annotated model card template.
    "model_card": (
        "Model Details", "Model Description", "Model Sources", "Uses", "Direct Use", "Downstream Use", "Out-of-Scope Use",
        "Bias, Risks, and Limitations", "Recommendations", "How to Get Started with the Model", "Training Details", "Training Data",
        "Training Procedure", "Preprocessing", "Training Hyperparameters", "Speeds, Sizes, Times", "Evaluation",
        "Testing Data, Factors & Metrics", "Testing Data", "Factors", "Metrics", "Results", "Summary", "Model Examination",
        "Environmental Impact", "Technical Specifications", "Model Architecture and Objective", "Compute Infrastructure", "Hardware",
        "Software", "Citation", "Glossary", "More Information", "Model Card Authors", "Model Card Contact",
    ),
    # Headings of the Hub's annotated dataset card template.
    "dataset_card": (
        "Dataset Details", "Dataset Description", "Dataset Sources", "Uses", "Direct Use", "Out-of-Scope Use", "Dataset Structure",
        "Dataset Creation", "Curation Rationale", "Source Data", "Data Collection and Processing", "Who are the source data producers?",
        "Annotations", "Personal and Sensitive Information", "Bias, Risks, and Limitations", "Citation", "Glossary", "More Information",
        "Dataset Card Authors", "Dataset Card Contact",
    ),
    "readme": (
        "Set-up", "Results", "Architecture", "Approach", "Usage", "Limitations", "Acknowledgments", "Citation", "License",
    ),
    "report": (
        "Executive summary", "Introduction", "Methodology", "Data", "Training", "Evaluation", "Comparison", "Success criteria",
        "Limitations", "Ethical considerations", "Deployment", "Publication", "Reproducibility", "Future work", "References", "Appendices",
    ),
}  # fmt: skip
"""Headings that a document must have, each with something under it."""

_HEADING = re.compile(r"^(#{1,6}) +(.+?)(?: *\{[^}]*\})?$", flags=re.MULTILINE)
_GAP = re.compile(r"\*\*\[TODO\b")
"""A gap, as the macros of the Hub and of print show it."""

_FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", flags=re.DOTALL | re.MULTILINE)


def headings(text: str) -> list[tuple[int, str, str]]:
    """Return each heading of a Markdown text, in order: its level, its title, and the text under it up to the next heading."""
    found = list(_HEADING.finditer(_FENCE.sub(lambda fence: "x" * len(fence[0]), text)))
    ends = [*(match.start() for match in found[1:]), len(text)]
    return [(len(m[1]), m[2], text[m.end() : end]) for m, end in zip(found, ends, strict=True)]


def says_something(text: str, absent: Iterable[str]) -> bool:
    """Determine whether a text has more than sentences that say that something is not on record."""
    for sentence in absent:
        text = text.replace(sentence, "")
    return bool(text.strip())


def without_empty(text: str, absent: Iterable[str], kept: Iterable[str], line: str) -> str:
    """Leave out the sections of a Markdown text that say nothing.

    Args:
        text: The document, in Markdown.
        absent: Sentences in it that say that something is not on record.
        kept: Titles of sections that stay.
        line: What a section says that stays, and has nothing under it.
    """
    gaps, stay = tuple(absent), frozenset(kept)
    masked = _FENCE.sub(lambda fence: "x" * len(fence[0]), text)
    found = [(len(m[1]), m[2], m.start(), m.end()) for m in _HEADING.finditer(masked)]
    for i in range(len(found) - 1, -1, -1):
        level, title, start, end = found[i]
        stop = next((later[2] for later in found[i + 1 :] if later[0] <= level), len(text))
        body = text[end:stop]
        if says_something(body, gaps):
            continue
        new = "" if title not in stay else f"{text[start:end]}\n\n{body.strip() or line}\n\n"
        text = text[:start] + new + text[stop:]
        shift = len(new) - (stop - start)
        found = [*found[:i], *((a, b, c + shift, d + shift) for a, b, c, d in found[i + 1 :] if c >= stop)]
        if new:
            found.insert(i, (level, title, start, end))
    return text.rstrip()


def completeness(text: str, required: Iterable[str], absent: Iterable[str]) -> Completeness:
    """Compare a rendered document with the sections that it should have.

    Args:
        text: The document, in Markdown.
        required: Titles that it must have.
        absent: Sentences in it that say that something is not on record.
    """
    sections = headings(text)
    gaps = tuple(absent)
    filled: dict[str, bool] = {}
    for i, (level, title, _) in enumerate(sections):
        body = [sections[i][2]]
        for deeper, _, below in sections[i + 1 :]:
            if deeper <= level:
                break
            body.append(below)
        gap = _GAP.search(sections[i][2]) is not None
        filled[title] = filled.get(title, False) or (says_something("".join(body), gaps) and not gap)
    wanted = list(required)
    return Completeness(
        sections=len(wanted),
        missing=tuple(title for title in wanted if title not in filled),
        empty=tuple(title for title in wanted if not filled.get(title, True)),
    )
