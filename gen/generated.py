"""What a build gets: pages that are there, and pictures that are still being made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Generated:
    """What the site is made from besides the handwritten pages.

    Attributes:
        files: Pages and downloads, by path inside the site's source folder.
        late: Paths of the pictures and the PDF, which are still being made.
        finish: Waits for them and returns their contents by path.
        folders: Folders besides the repository's own that all of it is made from.
    """

    files: dict[str, str | bytes]
    late: tuple[str, ...]
    finish: Callable[[], dict[str, bytes]]
    folders: list[Path]
