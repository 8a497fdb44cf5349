"""Pages of the Python reference: one per package of src/, with mkdocstrings' directives for its modules."""

from __future__ import annotations

from pathlib import Path

PACKAGES = ("record", "analysis", "figures", "documents", "hub", "experiment")
"""Packages that have a page, in pipeline order."""


def api_pages(root: Path) -> dict[str, str]:
    """Write a page for each package, by path inside docs/."""
    pages = {}
    for package in (name for name in PACKAGES if (root / "src" / name).is_dir()):
        modules = sorted(p.stem for p in (root / "src" / package).glob("*.py") if p.stem != "__init__")
        parts = [
            f"---\ndescription: Python reference of src.{package}, from its docstrings.\n---\n\n# src.{package}",
            f"::: src.{package}\n    options:\n      show_root_heading: false\n      members: []",
        ]
        parts += [f"::: src.{package}.{module}" for module in modules]
        pages[f"reference/{package}.md"] = "\n\n".join(parts) + "\n"
    return pages
