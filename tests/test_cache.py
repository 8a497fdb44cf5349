"""The one cache on disk: what follows from the same is made once, and nothing is kept that is of no state of its inputs."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

import gen.site
from src.cache import cached
from src.record.errors import InputError


def test_the_same_is_made_once_and_something_else_again(tmp_path: Path) -> None:
    made: list[str] = []

    def make(what: str) -> bytes:
        made.append(what)
        return what.encode()

    for key in (("a", "b"), ("a", "b"), ("ab", ""), ("a", "c")):
        assert cached(tmp_path, "x", key, lambda key=key: make("|".join(key))) == "|".join(key).encode()  # type: ignore[misc]
    assert made == ["a|b", "ab|", "a|c"]
    assert cached(None, "x", ("a", "b"), lambda: b"again") == b"again"


def test_what_is_not_true_any_more_is_not_kept(tmp_path: Path) -> None:
    assert cached(tmp_path, "x", ("a",), lambda: b"old", lambda: False) == b"old"
    assert cached(tmp_path, "x", ("a",), lambda: b"new") == b"new"


def test_of_what_is_large_only_the_newest_stay(tmp_path: Path) -> None:
    for number in range(4):
        cached(tmp_path, "site.zip", (str(number),), lambda number=number: str(number).encode(), newest=2)  # type: ignore[misc]
        for path in tmp_path.iterdir():  # files of the same moment have no order
            os.utime(path, (path.stat().st_mtime - 60,) * 2)
    cached(tmp_path, "png", ("0",), lambda: b"0")
    assert len(list(tmp_path.iterdir())) == 3
    assert [cached(tmp_path, "site.zip", (str(n),), lambda: b"again") for n in (3, 2, 1)] == [b"3", b"2", b"again"]


@pytest.mark.parametrize("left", [0, 20, 40])
def test_a_file_that_was_cut_short_is_made_again(tmp_path: Path, left: int) -> None:
    for _ in range(2):
        assert cached(tmp_path, "x", ("a",), lambda: b"what is to be kept") == b"what is to be kept"
        (path,) = tmp_path.iterdir()
        path.write_bytes(path.read_bytes()[:left])


def test_a_cache_that_is_no_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("x")
    with pytest.raises(InputError, match=r"cache: found Not a directory, expected a folder of the cache"):
        cached(tmp_path / "cache", "x", ("a",), lambda: b"data")


@pytest.mark.parametrize(
    "path", ["data/words/words.txt", "results/tiny/training_log.json", "docs/fragments/hero.md.j2"]
)
def test_a_file_that_changes_during_a_build_makes_no_stale_site(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """The finished site is kept under the content of all that it was made from."""
    made: list[str] = []
    file = project / path
    before = file.read_bytes()

    def site_files(documents: object) -> dict[str, bytes]:
        content = file.read_bytes()
        if not made:
            file.write_bytes(before + b"\n")  # somebody saves the file after it was read
        made.append("site")
        return {"page": content}

    monkeypatch.setattr(gen.site, "build", lambda root, cache: SimpleNamespace(context=None))
    monkeypatch.setattr(gen.site, "site_files", site_files)
    cache = tmp_path / "cache"
    assert gen.site.generate(project, cache) == {"page": before}
    assert gen.site.generate(project, cache) == {"page": before + b"\n"}
    file.write_bytes(before)  # the first build must not have been kept for this state
    assert gen.site.generate(project, cache) == {"page": before}
    assert len(made) == 3
    assert gen.site.generate(project, cache) == {"page": before}
    assert len(made) == 3  # nothing changed: taken from the cache


def test_what_was_read_while_a_file_changed_is_not_found_again(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even in memory, once the file is as it was."""
    file = project / "results/tiny/training_log.json"
    before, builds = file.read_bytes(), []

    def build(root: Path, cache: Path | None) -> SimpleNamespace:
        builds.append("build")
        if len(builds) == 1:
            file.write_bytes(before + b"\n")  # somebody saves the file before it is read
        return SimpleNamespace(context=file.read_bytes())

    monkeypatch.setattr(gen.site, "build", build)
    monkeypatch.setattr(gen.site, "site_files", lambda documents: {"page": documents.context})
    assert gen.site.generate(project, tmp_path / "cache") == {"page": before + b"\n"}
    file.write_bytes(before)
    assert gen.site.generate(project, tmp_path / "cache") == {"page": before}


def test_a_second_build_analyses_again_only_what_changed(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds: list[str] = []

    def build(root: Path, cache: Path | None) -> SimpleNamespace:
        builds.append("build")
        return SimpleNamespace(context=b"")

    monkeypatch.setattr(gen.site, "build", build)
    monkeypatch.setattr(gen.site, "site_files", lambda documents: {"page": (project / "LICENSE").read_bytes()})
    for name, analysed in (("LICENSE", 1), ("docs/fragments/hero.md.j2", 1), ("configs/metrics.yaml", 2)):
        with (project / name).open("a") as stream:
            stream.write("\n")
        assert gen.site.generate(project, tmp_path / "cache") == {"page": (project / "LICENSE").read_bytes()}
        assert len(builds) == analysed, name


def test_code_that_changes_while_it_runs_is_not_the_code_that_ran(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mkdocs serve` goes on with the code that it imported; nothing may be kept as if the new code had made it."""
    monkeypatch.setattr(gen.site, "CODE", (tmp_path,))
    (tmp_path / "module.py").write_text("old")
    gen.site._code.cache_clear()
    try:
        before = gen.site._inputs(project)
        (tmp_path / "module.py").write_text("new")
        assert gen.site._inputs(project) == before
        gen.site._code.cache_clear()  # a process that starts now
        assert gen.site._inputs(project) != before
    finally:
        gen.site._code.cache_clear()


def test_the_engines_bibliography_is_part_of_what_is_remembered(minimal: Path) -> None:
    (minimal / "src").unlink()
    (minimal / "src/fragments").mkdir(parents=True)
    before = gen.site._inputs(minimal)
    (minimal / "src/fragments/references.bib").write_text("new")
    assert gen.site._inputs(minimal).record != before.record
