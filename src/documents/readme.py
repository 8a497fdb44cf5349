"""README.md, written from the record like every other document."""

from __future__ import annotations

from .compose import Section
from .context import Renderer

README = tuple(
    Section(title)
    for title in (
        "Overview",
        "Approach",
        "Results",
        "Architecture",
        "Repository structure",
        "Set-up",
        "Usage",
        "Limitations",
        "Acknowledgements",
        "Citation",
        "Licence",
    )
)
"""Sections that the README must have."""


def readme(renderer: Renderer) -> str:
    """Write README.md; the renderer's target is the Hub's Markdown, which code hosts read as well."""
    return renderer.fragment("readme") + "\n"
