"""Sections: a heading, the fragment under it, and the sections inside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from markdown_it import MarkdownIt

from src.analysis.criteria import Completeness
from src.record.errors import InputError

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
        InputError: A section would be empty.
    """
    blocks = []
    for section in sections:
        body = renderer.fragment(section.fragment) if section.fragment else ""
        inner = compose(renderer, section.parts, level + 1) if section.parts else ""
        if not body and not inner:
            raise InputError(
                f"src/fragments/{section.fragment}.md.j2" if section.fragment else "src/documents",
                key=section.title,
                found="an empty section",
                expected="some text, or a word of why there is none",
                hint="Fill the fragment, or the text of the project's config that it shows.",
            )
        blocks.append("\n\n".join(part for part in (f"{'#' * level} {section.title}", body, inner) if part))
    return "\n\n".join(blocks)


def completeness(text: str, sections: tuple[Section, ...], absent: list[str]) -> Completeness:
    """Check a document against its list of sections, by reading what was written.

    Args:
        text: The document in Markdown.
        sections: The list.
        absent: Sentences that say that something is not on record; a section with nothing else is empty.

    Returns:
        Which sections are not there, and which are empty.
    """
    wanted = list(_titles(sections))
    lines = text.splitlines()
    parsed = MarkdownIt().disable("inline").parse(text)
    headings = [
        (int(mark.tag[1]), title.content, mark.map)
        for mark, title in pairwise(parsed)
        if mark.type == "heading_open" and mark.map
    ]
    found: dict[str, list[str]] = {}
    for i, (level, title, (_, start)) in enumerate(headings):
        end = next((place[0] for other, _, place in headings[i + 1 :] if other <= level), len(lines))
        inner = {place[0] for _, _, place in headings[i + 1 :]}
        body = "\n".join(line for n, line in enumerate(lines[start:end], start) if n not in inner)
        for sentence in absent:
            body = body.replace(sentence, "")
        found.setdefault(title, []).append(body.strip())
    return Completeness(
        sections=len(wanted),
        missing=tuple(title for title in wanted if title not in found),
        empty=tuple(title for title in wanted if title in found and not any(found[title])),
    )


def _titles(sections: tuple[Section, ...]) -> Iterator[str]:
    for section in sections:
        yield section.title
        yield from _titles(section.parts)
