"""The one cache on disk: what follows from the same is made once, and nothing is kept that is of no state of its inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

import gen.site
from src.cache import cached


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


@pytest.mark.parametrize(
    "path", ["data/words/words.txt", "results/gpt2-mini/training_log.json", "docs/fragments/hero.md.j2"]
)
def test_a_file_that_changes_during_a_build_makes_no_stale_site(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """The finished site is kept under the content of all that it was made from."""
    builds: list[str] = []
    file = project / path
    before = file.read_bytes()

    def build(root: Path, cache: Path | None) -> bytes:
        content = file.read_bytes()
        if not builds:
            file.write_bytes(before + b"\n")  # somebody saves the file after it was read
        builds.append("build")
        return content

    monkeypatch.setattr(gen.site, "build", build)
    monkeypatch.setattr(gen.site, "site_files", lambda content: {"page": content})
    cache = tmp_path / "cache"
    assert gen.site.generate(project, cache) == {"page": before}
    assert gen.site.generate(project, cache) == {"page": before + b"\n"}
    file.write_bytes(before)  # the first build must not have been kept for this state
    assert gen.site.generate(project, cache) == {"page": before}
    assert len(builds) == 3
    assert gen.site.generate(project, cache) == {"page": before}
    assert len(builds) == 3  # nothing changed: taken from the cache
