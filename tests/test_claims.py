"""Claims: prose is stated only while its condition holds, and a gap, marked TODO, is seen and not published."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from src.documents.build import Documents, build
from src.documents.claims import ClaimsError
from src.documents.pages import site_pages
from src.record.errors import InputError
from src.record.gaps import check_gaps
from src.record.load import load_record

from .conftest import invoke, refuses, run_in
from .publishing import change_project

FINDING = "docs/fragments/finding.md.j2"
TRUE, FALSE = 'base("words_spelled").value < 2', 'base("words_spelled").value > 2'


def claim(condition: str, sentence: str = "It is so.") -> str:
    return f"{{% claim {condition} %}}\n{sentence}\n{{% endclaim %}}\n"


def write(project: Path, *claims: str) -> Documents:
    (project / FINDING).write_text("".join(claims))
    return build(project, project / ".cache")


def test_all_claims_that_fail_are_named_with_line_sentence_and_values(project: Path) -> None:
    documents = write(
        project,
        claim(FALSE, 'The base model spells {{ base("words_spelled").value | percent }}.'),
        claim(TRUE, "It is so, says the GPT-2 of `seed 1`, both-1 included, see [@hu2022]."),
        claim('arm("spelling").words_spelled.lowest > 3 and record.project.language == "en"', "More than all."),
    )
    with pytest.raises(ClaimsError) as refused:
        documents.check()
    message = str(refused.value)
    assert "2 claims do not hold" in message
    assert re.search(
        FINDING + r':1: “The base model spells [0-9.]+%\.” needs base\("words_spelled"\)\.value > 2, but base', message
    )
    assert f"{FINDING}:7: “More than all.”" in message
    assert "record.project.language is en" in message
    assert "It is so" not in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (claim('base("no_such_metric").value > 0'), "no metric no_such_metric"),
        (claim('arm("unknown").words_spelled.lowest > 0'), "no arm unknown"),
        (claim("record.nothing > 1"), "nothing"),
        (claim('arm("spelling").words_spelled.used == 2'), "no control"),
        (claim('run("leter_count").verdict == "improved"'), "did you mean"),
        (claim(TRUE, "So is {{ record.nothing }}."), "a value is missing"),
        (claim("1 < 2"), "constant"),
        (claim(f"{FALSE} or true"), "constant"),
        (claim('base("words_spelled").value >= base("words_spelled").value'), "constant"),
        (claim('run("words_spelled")'), "does not hold"),
        (claim('base("words_spelled").control != 0.5'), "control is not on record"),
        ("{{ base('words_spelled').control }}", "not on record"),
        (claim(TRUE, "It spells 53 % of them."), "number in digits"),
        (claim(TRUE, "It spells {{ 0.99 | percent }}."), "prints a constant"),
        (f"{claim(TRUE, 'See [@hu2022].')}\nIt spells them all.", "not in a claim: It spells them all"),
    ],
)
def test_a_claim_with_a_missing_value_or_that_checks_nothing_is_refused(project: Path, text: str, says: str) -> None:
    with pytest.raises((ClaimsError, InputError), match=says) as refused:
        write(project, text).check()
    assert FINDING in str(refused.value)


@pytest.mark.slow
def test_a_changed_record_stops_the_build_with_the_sentence(project: Path) -> None:
    value = build(project, project / ".cache").context.analysis.metric("words_spelled").base.value
    (project / FINDING).write_text(
        claim(f'base("words_spelled").value == {value} + 1', "A sentence that no longer holds.")
    )
    done = run_in(project, "-m", "mkdocs", "build")
    assert done.returncode != 0
    assert "A sentence that no longer holds." in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    listed = invoke(project, "render", "--claims")
    assert listed.returncode == 1
    assert f"FAILS  {FINDING}:1" in listed.stdout
    assert invoke(project, "render").returncode == 2
    assert not (project / "README.md").exists()


def test_while_serving_the_sentence_is_marked_in_its_place(project: Path) -> None:
    documents = write(project, claim(FALSE, "Not so."), claim(TRUE))
    pages, _, _ = site_pages(documents, pdf=False)
    assert '<mark id="claim-1" class="claim-failed">Not so. (does not hold' in pages["index.md"]
    assert '<span id="claim-2">It is so.</span>' in pages["index.md"]


def test_the_title_of_a_chart_may_be_a_claim(project: Path) -> None:
    hero, figure = project / "docs/fragments/hero.md.j2", '{{ figure("metrics", title=title) }}\n'
    hero.write_text(claim(f"{TRUE} as title", "It spells.") + figure)
    documents = build(project, None)
    documents.check()
    pages, _, _ = site_pages(documents, pdf=False)
    assert '<p class="chart-title" markdown="span">It spells.</p>' in pages["index.md"]
    assert "✓ It spells. [In context](../index.md)" in pages["results/claims.md"]
    hero.write_text(claim(f"{FALSE} as title", "It spells.") + figure)
    documents = build(project, None)
    assert ">It spells. (does not hold)</p>" in site_pages(documents, pdf=False)[0]["index.md"]


def test_untrusted_values_stay_text(project: Path) -> None:
    path = project / "configs/project.yaml"
    path.write_text(re.sub(r"(?m)^title:.*$", "title: a <script>alert(1)</script> b", path.read_text()))
    documents = write(project, claim('record.project.title != "x"', "It has a title."))
    pages, _, _ = site_pages(documents, pdf=False)
    for page in ("index.md", "results/claims.md"):
        assert "<script>alert" not in re.sub(r"`[^`]*`", "", pages[page]).split("claim-why")[-1]


@pytest.mark.parametrize(
    "text",
    [
        f"{{% claim {TRUE} %}}One.{{% endclaim %}} {{% claim {FALSE} %}}Two.{{% endclaim %}}",
        f"{{# {{% claim {TRUE} %}}Old.{{% endclaim %}} #}}{{% claim {FALSE} %}}Two.{{% endclaim %}}",
        f"{{% raw %}}{{% claim {TRUE} %}}{{% endraw %}}{{% claim {FALSE} %}}Two.{{% endclaim %}}",
        f"{{%\n  claim {FALSE}\n%}}Two.{{% endclaim %}}\n{{% claim {TRUE} %}}One.{{% endclaim %}}",
        f"{{%- claim {FALSE} as title -%}}Two.{{% endclaim %}}{{{{ title }}}}",
    ],
)
def test_a_sentence_is_judged_by_its_own_condition(project: Path, text: str) -> None:
    with pytest.raises(ClaimsError) as refused:
        write(project, text).check()
    assert "“Two.” needs" in str(refused.value)
    assert "1 claim does not hold" in str(refused.value)


def test_a_false_claim_in_the_base_models_card_stops_the_build(project: Path) -> None:
    path = project / "docs/fragments/base_limitations.md.j2"
    path.write_text(claim(FALSE, "It knows every letter."))
    with pytest.raises(ClaimsError, match="It knows every letter"):
        build(project, None).check()


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
