"""Sections: a heading, the fragment under it, and the sections inside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from src.analysis.criteria import Completeness
from src.record.errors import InputError

from .renderer import Renderer


@dataclass(frozen=True)
class Section:
    """A part of a document.

    Attributes:
        title: Its heading.
        fragment: Name of the fragment under the heading, if there is one.
        parts: Sections inside it.
        later: Whether it is written when the rest is, since it says what the rest amounts to.
    """

    title: str
    fragment: str | None = None
    parts: tuple[Section, ...] = ()
    later: bool = False


@dataclass(frozen=True)
class Document:
    """A document as it was composed.

    Attributes:
        text: Markdown.
        completeness: Which sections of its list it holds.
    """

    text: str
    completeness: Completeness


def compose(renderer: Renderer, sections: tuple[Section, ...], level: int = 2) -> str:
    """Render sections one below the other, and note in the renderer which of them say something.

    Args:
        renderer: Renders the fragments.
        sections: What to render.
        level: Level of the outermost headings.

    Raises:
        InputError: A section would be empty.
    """
    blocks = []
    for section in sections:
        before = len(renderer.absent)
        body = ""
        if section.fragment:
            body = renderer.later(section.fragment) if section.later else renderer.fragment(section.fragment)
        said = body
        for sentence in renderer.absent[before:]:
            said = said.replace(sentence, "")
        inner = compose(renderer, section.parts, level + 1) if section.parts else ""
        if not body and not inner:
            raise InputError(
                f"src/fragments/{section.fragment}.md.j2" if section.fragment else "src/documents",
                key=section.title,
                found="an empty section",
                expected="some text, or a word of why there is none",
                hint="Fill the fragment, or the text of the project's config that it shows.",
            )
        filled = bool(said.strip()) or any(renderer.filled[part.title] for part in section.parts)
        renderer.filled[section.title] = filled or renderer.filled.get(section.title, False)
        blocks.append("\n\n".join(part for part in (f"{'#' * level} {section.title}", body, inner) if part))
    return "\n\n".join(blocks)


def completeness(renderer: Renderer, sections: tuple[Section, ...]) -> Completeness:
    """Hold what a renderer noted against a document's list of sections.

    Args:
        renderer: It has rendered the document.
        sections: The list.

    Returns:
        Which sections were not rendered, and which say only that something is not on record.
    """
    wanted = list(_titles(sections))
    return Completeness(
        sections=len(wanted),
        missing=tuple(title for title in wanted if title not in renderer.filled),
        empty=tuple(title for title in wanted if not renderer.filled.get(title, True)),
    )


def _titles(sections: tuple[Section, ...]) -> Iterator[str]:
    for section in sections:
        yield section.title
        yield from _titles(section.parts)
