"""The final report: claims that follow from the record, criteria decided by evidence, citations, and the PDF."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
import yaml
from pypdf import PdfReader

from gen.site import generate
from src.analysis.criteria import Completeness, Criterion, decide
from src.documents.build import build
from src.documents.completeness import headings
from src.documents.context import Context
from src.documents.pages import site_pages
from src.record.load import Record
from src.record.publication import Publication

from .conftest import copy_tiny, invoke, once, refuses, run_in, succeeds
from .make_golden import GOLDEN
from .publishing import change_project
from .records import edit_json, edit_text, hostile_answers, rewrite, tables


def make(root: Path) -> tuple[dict[str, Any], PdfReader, str]:
    """Run the command; return the data, the PDF and its text."""
    succeeds(root, "report")
    data = json.loads((root / "results/tiny/final_report.json").read_text())
    pdf = PdfReader(root / "dist/report.pdf")
    return data, pdf, "\n".join(page.extract_text() for page in pdf.pages)


def flat(text: str) -> str:
    """Put text on one line, words that a line break parted joined again."""
    return re.sub(r"\s+", " ", re.sub(r"-\n(?=[a-z])", "", text).replace("\u200b", ""))


class Made(NamedTuple):
    """The tiny record's report, and the text of each page."""

    root: Path
    pdf: PdfReader
    pages: list[str]

    @property
    def text(self) -> str:
        return "\n".join(self.pages)


@pytest.fixture(scope="module")
def made(session_folder: Path) -> Made:
    root = once(session_folder / "report", lambda folder: make(copy_tiny(folder)))
    pdf = PdfReader(root / "dist/report.pdf")
    return Made(root, pdf, [page.extract_text() for page in pdf.pages])


# What it says.


@pytest.mark.slow
def test_it_holds_every_section_and_page(made: Made) -> None:
    listed: list[Any] = list(made.pdf.outline)
    outline: list[str] = []
    for entry in listed:  # which grows by what stands below each heading
        if isinstance(entry, list):
            listed += entry
        else:
            outline.append(str(entry.title))
    for _, title, _ in headings((GOLDEN / "printed-report.md").read_text()):
        assert [entry for entry in outline if entry.endswith(title)], title
    assert f"1 / {len(made.pages)}" not in made.pages[0]  # the title page
    assert f"{len(made.pages)} / {len(made.pages)}" in made.text
    assert "&#" not in made.text  # made safe once, and not twice


@pytest.mark.slow
def test_what_is_committed_follows_from_the_record(project: Path) -> None:
    for command in (("report",), ("render",), ("render", "--check")):
        succeeds(project, *command)
    assert (project / "README.md").read_text() == (GOLDEN / "README.md").read_text()
    edit_text(project / "README.md", ("toy", "joy"))
    assert "README.md" in invoke(project, "render", "--check").stderr
    path = project / "results/tiny/final_report.json"
    edit_text(path, ('"letter_count_improvement": false', '"letter_count_improvement": true'))
    done = invoke(project, "render", "--check")
    assert done.returncode == 1
    assert "does not match the record" in done.stderr
    assert '"letter_count_improvement": true' in path.read_text() and "joy" in (project / "README.md").read_text()


def outcomes(root: Path, change: str) -> None:
    """Write answers to letter count and letter position: a gain, a loss, the same again, or a fine-tuned model that is never right.

    A loss leaves more right answers than the control and every shortcut have, so that only the comparison with the base model decides.
    """
    edit_json(
        root / "results/tiny/evaluation_results.json", lambda data: data["tasks"]["letter_position"].pop("shortcuts")
    )
    questions, base, finetuned = tables(root)
    rows, before, after = (table.to_pylist() for table in (questions, base, finetuned))
    for task in ("letter_count", "letter_position"):
        own = [i for i, row in enumerate(rows) if row["task"] == task]
        listed = [rows[i]["reference"] for i in own]
        common = max(dict.fromkeys(listed), key=listed.count)
        lost = [i for i in own if rows[i]["reference"] != common][-8:]
        for place, i in enumerate(own):
            right = rows[i]["reference"]
            wrong = "0" if task == "letter_count" else ("a" if right != "a" else "b")
            was = place % 3 == 0 if change == "gain" else True
            now = {"gain": True, "loss": i not in lost, "same": True, "never": False}[change]
            for answer, correct in ((before[i], was), (after[i], now)):
                answer.update(answer=right if correct else wrong, correct=correct, answered=True)
    rewrite(root, questions, *(pa.Table.from_pylist(rows, schema=base.schema) for rows in (before, after)))


