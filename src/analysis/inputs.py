"""What an analysis depends on, as the key of its cache."""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

from src.record.files import sha256_file
from src.record.load import Record

_CODE = (Path(__file__).parent, Path(__file__).parent.parent / "record")
_PACKAGES = ("numpy", "scipy", "pyarrow", "rapidfuzz", "pydantic")


def analysis_inputs(record: Record) -> list[str]:
    """Return everything that a record's analysis depends on: its configs and results, the code and the packages that compute it."""
    loaded = record.loaded
    files = [loaded.path, *([loaded.questions.path] if loaded.questions else [])]
    files += [run.answers.path for run in record.runs.values() if run.answers]
    declared = [record.metrics.model_dump_json()]
    declared += [record.study.config.model_dump_json(), repr(record.study.missing)] if record.study else []
    declared += [repr((run.name, run.model, sorted(run.metrics.items()))) for run in record.runs.values()]
    return [*_code(), *declared, *(f"{file.name} {sha256_file(file)}" for file in files)]


@cache
def _code() -> tuple[str, ...]:
    """Return hashes of the code, as it was imported, and versions of packages."""
    files = sorted(path for folder in _CODE for path in folder.rglob("*.py"))
    return (sys.version, *map(version, _PACKAGES), *map(sha256_file, files))
