"""Which of the sections that a document should have are there, read from its rendered headings."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile

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
_GAP = re.compile(r"(?<!`)\bTODO\b(?!`)")
"""What only the author can write, and has not yet."""

_FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", flags=re.DOTALL | re.MULTILINE)


def headings(text: str) -> list[tuple[int, str, str]]:
    """Return each heading of a Markdown text, in order: its level, its title, and the text under it up to the next heading."""
    return [(level, title, body) for level, title, _, body in _sections(text)]


def _sections(text: str) -> list[tuple[int, str, str, str]]:
    """Return the level, the title, the line and the text of each heading's own part."""
    found = list(_HEADING.finditer(_FENCE.sub(lambda fence: "x" * len(fence[0]), text)))
    ends = [*(match.start() for match in found[1:]), len(text)]  # of a text without headings, one more than these
    return [(len(m[1]), m[2], m[0], text[m.end() : end]) for m, end in zip(found, ends, strict=False)]


def says_something(text: str, absent: Iterable[str]) -> bool:
    """Determine whether a text has more than sentences that say that something is not on record."""
    for sentence in absent:
        text = text.replace(sentence, "")
    return bool(text.strip())


def without_empty(text: str, absent: Collection[str], kept: Collection[str], line: str) -> str:
    """Leave out the sections of a Markdown text that say nothing.

    Nothing is a sentence of `absent`. A section of a title in `kept` stays, and says `line` where there is nothing under it.
    """
    sections = _sections(text)
    before = text[: len(text) - sum(len(heading) + len(body) for _, _, heading, body in sections)]
    stay: list[tuple[int, str]] = []  # from the last section to the first
    for level, title, heading, body in reversed(sections):
        under = _under(level, reversed(stay))
        whole = body + "".join(under)
        if says_something(whole, absent):
            stay.append((level, heading + body))
            continue
        del stay[len(stay) - len(under) :]
        if title in kept:
            stay.append((level, f"{heading}\n\n{whole.strip() or line}\n\n"))
    return (before + "".join(part for _, part in reversed(stay))).rstrip()


def _under(level: int, later: Iterable[tuple[int, str]]) -> list[str]:
    """Return the texts of the sections that belong to one of a level, of those that follow it."""
    return [text for _, text in takewhile(lambda section: section[0] > level, later)]


def completeness(text: str, required: Sequence[str], absent: Collection[str]) -> Completeness:
    """Compare a rendered document with the titles that it must have; `absent` as in `without_empty`."""
    sections = headings(text)
    filled: dict[str, bool] = {}
    for place, (level, title, body) in enumerate(sections, start=1):
        whole = body + "".join(_under(level, ((deeper, below) for deeper, _, below in sections[place:])))
        filled[title] = filled.get(title, False) or (says_something(whole, absent) and not _GAP.search(body))
    return Completeness(
        sections=len(required),
        missing=tuple(title for title in required if title not in filled),
        empty=tuple(title for title in required if not filled.get(title, True)),
    )
