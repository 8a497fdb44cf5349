"""Another author's project: its documents say nothing of this study, whose words lie in docs/fragments/ and configs/."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pypdf import PdfReader
from safetensors.numpy import save_file

from gen.site import generate, site_files
from src.documents.build import Documents, build
from src.documents.context import Context, RepoNames
from src.hub.bundle import collect
from src.record.answers import write_answers
from src.record.errors import InputError
from src.record.load import load_record
from src.record.questions import write_questions

from .conftest import REPO, copy_tiny

PROJECT = """\
title: A small translator
question: Does an adapter of rank 2 translate greetings better than its base model?
summary: An adapter that translates greetings from German.
experiment: configs/experiments/translation.yaml
version: 1.0.0
language: de
license: mit
license_name: MIT License
model_repo: translator-lora
dataset_repo: greetings
uses: {direct: Greetings., downstream: Other greetings., out_of_scope: Contracts.}
limitations: [Greetings only.]
risks: [A wrong greeting may offend.]
recommendations: [Have it read by somebody who knows the language.]
"""
METRICS = """\
metrics:
  exact:
    label: Exact translations
    definition: Share of sentences translated like the reference.
    direction: higher
    unit: proportion
    primary: true
    task: translation
    measure: exact_match
    breakdowns: [reference]
  chrf: {label: chrF, definition: Character n-gram F-score of the test set., direction: higher, unit: number}
"""
EXPERIMENT = """\
experiment_name: translation
base_model: models/tiny
lora_config: {r: 2, lora_alpha: 4}
training_config: {learning_rate: 2.0e-4, per_device_train_batch_size: 16, max_steps: 3000}
dataset_config: {path: data/translation}
checkpoint: checkpoints/translation
"""
CRITERIA = """\
criteria:
  better:
    label: More sentences are translated like the reference.
    evidence: [{kind: significant_improvement, metric: exact}]
  documented:
    label: Model and report are documented.
    evidence: [{kind: complete_documents, documents: [model_card, dataset_card, readme, report]}]
