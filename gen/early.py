"""What a first build begins while MkDocs still imports its theme and plugins; mkdocs.yml names `begun`, and so imports this early."""

from __future__ import annotations

from multiprocessing import parent_process
from pathlib import Path

from src.figures.beside import Beside

_ROOT = Path(__file__).parent.parent


def _analyse(root: Path) -> None:
    """Analyse the record and keep the result; what is wrong with the record is said by the build itself, a little later."""
    from src.analysis.analyse import analyse
    from src.record.errors import InputError
    from src.record.load import load_record

    try:
        analyse(load_record(root), root / ".cache/analysis")
    except InputError:
        return


_beside: Beside | None = None
if parent_process() is None and not (_ROOT / ".cache/site.zip").exists():  # the process that works imports this, too
    _beside = Beside(_ROOT / ".cache/charts", _analyse, _ROOT)

begun = True
"""Named in mkdocs.yml for the sake of the import."""


def take(root: Path) -> Beside | None:
    """Hand over what was begun for this repository, once."""
    global _beside
    found, _beside = _beside, None
    return found if root.resolve() == _ROOT.resolve() else None
