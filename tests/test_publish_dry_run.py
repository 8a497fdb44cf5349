"""What `--dry-run` and `--verify` write and refuse, without an account and without the network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import invoke, run_in, succeeds
from .publishing import change_project
from .records import edit_json

pytestmark = pytest.mark.slow


def dry_run(root: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return invoke(root, "publish", "--dry-run", *more)


def test_the_bundle_has_what_its_cards_show_and_the_same_bytes_each_time(project: Path) -> None:
    files = json.loads(dry_run(project, "--json").stdout)["files"]
    (project / ".cache").unlink()  # all is made again
    assert json.loads(dry_run(project, "--json").stdout)["files"] == files
    assert set(files) == {"dataset", "base", "model", "space"}
    assert {"LICENSE", "adapter_model.safetensors", "report.pdf", "final_report.json"} <= files["model"].keys()
    for role, listed in files.items():
        card = (project / "dist/hub" / role / "README.md").read_text()
        assert set(re.findall(r"!\[[^\]]*\]\(([^):]+)\)", card)) <= listed.keys()
        assert not [path for path in listed if path.endswith((".bin", ".pt", ".pkl"))]


def test_a_link_to_a_file_that_is_not_there_is_refused(project: Path) -> None:
    with (project / "docs/fragments/preprocessing.md.j2").open("a") as fragment:
        fragment.write("\n\nSee [the notes](notes.md).\n")
    done = dry_run(project, "--only", "model")
    assert done.returncode == 3
    assert "links to its own files (not there: notes.md)" in done.stdout
    assert not (project / "dist").exists()


def test_verify_loads_and_runs_without_an_account(project: Path) -> None:
    done = succeeds(project, "publish", "--verify", "--only", "dataset", "--json")
    checks = {check["name"]: check["outcome"] for check in json.loads(done.stdout)["checks"]}
    assert {"load_dataset gives every split", "the card's snippet runs"} <= checks.keys()
    assert set(checks.values()) == {"passed"}


def test_the_snippet_prints_what_is_on_record(project: Path) -> None:
    """The prompt is part of the record: with another solved example before it, the model says something else."""
    change_project(project, example_prompt=None)
    arguments = ("publish", "--verify", "--only", "base", "--only", "model")
    succeeds(project, *arguments)
    edit_json(
        project / "results/tiny/evaluation_results.json",
        lambda d: d["tasks"]["letter_count"].update(prefix="Here it is: cherry cherry"),
    )
    done = invoke(project, *arguments)
    assert done.returncode == 3
    assert "the card's snippet runs" in done.stderr and "is on record" in done.stdout


@pytest.mark.parametrize("address", ["nonsense", "http://localhost:99999"])
def test_an_endpoint_that_is_no_address_is_refused(project: Path, address: str) -> None:
    done = run_in(project, "-m", "src.publish", "--dry-run", HF_ENDPOINT=address)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: HF_ENDPOINT: {address} is not an http address.")


@pytest.mark.parametrize("name", ["extra/two words.parquet", "a[b]/test.parquet"])
def test_a_name_that_load_dataset_does_not_take_is_refused(project: Path, name: str) -> None:
    path = project / "data" / name
    path.parent.mkdir()
    shutil.copy(project / "data/spelling/test.parquet", path)
    done = dry_run(project)
    assert done.returncode == 2
    assert f"data/{name}: load_dataset takes no such name" in done.stderr