@pytest.mark.parametrize(
    ("change", "says", "met"),
    [
        ("gain", "A significant improvement (exact McNemar, p", True),
        ("loss", "Significantly worse (exact McNemar, p = 0.0", False),
        ("same", "No significant difference (exact McNemar, p = 1.000, Holm-corrected).", False),
        ("never", "No evidence that the answers depend on what is asked: 0% are right", False),
    ],
)
def test_words_follow_from_the_numbers(tmp_path: Path, change: str, says: str, met: bool) -> None:
    root = copy_tiny(tmp_path / "project")
    outcomes(root, change)
    documents = build(root, root / ".cache")
    data = json.loads(documents.final_report)
    pages, _, _ = site_pages(documents, pdf=True)
    for shown in (
        documents.printed_report[0].text,
        documents.readme.text,
        documents.model_card.text,
        pages["report.md"],
        pages["index.md"],
    ):
        plain = shown.replace("**", "").replace("\N{NO-BREAK SPACE}", " ")
        for label in ("Letter count accuracy", "Letter position accuracy"):
            said = re.findall(rf"^- {label}: .* before, .* after\. (.*)$", plain, flags=re.MULTILINE)
            assert said, label
            assert all(verdict.startswith(says) for verdict in said), said
    assert data["conclusion"]["success_criteria_met"]["letter_count_improvement"] is met
    assert data["conclusion"]["success_criteria_met"]["letter_position_improvement"] is met


@pytest.mark.slow
def test_the_minimal_record_gives_a_report_that_invents_nothing(minimal: Path) -> None:
    change_project(minimal, limitations=["The score $p_t$ is low, and $$x$$ high."])
    data, _, text = make(minimal)
    shown = flat(text)
    assert "The score $p_t$ is low, and $$x$$ high." in shown  # what looks like a formula is text
    for sentence in (
        "Letter count accuracy: 25.0% before, 21.0% after. Worse, but not tested: no answers are on record.",
        "Letter position accuracy: 0.0% before, 43.0% after. Better, but not tested: no answers are on record.",
        "Success criteria: 3 not decided yet, 1 not met.",
    ):
        assert sentence in shown.replace("\N{NO-BREAK SPACE}", " "), sentence
    results = text[text.rindex("Evaluation\n") : text.rindex("Limitations\n")]
    for invented in ("significant ", "p < 0", "p = 0", " h ", " kWh", " GB"):
        assert invented not in flat(results), invented
    decimals = set(re.findall(r"\d+\.\d+", re.sub(r"(?m)version 0\.2\.0|^\d+\.\d ", "", results)))
    assert decimals <= {"25.0", "21.0", "4.0", "0.0", "43.0", "31.0", "72.0", "41.0", "0.620", "0.190", "0.430"}
    assert data["conclusion"]["success_criteria_met"] == {
        "letter_count_improvement": None,
        "letter_position_improvement": None,
        "documented_and_uploaded": False,
        "tracked_in_wandb": None,
    }


# Success criteria.

CHECK = {"repo": "model", "name": "files", "outcome": "passed", "detail": None}
RECEIPT: dict[str, Any] = {
    "results_sha256": json.loads((GOLDEN / "final_report.json").read_text())["evaluation_results_sha256"],
    "endpoint": "https://huggingface.co",
    "time": "2026-01-02T03:04:05Z",
    "repos": [
        {
            "role": role, "repo_id": f"someone/{role}", "kind": "dataset" if role == "dataset" else "model", "commit": "a" * 40,
            "visibility": "public", "files": 3, "bytes": 9, "tag": None,
        }
        for role in ("base", "dataset", "model")
    ],
    "checks": [CHECK],
}  # fmt: skip


