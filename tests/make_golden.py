"""`python -m tests.make_golden`: write the tiny project's documents into tests/golden, where tests compare them.

They are the net under every change of fragments, documents and analysis: what changes for a reader shows up in the diff of a commit.
With `--check` it writes nothing, and fails if a document differs.
"""

from __future__ import annotations

import difflib
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


def differences(documents: Documents) -> list[str]:
    """Return a line for each document that is missing, too many, or differs, with the first lines that do."""
    found = golden(documents)
    kept = {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*") if path.is_file()}
    problems = [f"{name}: in tests/golden, and not generated" for name in sorted(kept - found.keys())]
    for name, text in found.items():
        if name not in kept:
            problems.append(f"{name}: generated, and not in tests/golden")
        elif (before := (GOLDEN / name).read_text(encoding="utf-8")) != text:
            diff = difflib.unified_diff(before.splitlines(), text.splitlines(), "golden", "generated", n=0, lineterm="")
            problems.append(f"{name}:\n  " + "\n  ".join(line[:300] for line in [*diff][2:12]))
    return problems


def main() -> None:
    """Write the documents, or only compare them."""
    documents = build(TESTS / "tiny", None)
    if sys.argv[1:] == ["--check"]:
        problems = differences(documents)
        sys.exit("\n".join([*problems, "Look at the differences, then `make golden`."]) if problems else 0)
    found = golden(documents)
    for path in [path for path in GOLDEN.rglob("*") if path.is_file()]:
        if path.relative_to(GOLDEN).as_posix() not in found:
            path.unlink()
    for name, text in found.items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"{len(found)} documents in {GOLDEN}")


if __name__ == "__main__":
    main()
