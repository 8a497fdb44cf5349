"""What `--dry-run` and `--verify` write and refuse, without an account and without the network."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from .conftest import invoke


def dry_run(root: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return invoke(root, "publish", "--dry-run", *more)


def test_it_prints_a_line_per_repository_and_a_total(project: Path) -> None:
    done = dry_run(project)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    names = [line.split()[2] for line in lines if " files, " in line]
    assert names == ["dataset:", "base:", "model:", "space:"]
    assert lines[-1].endswith("files in dist/hub")
    assert "adapter_model.safetensors" not in done.stdout
    assert "model/adapter_model.safetensors" in dry_run(project, "--verbose").stdout


def test_a_git_lfs_pointer_is_refused_by_its_name(project: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 6823456\n"
    (project / "checkpoints/best_model/adapter_model.safetensors").write_text(pointer)
    done = dry_run(project)
    assert done.returncode == 2
    assert "a Git LFS pointer to a file of 6.8 MB" in done.stderr
    assert "git lfs pull" in done.stderr


def test_json_names_every_file_by_hash(project: Path) -> None:
    report = json.loads(dry_run(project, "--json").stdout)
    assert set(report["files"]) == {"dataset", "base", "model", "space"}
    assert all(len(digest) == 64 for files in report["files"].values() for digest in files.values())
