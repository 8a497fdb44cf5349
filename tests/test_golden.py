"""The documents of the tiny project are, word for word, those in tests/golden."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from src.documents.build import Documents

from .conftest import REPO
from .make_golden import golden, kept


def test_the_documents_are_the_golden_ones(documents: Documents) -> None:
    found, wanted = golden(documents), kept()
    assert found.keys() == wanted.keys()
    differ = [name for name, text in found.items() if text != wanted[name]]
    assert not differ, "look at `make golden` and `git diff tests/golden`"


@pytest.mark.slow
def test_the_golden_documents_depend_on_nothing_but_the_repository(tmp_path: Path) -> None:
    """Another hash seed, time zone, language, folder and number of threads give the same bytes."""
    surroundings = {
        "PYTHONPATH": str(REPO),
        "PYTHONHASHSEED": "7",
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C",
        "OMP_NUM_THREADS": "2",
        "COLUMNS": "40",
        "HOME": str(tmp_path),
    }
    command = [sys.executable, "-m", "tests.make_golden", str(tmp_path / "golden")]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | surroundings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert kept(tmp_path / "golden") == kept()
