"""What the commands write: folders that they may replace and none else, and lines that a person can read."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from src.record.errors import InputError
from src.record.files import replacing

from .conftest import REPO, copy_tiny, run_in

pytestmark = pytest.mark.slow

BUNDLE = ("-m", "src.publish", "--dry-run", "--only", "dataset", "--output")
SOURCE = ("-m", "gen")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_tiny(tmp_path_factory.mktemp("output") / "project")


@pytest.mark.parametrize("what", ["chapters", "a site of one's own", "a link", "a file", "here", "above"])
def test_what_was_not_generated_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    thesis = tmp_path / "thesis"
    (thesis / "docs").mkdir(parents=True)
    (thesis / "docs/chapter1.md").write_text("mine")
    if what == "a site of one's own":
        (thesis / "docs/index.md").write_text("mine, too")
    (tmp_path / "link").symlink_to(thesis)
    monkeypatch.chdir(thesis / "docs")
    paths = {"a link": "../../link", "a file": "chapter1.md", "here": ".", "above": ".."}
    refused = pytest.raises(InputError, match="neither new nor empty nor written by this command")
    with refused, replacing(Path(paths.get(what, str(thesis))), "--output") as folder:
        (folder / "index.md").write_text("generated")
    assert (thesis / "docs/chapter1.md").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "thesis"]


@pytest.mark.parametrize("command", [BUNDLE, SOURCE], ids=["bundle", "site source"])
def test_what_was_generated_is_replaced(root: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    out = tmp_path / "out"
    out.mkdir()  # an empty one will do
    assert run_in(root, *command, str(out)).returncode == 0
    (stale := out / "stale.txt").write_text("from an older version")
    assert run_in(root, *command, str(out)).returncode == 0
    assert not stale.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    (out / ".generated").unlink()
    refused = run_in(root, *command, str(out))
    assert (refused.returncode, "Traceback" in refused.stderr) == (2, False)
    assert len(list(out.iterdir())) > 0


def test_make_site_makes_what_is_not_there(tmp_path: Path) -> None:
    root = copy_tiny(tmp_path / "project")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPO / name, root)
    built = [root / name for name in (".venv/.site", ".cache/built", "site/index.html", "dist/hub/model/README.md")]
    for path in (root / ".venv/bin/python", *built):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def makes() -> bool:
        done = subprocess.run(["make", "-n", "site"], cwd=root, capture_output=True, text=True, check=True)
        return "mkdocs build" in done.stdout and "src.publish --dry-run" in done.stdout

    assert not makes()
    (root / "docs/fragments/hero.md.j2").unlink()
    assert makes()  # what is gone is a change too
    built[1].touch()
    assert not makes()
    built[3].unlink()
    assert makes()


def test_the_job_that_may_ask_for_an_identity_installs_nothing() -> None:
    workflow = yaml.safe_load((REPO / ".github/workflows/publish.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    trusted = {n: job for n, job in workflow["jobs"].items() if "id-token" in job.get("permissions", {})}
    assert list(trusted) == ["publish"]
    for name, job in workflow["jobs"].items():
        installs = [step["run"] for step in job["steps"] if re.search(r"\bpip\b|\bnpm\b|\bmake\b", step.get("run", ""))]
        assert bool(installs) == (name not in trusted)