def criterion(record: Record, context: Context, key: str) -> Criterion:
    full = {name: Completeness(3) for name in ("model_card", "dataset_card", "readme", "report")}
    return next(c for c in decide(record, context.analysis, full) if c.key == key)


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        ({}, "met", "verified"),
        ({"checks": [CHECK | {"outcome": "failed"}]}, "not met", "failed"),
        ({"checks": [CHECK | {"outcome": "not checked"}]}, "not decided yet", "unchecked"),
        ({"endpoint": "http://127.0.0.1:9"}, "not decided yet", "elsewhere"),
        ({"results_sha256": "b" * 64}, "not decided yet", "older"),
        ({"repos": RECEIPT["repos"][:2]}, "not decided yet", "absent"),
    ],
)
def test_a_publication_is_decided_by_its_receipt(
    record: Record, context: Context, changes: dict[str, Any], outcome: str, reason: str
) -> None:
    published = replace(record, publication=Publication.model_validate(RECEIPT | changes))
    found = criterion(published, context, "documented_and_uploaded")
    assert found.outcome == outcome
    assert (found.evidence[1].outcome, found.evidence[1].reason) == (outcome, reason)


@pytest.mark.parametrize("change", [{"run_id": None}, {"integrations": ["tensorboard"]}])
def test_a_run_without_an_id_or_of_another_tool_is_not_tracked(
    record: Record, context: Context, change: dict[str, Any]
) -> None:
    log = record.training_log
    assert log is not None and log.tracking is not None
    untracked = log.model_copy(update={"tracking": log.tracking.model_copy(update=change)})
    loaded = replace(record.loaded, published=replace(record.loaded.published, log=untracked))
    assert criterion(replace(record, loaded=loaded), context, "tracked_in_wandb").outcome == "not met"


@pytest.mark.slow
def test_publishing_decides_the_criterion_and_the_hubs_copy_cites_no_receipt(project: Path) -> None:
    path = project / "results/tiny/publication.json"

    def bundle() -> dict[str, bytes]:
        succeeds(project, "publish", "--dry-run", "--namespace", "someone", "--only", "model")
        return {n: (project / "dist/hub/model" / n).read_bytes() for n in ("final_report.json", "report.pdf")}

    before = bundle()
    path.write_text(json.dumps(RECEIPT))
    assert bundle() == before
    documents = build(project, project / ".cache")
    data = json.loads(documents.final_report)
    assert data["conclusion"]["success_criteria_met"]["documented_and_uploaded"] is True
    assert data["model_repository"] == "https://huggingface.co/someone/tiny-lora"
    assert "1 checks passed." in documents.printed_report[0].text
    published = json.loads(before["final_report.json"])
    assert published["conclusion"]["success_criteria_met"]["documented_and_uploaded"] is None


# The PDF.


@pytest.mark.slow
def test_the_pdf_is_tagged_named_and_brings_its_fonts(made: Made) -> None:
    pdf = made.pdf
    root = pdf.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert pdf.metadata is not None and pdf.metadata.title == "A toy that spells"
    assert b"pdfuaid:part" in root["/Metadata"].get_data()
    fonts: dict[str, Any] = {}
    for page in pdf.pages:
        for font in page["/Resources"].get("/Font", {}).values():
            inner = font["/DescendantFonts"][0]
            fonts[str(inner["/BaseFont"])] = inner["/FontDescriptor"]
    assert len(fonts) >= 4
    for name, descriptor in fonts.items():
        assert "/FontFile2" in descriptor or "/FontFile3" in descriptor, name
        assert re.search("Libertinus|NewCM|DejaVuSansMono", name), name


def tags(node: Any) -> Iterator[Any]:
    """Yield the tags of a PDF's structure, from a node downwards."""
    node = node.get_object()
    for inner in node if isinstance(node, list) else ():
        yield from tags(inner)
    if isinstance(node, dict):
        if "/S" in node:
            yield node
        if "/K" in node:
            yield from tags(node["/K"])


@pytest.mark.slow
def test_figures_are_vectors_and_can_be_read_aloud(made: Made, context: Context) -> None:
    pdf, text = made.pdf, flat(made.text)
    assert not [image for page in pdf.pages for image in page.images]
    kinds = list(tags(pdf.trailer["/Root"]["/StructTreeRoot"]))
    spoken = [str(tag["/Alt"]) for tag in kinds if "/Alt" in tag]
    source = build(made.root, made.root / ".cache").printed_report[0].text
    shown = [chart for chart in context.charts.values() if f'file="charts/{chart.name}.svg"' in source]
    assert len(shown) >= 3
    for number in range(1, len(shown) + 1):
        assert f"Figure {number}." in text
    for chart in shown:
        alt = re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", chart.alt)
        assert [said for said in spoken if said.endswith(alt)], chart.name
    assert {"/H1", "/H2", "/Table", "/TH", "/Figure", "/TOC"} <= {str(tag["/S"]) for tag in kinds}


