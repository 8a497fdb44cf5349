"""The documents that are committed although they follow from the record, so that people can read them on a code host."""

from __future__ import annotations

from pathlib import Path

from .cards import base_card, dataset_card
from .context import Context, Renderer
from .readme import readme
from .report_text import Report


def committed_documents(context: Context) -> dict[Path, str]:
    """Write every committed document, by its path."""
    record = context.record
    documents = {
        record.root / "README.md": readme(Renderer(context, "hub")),
        record.report_path: Report(context).json(),
    }
    if record.splits:
        documents[record.data / "README.md"] = dataset_card(context)
    if record.base_folder is not None and record.base_training is not None:
        documents[record.base_folder / "README.md"] = base_card(context)
    return documents
