"""Whose words a project has: an import never puts them under another record."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from src.record.config import ExperimentConfig, ProjectConfig
from src.record.criteria import CriteriaConfig
from src.record.errors import InputError
from src.record.files import load_yaml, parse_json, read_text
from src.record.gaps import SAMPLE
from src.record.load import CRITERIA, PROJECT, WORDS
from src.record.references import BIBLIOGRAPHY
from src.record.results import METRICS

from .create import describe, write_starter

ASIDE = Path("set-aside")
"""Where words about a former record are kept, in a folder of its name."""

_OTHERS = (METRICS, BIBLIOGRAPHY, Path("CITATION.cff"), Path("CHANGELOG.md"), Path("docs/guides/reproduce.md"))
"""Files that are set aside with the words, as they are about the same record."""


def words_about_another(root: Path, name: str) -> tuple[str, list[Path]]:
    """Return which record a project's words are about and the files with them; no files if an import of that name may keep them.

    Args:
        root: The project.
        name: Name of the experiment that is imported.

    Raises:
        InputError: The project config or the criteria are missing or malformed.
    """
    project = load_yaml(root / PROJECT, ProjectConfig)
    path = root / project.experiment
    before = load_yaml(path, ExperimentConfig).experiment_name if path.is_file() else path.stem
    if before == name or _is_sample(root, before):
        return before, []
    found = [path.relative_to(root) for path in sorted((root / WORDS).rglob("*.j2")) if not _is_gap(path)]
    if (root / CRITERIA).is_file() and load_yaml(root / CRITERIA, CriteriaConfig).criteria:
        found.append(CRITERIA)
    return before, [*found, *([Path(project.study)] if project.study else [])]


def check_words(root: Path, name: str, *, replace: bool) -> None:
    """Refuse an import into a project whose words are about another record.

    Raises:
        InputError: They are, and are not to be set aside.
    """
    before, words = words_about_another(root, name)
    if words and not replace:
        folders = sorted({str(WORDS) if path.is_relative_to(WORDS) else str(path) for path in words})
        raise InputError(
            PROJECT, key="experiment", found=f"words about {before} that are not about {name}, in {', '.join(folders)}",
            expected="words about the record that is imported, or none",
            hint=f"Create a project of its own with `python -m src.new DIR --name {name}`, or give --replace-study, which sets them aside.",
        )  # fmt: skip


@contextmanager
def set_aside(root: Path, name: str) -> Iterator[list[str]]:
    """Set a project's words aside while another record is written, and put blank files in their place; undone if that fails.

    Args:
        root: The project.
        name: Name of the experiment that is imported.

    Yields:
        What was set aside, in lines; nothing if the words may stay.
    """
    before, words = words_about_another(root, name)
    if not words:
        yield []
        return
    folder = next(
        path for path in (root / ASIDE / f"{before}{'-' * bool(i)}{i or ''}" for i in range(1000)) if not path.exists()
    )
    moved = [path for path in (*words, PROJECT, CRITERIA, *_OTHERS) if (root / path).is_file()]
    moved += [path.relative_to(root) for path in sorted((root / WORDS).rglob("*.j2"))]
    moved = list(dict.fromkeys(moved))
    try:
        for path in moved:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).replace(folder / path)
        write_starter(root, name, only={"configs", "docs/fragments", "docs/references.bib", "CHANGELOG.md"})
        yield [
            f"{len(moved)} files about {before} set aside in {folder.relative_to(root)}",
            "README.md is still about it, until `python -m src.render` writes it again",
        ]
    except BaseException:
        shutil.rmtree(root / WORDS, ignore_errors=True)
        for path in moved:
            if (folder / path).is_file():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).replace(root / path)
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def sample_replaced(root: Path, name: str) -> Iterator[bool]:
    """Let an import take the place of a sample record of the same name; what is known of the adapter stays.

    Yields:
        Whether there is such a record.
    """
    if not _is_sample(root, name):
        yield False
        return
    path = root / "configs/experiments" / f"{name}.yaml"
    known = load_yaml(path, ExperimentConfig).model_dump(exclude_unset=True, exclude={"note"}) if path.is_file() else {}
    metrics = root / METRICS
    text = metrics.read_text(encoding="utf-8") if metrics.is_file() else ""
    if list((yaml.safe_load(text) or {}).get("metrics", {})) == ["sums_exact_match"]:
        metrics.unlink()
    try:
        yield True
    except BaseException:
        if text:
            metrics.write_text(text, encoding="utf-8")
        raise
    describe(root, name, known)


def _is_sample(root: Path, name: str) -> bool:
    path = root / "results" / name / "evaluation_results.json"
    if not path.is_file():
        return False
    found = parse_json(path, read_text(path, "Restore it."))
    source = found.get("source") if isinstance(found, dict) else None
    return isinstance(source, dict) and source.get("tool") == SAMPLE


def _is_gap(path: Path) -> bool:
    """Determine whether a fragment says nothing yet."""
    text = re.sub(r"(?s)\{#.*?#\}", "", read_text(path, "Restore it.")).strip()
    return not text or re.match(r"TODO\b", text) is not None