@pytest.mark.slow
@pytest.mark.nightly
def test_the_same_record_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    root = copy_tiny(tmp_path / "elsewhere")
    (root / ".cache").unlink()  # all is made again
    done = run_in(root, "-m", "src.report", "--pdf", "out/again.pdf", TZ="Asia/Tokyo", LANG="C")
    assert done.returncode == 0, done.stderr
    assert (root / "out/again.pdf").read_bytes() == (made.root / "dist/report.pdf").read_bytes()


@pytest.mark.slow
def test_charts_drawn_by_other_code_make_the_pdf_again(minimal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = build(minimal, minimal / ".cache")
    before = documents.pdf()
    monkeypatch.setattr("src.documents.pdf._make", lambda *_: b"made again")
    assert documents.pdf() == before
    monkeypatch.setattr("src.figures.catalog._CHARTS", "other code")
    assert documents.pdf() == b"made again"


@pytest.mark.slow
def test_hostile_answers_show_as_text(tmp_path: Path) -> None:
    hostile = (
        '#read("/etc/passwd") $x$ @hu2022 <fig-metrics> `x`{=typst}',
        "[@nobody2020] ![x](/etc/passwd) ::: {.picture file=/etc/passwd}",
        "漢字 עברית 🍓 \U000f0000",
        "\u202egnp.exe\u2066 nul\x00 \x1b[31m",
        "x" * 10_000,
    )
    root = copy_tiny(tmp_path / "project")
    hostile_answers(root, hostile, tokens=["#wo", "$rd"])
    _, pdf, text = make(root)
    shown = flat(text)
    assert '#read("/etc/passwd") $x$ @hu2022 <fig-metrics>' in shown
    assert "[@nobody2020]![x](/etc/passwd):::{.picture" in shown.replace(" ", "")  # broken after slashes
    assert "‹U+6F22›‹U+5B57›" in shown
    assert "root:" not in shown
    assert "x" * 300 not in shown.replace(" ", "")
    assert not re.search(r"[\x00\x1b\u202e\u2066]", text)
    assert len(pdf.pages) < 60


def test_a_file_that_cannot_be_written_is_one_line(minimal: Path) -> None:
    errors = refuses(minimal, "report", "--pdf", "docs")
    assert errors.splitlines()[-1] == "error: docs: Is a directory"


# Citations.


OWN = "docs/fragments/preprocessing.md.j2"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Text [@nobody2020].\n", ["[@nobody2020]", "docs/references.bib"]),
        ("Text.\n{{ project.of_no_kind }}\n", [OWN, "line 2", "of_no_kind"]),
    ],
)
def test_bad_input_is_named_and_nothing_is_lost(minimal: Path, text: str, named: list[str]) -> None:
    (minimal / OWN).write_text(text)
    report = minimal / "results/tiny/final_report.json"
    report.write_text("the last one")
    errors = refuses(minimal, "report")
    assert all(part in errors for part in named), errors
    assert report.read_text() == "the last one"
    assert not (minimal / "dist/report.pdf").exists()


def test_without_pandoc_and_typst_the_site_is_built_and_says_so(
    minimal: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    hidden = ("pypandoc", "typst")
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: (name not in hidden and found(name, *rest)) or None
    )
    errors = refuses(minimal, "report")
    assert 'pip install -c constraints.txt -e ".[report]"' in errors.splitlines()[-1]
    files = generate(minimal, None)
    assert "without the report as PDF" in capsys.readouterr().err
    assert "report.pdf" not in files["report.md"].decode() and "assets/report.pdf" not in files


@pytest.mark.slow
@pytest.mark.parametrize("language", ["yo", "zh-Hans", "[pt-BR, sw]"])
def test_every_language_that_a_config_takes_gives_a_pdf_and_a_card(language: str, minimal: Path) -> None:
    change_project(minimal, language=yaml.safe_load(language))
    documents = build(minimal, minimal / ".cache")
    assert documents.pdf().startswith(b"%PDF")
    written = yaml.safe_load(documents.model_card.text.split("---")[1])["language"]
    assert written == yaml.safe_load(language)
