"""Another author's project: its documents say nothing of this study, whose words lie in docs/fragments/ and configs/."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from gen.site import generate, site_files
from src.documents.build import build
from src.hub.bundle import collect
from src.record.errors import InputError

from .conftest import REPO, copy_tiny, invoke
from .records import edit_text, example
from .test_new import words_of_ours

STUDY_WORDS = (
    "spell", "letter", "strawberry", "book", "gpt2", "gpt-2", "dictionary", "vocabulary", "from scratch", "src.pretrain", "made-up", "separator", "bfloat16",
    "snakemake", "wamerican", "tokenized", "letters_shown", "how many",
)  # fmt: skip
"""What only this study has to do with."""


@pytest.fixture(scope="module")
def translation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide's project, with a tiny dataset and a base model of its own."""
    root = example(tmp_path_factory.mktemp("own") / "project")
    for path, old, new in (
        ("experiments/translation", "openai-community/gpt2", "models/tiny"),
        ("criteria", "[model_card, report]", "[model_card, dataset_card, readme, report]"),
    ):
        edit_text(root / f"configs/{path}.yaml", (old, new))
    for folder in ("models/tiny", "data/translation/translation"):
        (root / folder).mkdir(parents=True)
    (root / "models/tiny/config.json").write_text('{"model_type": "tiny"}')
    save_file({"x.weight": np.zeros((4, 4), np.float32)}, root / "models/tiny/model.safetensors")
    for split in ("train", "test"):
        greetings = [{"question": f"Guten Morgen {i}", "answer": f"Good morning {i % 3}"} for i in range(60)]
        pq.write_table(pa.Table.from_pylist(greetings), root / f"data/translation/translation/{split}.parquet")
    return root


@pytest.mark.slow
def test_a_page_and_a_picture_of_ones_own(tmp_path: Path) -> None:
    root = copy_tiny(tmp_path / "project")
    words = root / "docs/fragments"
    (words / "pages").mkdir()
    (words / "pages/lab-notes.md.j2").write_text(
        "# Lab notes\n\n{% claim metric('letter_count_accuracy').questions > 1 %}\nIt has "
        "{{ metric('letter_count_accuracy').questions | count }} questions.\n{% endclaim %}\n\n"
        "{{ figure('metrics') }}\n\n{{ picture('the lab.png', 'The lab') }}\n"
    )
    (words / "pictures").mkdir()
    shutil.copy(REPO / "docs/assets/logo.svg", words / "pictures/the lab.png")
    (words / "usage.md.j2").write_text("{{ picture('the lab.png', 'The lab') }}\n")
    files = generate(root, None)
    page = files["lab-notes.md"].decode()
    assert "It has 21 questions." in page
    assert "assets/charts/metrics.light.svg" in page
    assert "![The lab](assets/pictures/the%20lab.png)" in page
    assert "assets/pictures/the lab.png" in files
    assert "lab-notes.md#claim-1" in files["results/claims.md"].decode()
    documents = build(root, None)
    assert "![The lab](docs/fragments/pictures/the%20lab.png)" in documents.readme.text
    assert "pictures/the lab.png" in {file for repo in collect(documents) for file in repo.files}
    (words / "usage.md.j2").write_text("{{ picture('the-lab.png', 'The lab') }}\n")
    with pytest.raises(InputError, match="did you mean the lab"):
        _ = build(root, None).readme


@pytest.mark.slow
def test_what_is_not_used_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = copy_tiny(tmp_path / "project")
    (root / "docs/fragments/findings.md.j2").write_text("Unused.")
    shutil.rmtree(root / "checkpoints/best_model")
    generate(root, None)
    written = capsys.readouterr().err
    assert "docs/fragments/findings.md.j2: no document takes it in; did you mean finding.md.j2?" in written
    assert "checkpoint: checkpoints/best_model not found" in written
    done = invoke(root, "render")
    assert "docs/fragments/findings.md.j2: no document takes it in" in done.stderr


def test_another_authors_documents_have_none_of_this_studys_words(translation: Path, tmp_path: Path) -> None:
    """In none of the pages, pictures and downloads, nor in the cards, the report and the README."""
    documents = build(translation, None)
    cards = {
        "README.md": documents.readme,
        "model/README.md": documents.model_card,
        "data/README.md": documents.dataset_card,
    }
    files = site_files(documents) | {path: card.text.encode() for path, card in cards.items() if card is not None}
    own = [path for path in files if not path.startswith(("reference/", "assets/schemas/"))]
    assert {*cards, "assets/report.pdf", "assets/charts/metrics.light.svg"} <= set(own) and len(own) > 25
    assert b"Exact translations" in files["assets/charts/metrics.light.svg"]  # pictures hold their words as comments
    for path in own:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(files[path])
    assert not words_of_ours(tmp_path, STUDY_WORDS)


@pytest.mark.slow
def test_what_only_the_author_could_state_is_left_out_and_missing(translation: Path) -> None:
    documents = build(translation, None)
    card = documents.model_card.text
    assert "| Training steps | 3,000 |" in card
    for unstated in ("Weight decay", "Precision", "AdamW", "Gradient clipping", "Schedule"):
        assert unstated not in card, unstated
    assert "## Approach" not in documents.readme.text
    assert "Approach" in documents.readme.completeness.missing
    criterion = next(c for c in documents.criteria if c.key == "published")
    found = criterion.evidence[0].facts["model_card"]
    assert criterion.outcome == criterion.evidence[0].outcome == "not met"
    assert "Preprocessing" in [*found["empty"], *found["missing"]]
