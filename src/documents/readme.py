"""README.md, written from the record like every other document."""

from __future__ import annotations

from .compose import Document, Section, completeness, compose
from .context import Context
from .renderer import Renderer

README = (
    Section("Overview", "readme/overview"),
    Section("Approach", "author/approach"),
    Section("Results", "readme/results"),
    Section("Architecture", "readme/architecture"),
    Section("Repository structure", "readme/structure"),
    Section("Set-up", "readme/set_up"),
    Section("Usage", "readme/usage"),
    Section("Limitations", "readme/limitations"),
    Section("Acknowledgements", "readme/acknowledgements"),
    Section("Citation", "shared/citation"),
    Section("Licence", "readme/licence"),
)
"""Sections of the README."""


def readme(context: Context) -> Document:
    """Write README.md in the Hub's Markdown, which code hosts read as well."""
    renderer = Renderer(context, "hub")
    body = compose(renderer, README)
    text = f"# {context.project.title}\n\n{context.project.question}\n\n{body}\n"
    return Document(text, completeness(renderer, README))
