"""The notebook of the model's repository, run from top to bottom against the local Hub."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from src.documents.build import Documents
from src.documents.context import Context, RepoNames
from src.documents.demo import Demo
from src.documents.notebook import notebook
from src.hub.bundle import collect
from src.record.checkpoint import checkpoint_files
from src.record.load import Record

from .hub_server import HubServer


@pytest.fixture
def hub(tmp_path: Path, documents: Documents) -> Iterator[HubServer]:
    """A local Hub that holds base model, dataset and adapter, as if they were published."""
    server = HubServer(tmp_path / "hub")
    server.start()
    for repo in collect(documents, ("base", "dataset")):
        put(server, repo.kind, repo.repo_id, {name: file.content for name, file in repo.files.items()})
    record = documents.context.record
    files = {name: path.read_bytes() for name, path in checkpoint_files(record.checkpoint).items()}
    settings = json.loads(files["adapter_config.json"]) | {"base_model_name_or_path": documents.context.names.base}
    files |= {"adapter_config.json": json.dumps(settings).encode()}
    files |= {"evaluation_results.json": record.results_path.read_bytes()}
    put(server, "model", documents.context.names.model, files)
    yield server
    server.stop()


def put(server: HubServer, kind: str, name: str, files: dict[str, bytes]) -> None:
    repo = server.add_repo(kind, name)
    head = repo.commits[repo.refs["main"]]
    blobs = {
        path: server.store(content, lfs=path.endswith(("safetensors", "parquet"))) for path, content in files.items()
    }
    server.add_commit(repo, "main", head, "published", "alice", {**head.files, **blobs})


@pytest.fixture
def documents(record: Record) -> Documents:
    return Documents(Context(record, RepoNames.of(record, "alice"), inside_hub=True))


@pytest.mark.nightly
def test_the_notebook_runs_and_its_outputs_are_those_on_record(
    hub: HubServer, documents: Documents, tmp_path: Path
) -> None:
    context = documents.context
    assert isinstance(context.demo, Demo)
    book = nbformat.reads(notebook(context, context.demo), as_version=4)
    nbformat.validate(book)
    written = {cell.id: list(cell.outputs) for cell in book.cells if cell.cell_type == "code"}
    assert len(written["cell-2"][0].text.splitlines()) == 2
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = kept | {
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HOME": str(tmp_path / "home"),
        "OMP_NUM_THREADS": "1",
    }
    NotebookClient(book, timeout=300, kernel_name="python3").execute(env=environment)
    for cell in book.cells:
        if cell.cell_type != "code":
            continue
        said = "".join(out.text for out in cell.outputs if out.output_type == "stream" and out.name == "stdout")
        assert said == "".join(out.text for out in written[cell.id] if out.output_type == "stream"), cell.id
