"""The one cache on disk: the same inputs are built once, and other inputs never get what was built from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.analysis.analyse import analyse
from src.analysis.inputs import analysis_inputs
from src.cache import cached
from src.documents.build import build
from src.documents.context import Context, RepoNames
from src.record.load import Record

from .records import edit_text, hostile_answers, without_study


def test_the_same_is_made_once_and_something_else_again(tmp_path: Path) -> None:
    made: list[str] = []

    def make(what: str) -> bytes:
        made.append(what)
        return what.encode()

    for key in (("a", "b"), ("a", "b"), ("ab", ""), ("a", "c")):
        assert cached(tmp_path, "x", key, lambda key=key: make("|".join(key))) == "|".join(key).encode()  # type: ignore[misc]
    assert made == ["a|b", "ab|", "a|c"]
    assert cached(None, "x", ("a", "b"), lambda: b"again") == b"again"


@pytest.mark.parametrize("left", [0, 20, 40])
def test_a_file_that_was_cut_short_is_made_again(tmp_path: Path, left: int) -> None:
    for _ in range(2):
        assert cached(tmp_path, "x", ("a",), lambda: b"what is to be kept") == b"what is to be kept"
        (path,) = tmp_path.iterdir()
        path.write_bytes(path.read_bytes()[:left])


def test_a_cache_that_cannot_be_used_is_none(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("x")  # as a folder on a read-only disk, it can neither be read nor written
    assert cached(tmp_path / "cache", "x", ("a",), lambda: b"data") == b"data"
    assert (tmp_path / "cache").read_text() == "x"


def test_an_analysis_is_not_taken_for_another_record(project: Path, tmp_path: Path) -> None:
    """What it was computed from is its key: answers, declarations, code and packages."""
    without_study(project)
    before = build(project, tmp_path / "cache").context.analysis
    for change in (
        lambda: hostile_answers(project, ["x"]),
        lambda: edit_text(project / "configs/metrics.yaml", ("significance_level: 0.05", "significance_level: 0.01")),
        lambda: edit_text(project / "configs/metrics.yaml", ("label: Words spelled exactly", "label: Exact words")),
    ):
        change()
        fresh, kept = (build(project, folder).context.analysis for folder in (None, tmp_path / "cache"))
        assert kept == fresh != before
        before = kept


def test_an_analysis_comes_back_from_the_cache_as_it_was(record: Record, tmp_path: Path) -> None:
    first, again = (Context(record, RepoNames.of(record), tmp_path).analysis for _ in range(2))
    assert first == again == analyse(record)
    assert len(list(tmp_path.iterdir())) == 1


def test_other_code_makes_another_analysis(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    before = analysis_inputs(record)
    monkeypatch.setattr("src.analysis.inputs._code", lambda: ("changed",))
    assert analysis_inputs(record) != before
