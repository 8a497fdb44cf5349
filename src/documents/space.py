"""The Space in which visitors of the Hub try the models: a page, the widget's code, and the address of the published weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from src.record.files import regular_file

from .context import Context
from .demo import Demo, DemoFile
from .formatting import unbroken
from .renderer import Renderer

CODE = ("demo.css", "engine.js", "widget.js", "worker.js")
"""Files of `docs/assets/demo/` that the widget is made of."""


def space_files(context: Context, demo: Demo, files: Sequence[DemoFile]) -> dict[str, Path | bytes]:
    """Return the Space's files, by path."""
    found: dict[str, Path | bytes] = {
        f"demo/{name}": regular_file(context.record.root / "docs/assets/demo", name) for name in CODE
    }
    page = Renderer(context, "hub")
    return found | {
        "README.md": space_card(context).encode(),
        "index.html": unbroken(page.render("documents/space_page.html")).encode(),
        "demo/demo.json": demo.manifest(files).encode(),
        "demo/recorded.json": demo.recorded.encode(),
    }


def space_card(context: Context) -> str:
    """Write the Space's README.md, whose metadata tell the Hub how to show it."""
    from huggingface_hub import SpaceCardData

    project, names = context.record.project, context.names
    data = SpaceCardData(
        title=project.title,
        sdk="static",
        app_file="index.html",
        license=project.license,
        models=[name for name in (names.base, names.model) if name],
        datasets=[names.dataset] if context.record.splits else None,
        tags=project.tags or None,
        emoji="🔤",
        colorFrom="red",
        colorTo="gray",
    )
    return f"---\n{data.to_yaml()}\n---\n\n{Renderer(context, 'hub').render('documents/space_card.md')}\n"
