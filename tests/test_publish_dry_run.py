"""What `--dry-run` and `--verify` write and refuse, without an account and without the network."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from .conftest import invoke


def dry_run(root: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return invoke(root, "publish", "--dry-run", *more)


def change(root: Path, **keys: object) -> None:
    path = root / "configs/project.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | keys, allow_unicode=True))


def test_it_prints_a_line_per_repository_and_a_total(project: Path) -> None:
    done = dry_run(project)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    names = [line.split()[2] for line in lines if " files, " in line]
    assert names == ["dataset:", "base:", "model:", "space:"]
    assert lines[-1].endswith("files in dist/hub")
    assert "adapter_model.safetensors" not in done.stdout
    assert "model/adapter_model.safetensors" in dry_run(project, "--verbose").stdout


@pytest.mark.parametrize(
    ("license", "hint"), [("apache2", "did you mean `apache-2.0`?"), ("proprietary", "or `other`")]
)
def test_a_license_that_the_hub_does_not_know_is_refused(license: str, hint: str, project: Path) -> None:
    change(project, license=license, license_name="The license")
    done = dry_run(project)
    assert done.returncode == 2
    assert f"license: the Hub has no license `{license}`; " in done.stderr
    assert hint in done.stderr
    assert not (project / "dist").exists()


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("words/test-hard.parquet", "no split called 'test-hard'"),
        ("random 10k [2m]/test.parquet", "reads [] as a pattern"),
    ],
)
def test_a_name_that_load_dataset_refuses_is_refused(path: str, problem: str, project: Path) -> None:
    source = next((project / "data").glob("*/*/test.parquet"), next(project.glob("data/*/test.parquet"), None))
    assert source is not None
    data = source.parent.parent
    (data / path).parent.mkdir(exist_ok=True)
    shutil.copy(source, data / path)
    done = dry_run(project)
    assert done.returncode == 2
    assert problem in done.stderr, done.stderr
    assert path.split("/")[0] in done.stderr


def test_a_git_lfs_pointer_is_refused_by_its_name(project: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 6823456\n"
    (project / "checkpoints/best_model/adapter_model.safetensors").write_text(pointer)
    done = dry_run(project)
    assert done.returncode == 2
    assert "a Git LFS pointer" in done.stderr
    assert "git lfs pull" in done.stderr


def test_a_secret_in_a_file_is_refused(project: Path) -> None:
    key = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cDaB3d"
    change(project, summary=f"See {key} for more.")
    done = dry_run(project)
    assert done.returncode == 2
    assert "this looks like a secret (GitHub Token)" in done.stderr
    assert key not in done.stdout + done.stderr


def test_json_names_every_file_by_hash(project: Path) -> None:
    report = json.loads(dry_run(project, "--json").stdout)
    assert set(report["files"]) == {"dataset", "base", "model", "space"}
    assert all(len(digest) == 64 for files in report["files"].values() for digest in files.values())
