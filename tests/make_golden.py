"""`python -m tests.make_golden`: write the tiny project's documents into tests/golden, where tests compare them.

They are the net under every change of fragments, documents and analysis: what changes for a reader shows up in the diff of a commit.
`python -m tests.make_golden FOLDER` writes them elsewhere.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from src.documents.build import Documents, build
from src.documents.pages import site_pages

TESTS = Path(__file__).parent
GOLDEN = TESTS / "golden"


def golden(documents: Documents) -> dict[str, str]:
    """Return every document that people read as text, by path inside tests/golden."""
    assert documents.dataset_card is not None
    assert documents.base_card is not None
    return {
        "README.md": documents.readme.text,
        "model-card.md": documents.model_card.text,
        "dataset-card.md": documents.dataset_card.text,
        "base-card.md": documents.base_card.text,
        "final_report.json": documents.final_report,
        "printed-report.md": documents.printed_report[0].text,
        **{f"pages/{path}": text for path, text in site_pages(documents, pdf=True)[0].items()},
    }


def kept(folder: Path = GOLDEN) -> dict[str, str]:
    """Return the documents that a folder has."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in files}


def main(folder: Path = GOLDEN) -> None:
    """Write the documents into a folder; what else is in tests/golden is removed."""
    found = golden(build(TESTS / "tiny", None))
    if folder == GOLDEN:
        shutil.rmtree(folder)
    for name, text in found.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    print(f"{len(found)} documents in {folder}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
