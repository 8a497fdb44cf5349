"""What the bundle holds, and how the commands explain themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from src.cli import COMMANDS

from .conftest import REPO, copy_project, invoke, once, run_in

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bundle(session_folder: Path) -> Path:
    return once(session_folder / "bundle", write_bundle)


def write_bundle(folder: Path) -> None:
    project = copy_project(folder.with_name(f"{folder.name}-project"))
    done = run_in(project, "-m", "src.publish", "--dry-run", "--namespace", "someone", "--output", str(folder))
    assert done.returncode == 0, done.stderr


@pytest.mark.committed
def test_the_bundle_holds_what_is_published(bundle: Path) -> None:
    names = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    for name in (
        "model/README.md", "model/LICENSE", "model/adapter_model.safetensors", "model/adapter_config.json", "model/tokenizer.json",
        "model/evaluation_results.json", "model/report.pdf", "model/final_report.json", "model/charts/metrics.png", "dataset/README.md", "dataset/LICENSE",
        "dataset/words/COPYRIGHT", "dataset/training/train.parquet", "base/README.md", "base/model.safetensors",
    ):  # fmt: skip
        assert name in names
    for image in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (bundle / "model/README.md").read_text()):
        assert f"model/{image}" in names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]


@pytest.mark.committed
def test_publishing_twice_gives_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    write_bundle(tmp_path / "again")
    for file in (tmp_path / "again").rglob("*"):
        if file.is_file():
            assert file.read_bytes() == (bundle / file.relative_to(tmp_path / "again")).read_bytes(), file


def test_every_command_explains_itself() -> None:
    for command in COMMANDS:
        done = invoke(REPO, command, "--help")
        assert done.returncode == 0
        assert f"python -m src.{command}" in done.stdout
        assert f"src.{command}" in (REPO / "README.md").read_text()