"""

STUDY_WORDS = (
    "spell", "letter", "strawberry", "book", "gpt2", "gpt-2", "dictionary", "vocabulary", "from scratch", "src.pretrain", "made-up", "separator", "bfloat16",
    "snakemake", "wamerican", "tokenized", "letters_shown", "how many",
)  # fmt: skip
"""What only this study has to do with."""


@pytest.fixture(scope="module")
def translation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a tiny dataset, adapter and answers of its own."""
    root = tmp_path_factory.mktemp("own") / "project"
    for path, text in {
        "configs/project.yaml": PROJECT,
        "configs/metrics.yaml": METRICS,
        "configs/criteria.yaml": CRITERIA,
        "configs/experiments/translation.yaml": EXPERIMENT,
        "CHANGELOG.md": "# Changelog\n\n## 1.0.0\n\n- First version.\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    shutil.copy(REPO / "LICENSE", root / "LICENSE")
    adapter, base = root / "checkpoints/translation", root / "models/tiny"
    for folder in (adapter, base, root / "results/translation", root / "data/translation/translation"):
        folder.mkdir(parents=True)
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": "models/tiny"}
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    save_file({"x.lora_A.weight": np.zeros((2, 4), np.float32)}, adapter / "adapter_model.safetensors")
    (base / "config.json").write_text('{"model_type": "tiny"}')
    save_file({"x.weight": np.zeros((4, 4), np.float32)}, base / "model.safetensors")
    questions = [{"question": f"Guten Morgen {i}", "answer": f"Good morning {i % 3}"} for i in range(60)]
    for split in ("train", "test"):
        pq.write_table(pa.Table.from_pylist(questions), root / f"data/translation/translation/{split}.parquet")
    asked = [
        {
            "id": f"t-{i}", "task": "translation", "prompt": row["question"], "reference": row["answer"],
            "source": row["question"], "domain": "greetings" if i % 2 else "farewells", "length": i % 5,
        }
        for i, row in enumerate(questions)
    ]  # fmt: skip
    before = [{"id": f"t-{i}", "answer": "Gute", "correct": False, "score": -9.0} for i in range(60)]
    after = [{"id": f"t-{i}", "answer": r["answer"], "correct": True, "score": -0.5} for i, r in enumerate(questions)]
    folder = root / "results/translation"
    (folder / "answers").mkdir()
    results = {
        "base_model": {"metrics": {"exact": 0.0, "chrf": 18.4}},
        "finetuned_model": {"metrics": {"exact": 1.0, "chrf": 47.9}},
        "questions": write_questions(folder / "questions.parquet", pa.Table.from_pylist(asked)),
        "answers": {
            "base": write_answers(folder / "answers/base.parquet", pa.Table.from_pylist(before)),
            "finetuned": write_answers(folder / "answers/finetuned.parquet", pa.Table.from_pylist(after)),
        },
        "tasks": {
            "translation": {
                "questions": 60,
                "method": "Greedy generation.",
                "template": "{prompt}",
                "fields": {"prompt": {"column": "prompt"}},
            }
        },
    }
    (root / "results/translation/evaluation_results.json").write_text(json.dumps(results))
    return root


def texts(documents: Documents) -> dict[str, str]:
    """Return every text that is made from a record: pages, pictures, downloads, cards, report and README."""
    files = site_files(documents)
    found = {
        path: content.decode()
        for path, content in files.items()
        if not path.startswith(("reference/", "assets/schemas/")) and path.endswith((".md", ".svg", ".csv", ".json"))
    }
    pdf = PdfReader(io.BytesIO(files["assets/report.pdf"]))
    found["report.pdf"] = "\n".join(page.extract_text() for page in pdf.pages)
    found["README.md"] = documents.readme.text
    found["model/README.md"] = documents.model_card.text
    assert documents.dataset_card is not None
    found["dataset/README.md"] = documents.dataset_card.text
    return found


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


def test_what_is_not_used_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = copy_tiny(tmp_path / "project")
    (root / "docs/fragments/findings.md.j2").write_text("Unused.")
    shutil.rmtree(root / "checkpoints/best_model")
    generate(root, None)
    written = capsys.readouterr().err
    assert "docs/fragments/findings.md.j2: no document takes it in; did you mean finding.md.j2?" in written
    assert "checkpoint: checkpoints/best_model not found" in written


def test_another_authors_documents_have_none_of_this_studys_words(translation: Path) -> None:
    found = texts(build(translation, None))
    assert len(found) > 25
    assert "Exact translations" in found["assets/charts/metrics.light.svg"]  # pictures hold their words as comments
    wrong = [
        f"{name}: {text[max(0, place.start() - 60) : place.end() + 60]!r}"
        for name, text in found.items()
        for place in re.finditer("|".join(map(re.escape, STUDY_WORDS)), text, flags=re.IGNORECASE)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_settings_that_nobody_stated_are_not_stated(translation: Path) -> None:
    card = build(translation, None).model_card.text
    assert "| Training steps | 3,000 |" in card
    for unstated in ("Weight decay", "Precision", "AdamW", "dropout", "warm-up"):
        assert unstated not in card, unstated


@pytest.mark.slow
def test_a_section_that_only_the_author_could_write_is_left_out_and_missing(translation: Path) -> None:
    documents = build(translation, None)
    assert "## Approach" not in documents.readme.text
    assert "Approach" in documents.readme.completeness.missing
    facts = {c.key: c.evidence[0].facts for c in documents.criteria}["documented"]
    card = facts["model_card"]
    assert "Preprocessing" in [*card["empty"], *card["missing"]]


def test_an_authors_fragment_is_found_first(translation: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(translation, tmp_path / "project"))
    (root / "docs/fragments").mkdir(parents=True)
    (root / "docs/fragments/approach.md.j2").write_text("Ask {{ project.title }} for a greeting.\n")
    record = load_record(root)
    text = Documents(Context(record, RepoNames.of(record))).readme.text
    assert "## Approach\n\nAsk A small translator for a greeting.\n" in text
