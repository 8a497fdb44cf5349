"""Sections: a heading, the fragment under it, and the sections inside it."""

from __future__ import annotations

from dataclasses import dataclass

from .context import Renderer


@dataclass(frozen=True)
class Section:
    """A part of a document.

    Attributes:
        title: Its heading.
        fragment: Name of the fragment under the heading, if there is one.
        parts: Sections inside it.
    """

    title: str
    fragment: str | None = None
    parts: tuple[Section, ...] = ()


def compose(renderer: Renderer, sections: tuple[Section, ...], level: int = 2) -> str:
    """Render sections one below the other.

    Args:
        renderer: Renders the fragments.
        sections: What to render.
        level: Level of the outermost headings.

    Raises:
        ValueError: A section would be empty.
    """
    blocks = []
    for section in sections:
        body = renderer.fragment(section.fragment) if section.fragment else ""
        inner = compose(renderer, section.parts, level + 1) if section.parts else ""
        if not body and not inner:
            raise ValueError(f"the section {section.title!r} is empty (fragment {section.fragment!r})")
        blocks.append("\n\n".join(part for part in (f"{'#' * level} {section.title}", body, inner) if part))
    return "\n\n".join(blocks)
