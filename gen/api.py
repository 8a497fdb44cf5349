"""Pages of the Python reference: one a room of src/, with mkdocstrings' directives for its modules."""

from __future__ import annotations

from pathlib import Path

ROOMS = ("record", "analysis", "figures", "documents", "hub", "experiment")
"""Rooms that have a page, in the order of the data's way."""


def api_pages(root: Path) -> dict[str, str]:
    """Write a page for each room, by path inside docs/."""
    pages = {}
    for room in ROOMS:
        modules = sorted(p.stem for p in (root / "src" / room).glob("*.py") if p.stem != "__init__")
        parts = [
            f"---\ndescription: Python reference of src.{room}, from its docstrings.\n---\n\n# src.{room}",
            f"::: src.{room}\n    options:\n      show_root_toc_entry: false\n      members: []",
        ]
        parts += [f"::: src.{room}.{module}" for module in modules]
        pages[f"reference/{room}.md"] = "\n\n".join(parts) + "\n"
    return pages
