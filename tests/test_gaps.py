"""What an author has still to write, marked TODO: seen on the site, counted as empty, and refused by the publisher."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.documents.build import build
from src.documents.pages import site_pages
from src.record.errors import InputError
from src.record.gaps import check_gaps
from src.record.load import load_record

from .conftest import refuses
from .publishing import change_project


@pytest.fixture
def gappy(project: Path) -> Path:
    """The tiny project with a gap in its config, one in a fragment, and words about TODO in code."""
    change_project(
        project,
        risks=["A known risk with `TODO` in code.", "TODO: name the risks <b>."],
        uses={"direct": "TODO", "downstream": "Others.", "out_of_scope": "Contracts."},
    )
    (project / "docs/fragments/preprocessing.md.j2").write_text("Text is tokenized.\n\nTODO: say how\nit was cut.\n")
    return project


def test_a_gap_is_seen_on_the_site_and_its_section_counts_as_empty(gappy: Path) -> None:
    documents = build(gappy, None)
    pages, _, _ = site_pages(documents, pdf=False)
    assert "TODO: say how\nit was cut." in pages["methodology.md"]
    assert "- TODO: name the risks &#60;b>." in pages["about/limitations.md"]
    assert "- A known risk with `TODO` in code." in pages["about/limitations.md"]
    card = documents.model_card
    assert "### Direct Use\n\nTODO" in card.text
    assert {"Direct Use", "Preprocessing"} <= set(card.completeness.empty)
    assert "Downstream Use" not in card.completeness.empty
    criterion = next(c for c in documents.criteria if c.key == "documented_and_uploaded")
    assert criterion.outcome == criterion.evidence[0].outcome == "not met"


def test_publishing_names_every_gap_by_file_and_line(gappy: Path) -> None:
    lines = (gappy / "configs/project.yaml").read_text().splitlines()
    number = next(i for i, line in enumerate(lines, 1) if "direct: TODO" in line)
    with pytest.raises(InputError) as refused:
        check_gaps(load_record(gappy))
    assert f"configs/project.yaml:{number}" in str(refused.value)
    assert "docs/fragments/preprocessing.md.j2:3" in str(refused.value)
    errors = refuses(gappy, "publish", "--yes")
    assert "TODO" in errors
    assert "Traceback" not in errors
