"""The notebook of the model's repository, run from top to bottom against the local Hub."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from src.documents.notebook import PATH

from .publishing import Desk, online


@pytest.mark.nightly
def test_the_notebook_runs_and_its_outputs_are_those_on_record(desk: Desk, tmp_path: Path) -> None:
    done = desk.publish()
    assert done.code == 0, done.out
    desk.patch.undo()  # from here on it is a visitor's
    desk.hub.start()
    book = nbformat.reads(desk.bundle.repo("model").files[PATH].content.decode(), as_version=4)
    nbformat.validate(book)
    written = {cell.id: list(cell.outputs) for cell in book.cells if cell.cell_type == "code"}
    assert len(written["cell-2"][0].text.splitlines()) == 2
    environment = online(desk.hub, tmp_path / "home", HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
    NotebookClient(book, timeout=300, kernel_name="python3").execute(env=environment)
    desk.hub.stop()
    for cell in book.cells:
        if cell.cell_type != "code":
            continue
        said = "".join(out.text for out in cell.outputs if out.output_type == "stream" and out.name == "stdout")
        assert said == "".join(out.text for out in written[cell.id] if out.output_type == "stream"), cell.id
