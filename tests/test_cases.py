"""Results in the shapes that people have on disk: each becomes a record with the tool's own numbers, or is refused with one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from src.analysis.analyse import analyse
from src.documents.context import Context, RepoNames
from src.documents.renderer import Renderer
from src.documents.report import report_data
from src.exchange.answers import Import
from src.exchange.every_eval_ever import import_every_eval_ever
from src.exchange.imported import write_record
from src.exchange.lm_eval import import_lm_eval
from src.exchange.reading import settings
from src.exchange.shared import shared_results
from src.hub.eval_results import entries
from src.record.checkpoint import adapter_config
from src.record.errors import InputError
from src.record.load import Record, load_record
from src.record.model_name import ModelName, parse_model_name

from .conftest import REPO, Run

DATE = "2025-03-01T10-00-00.000000"
BASE_RIGHT = [True, False, False, True, False, False, True, False, False, False, True, False]
TUNED_RIGHT = [True, True, False, True, True, False, True, True, False, True, True, False]
RIGHT = {"b": BASE_RIGHT, "t": TUNED_RIGHT}
Sample = dict[str, Any]


def choice(i: int, right: bool) -> Sample:
    """One question with three candidates; the target is an index."""
    best = i % 3 if right else (i + 1) % 3
    pairs = [["-1.0" if place == best else f"-{5 + place}.0", "False"] for place in range(3)]
    arguments = {
        f"gen_args_{n}": {"arg_0": f"Q{i} is", "arg_1": f" {c}"} for n, c in enumerate(("red", "green", "blue"))
    }
    doc = {"question": f"Q{i} is", "label": i % 3}
    return {"doc": doc, "target": str(i % 3), "arguments": arguments, "filtered_resps": pairs, "acc": float(right)}


def text(
    i: int, right: bool, metric: str = "exact_match", target: str | None = None, answer: str | None = None
) -> Sample:
    """One question that is answered freely."""
    arguments = {"gen_args_0": {"arg_0": f"{i}+1?", "arg_1": {"until": ["\n"]}}}
    given = answer if answer is not None else str(i + 1 if right else 0)
    doc = {"question": f"{i}+1?"}
    return {
        "doc": doc,
        "target": target or str(i + 1),
        "arguments": arguments,
        "filtered_resps": [given],
        metric: right,
    }


@dataclass
class Task:
    """One task of a run to be written: its samples, and how it is described."""

    samples: list[Sample]
    kind: str = "multiple_choice"
    filters: Sequence[str] = ("none",)
    stated: dict[str, float] = field(default_factory=dict)

    def numbers(self) -> dict[str, float]:
        """The means of the samples' values, as the harness states them."""
        found = dict(self.stated)
        names = [k for k, v in self.samples[0].items() if isinstance(v, int | float) and k != "doc_id"]
        for chosen in self.filters:
            rows = [s for s in self.samples if s.get("filter", chosen) == chosen]
            found |= {f"{name},{chosen}": sum(row[name] for row in rows) / len(rows) for name in names}
        return found


def write_run(
    folder: Path,
    tasks: dict[str, Task],
    model_args: str | dict[str, str] = "pretrained=openai-community/gpt2",
    *,
    name: str = f"results_{DATE}.json",
    date: str = DATE,
    named_filters: bool = True,
    **more: Any,
) -> Path:
    """Write what lm_eval writes about one model."""
    folder.mkdir(parents=True, exist_ok=True)
    metrics = {task: [key.split(",")[0] for key in about.numbers()] for task, about in tasks.items()}
    data = {
        "results": {task: {"alias": task, **about.numbers()} for task, about in tasks.items()},
        "group_subtasks": {task: [] for task in tasks},
        "configs": {task: {"task": task, "output_type": about.kind} for task, about in tasks.items()},
        "versions": dict.fromkeys(tasks, 1.0),
        "n-shot": dict.fromkeys(tasks, 0),
        "higher_is_better": {task: dict.fromkeys(names, True) for task, names in metrics.items()},
        "config": {"model": "hf", "model_args": model_args},
        "lm_eval_version": "0.4.9",
    }
    for key, value in more.items():
        data[key] = data.get(key, {}) | value if isinstance(value, dict) else value
    (folder / name).write_text(json.dumps(data))
    for task, about in tasks.items():
        lines = []
        for i, sample in enumerate(about.samples):
            row = {"doc_id": i, "filter": about.filters[0], **sample} if named_filters else {"doc_id": i, **sample}
            lines.append(json.dumps(row) + "\n")
        (folder / f"samples_{task}_{date}.jsonl").write_text("".join(lines))
    return folder


def colors(side: str) -> Task:
    """A task of twelve questions with candidates: four right before, eight after."""
    return Task([choice(i, right) for i, right in enumerate(RIGHT[side])])


TUNED = "pretrained=openai-community/gpt2,peft=me/ad"
ARGS = {"b": "pretrained=openai-community/gpt2", "t": TUNED}


def write_both(root: Path, make: Callable[[str], dict[str, Task]], args: dict[str, Any] = ARGS, **more: Any) -> Path:
    """Write a run of each model."""
    for side in ("b", "t"):
        write_run(root / side, make(side), args[side], **more)
    return root


def imported(root: Path, wanted: str | None = None) -> Import:
    return import_lm_eval(root / "b", root / "t", wanted)


def recorded(found: Import, project: Path) -> Record:
    write_record(found, project, "mine", replace=False)
    return load_record(project)


def verdicts(record: Record, task: str, model: str = "finetuned") -> list[bool | None]:
    rows = record.answered(model, task)
    assert rows is not None
    return list(rows["correct"].to_pylist())


def values(record: Record, key: str) -> tuple[float, float]:
    return record.results.base_model.metrics[key], record.results.finetuned_model.metrics[key]


def everything(project: Path) -> str:
    """All that an import wrote, and what documents say of it."""
    paths = [project / "configs/experiments/mine.yaml", project / "results/mine/evaluation_results.json"]
    record = load_record(project)
    context = Context(record, RepoNames.of(record))
    card = "".join(
        Renderer(context, "hub").render(f"parts/{name}.md") for name in ("provenance", "protocol", "base_model")
    )
    return "\n".join([*(path.read_text() for path in paths), card, str(context.names), str(context.experiment)])


# --- The tool's verdict is kept ---


@pytest.mark.parametrize(
    "metric", ["prompt_level_strict_acc", "pass@1", "em", "exact_match", "acc", "math_verify", "my_task_acc"]
)
def test_the_declared_verdict_decides_row_by_row(tmp_path: Path, minimal: Path, metric: str) -> None:
    """Targets that mean nothing, and answers that no comparison would accept."""

    def make(side: str) -> dict[str, Task]:
        return {
            "t1": Task(
                [text(i, r, metric, "0", f"words {side} {i}") for i, r in enumerate(RIGHT[side])], "generate_until"
            )
        }

    record = recorded(imported(write_both(tmp_path, make)), minimal)
    assert verdicts(record, "t1") == TUNED_RIGHT
    assert verdicts(record, "t1", "base") == BASE_RIGHT
    [key] = record.results.base_model.metrics
    assert values(record, key) == pytest.approx((4 / 12, 8 / 12))
    assert record.metrics.metrics[key].measure == "exact_match"


def test_an_answer_equal_to_the_target_stays_wrong_if_the_tool_says_so(tmp_path: Path, minimal: Path) -> None:
    def make(side: str) -> dict[str, Task]:
        return {"drop": Task([text(i, False, "em") for i in range(12)], "generate_until", stated={"f1,none": 0.5})}

    root = write_both(tmp_path, make)
    for path in root.rglob("samples_*"):
        rows = [
            json.loads(line) | {"filtered_resps": [str(i + 1)], "em": 0.0, "f1": 0.5}
            for i, line in enumerate(path.open())
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    record = recorded(imported(root), minimal)
    assert verdicts(record, "drop") == [False] * 12
    assert values(record, "drop_f1") == (0.5, 0.5)


@pytest.mark.parametrize("metric", ["acc", "likelihood_diff", "bleu", "score"])
def test_a_share_or_another_value_is_no_verdict(tmp_path: Path, minimal: Path, metric: str) -> None:
    def make(side: str) -> dict[str, Task]:
        return {"mc2": Task([choice(i, r) | {metric: 0.25 + 0.5 * r + i / 1000} for i, r in enumerate(RIGHT[side])])}

    root = write_both(tmp_path, make)
    if metric != "acc":
        for path in root.rglob("samples_*"):
            rows = [{k: v for k, v in json.loads(line).items() if k != "acc"} for line in path.open()]
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    record = recorded(imported(root), minimal)
    assert verdicts(record, "mc2") == [None] * 12
    rows = record.answered("base", "mc2")
    assert rows is not None
    assert rows["reference"].null_count == 12  # several answers may be true
    analysed = next(m for m in analyse(record).metrics if m.key == f"mc2_{metric}")
    assert analysed.run.test == "paired permutation"
    assert analysed.finetuned.value == pytest.approx(
        sum(0.25 + 0.5 * r + i / 1000 for i, r in enumerate(TUNED_RIGHT)) / 12
    )


def test_what_is_worse_if_higher_is_no_verdict(tmp_path: Path) -> None:
    def make(side: str) -> dict[str, Task]:
        return {"t": Task([text(i, r, "error_acc") for i, r in enumerate(RIGHT[side])], "generate_until")}

    found = imported(write_both(tmp_path, make, higher_is_better={"t": {"error_acc": False}}))
    assert [answer.correct for answer in found.tasks[0].base] == [None] * 12


def test_the_normalized_verdict_is_of_the_answer_that_it_chooses(tmp_path: Path, minimal: Path) -> None:
    """Of a short likely candidate and a long one, likelihood takes the first, likelihood per character the second."""
    pair = {"gen_args_0": {"arg_0": "Q", "arg_1": " ab"}, "gen_args_1": {"arg_0": "Q", "arg_1": " abcdefghij"}}
    sample = {
        "doc": {"q": 1},
        "target": "1",
        "arguments": pair,
        "filtered_resps": [["-2.0", "False"], ["-3.0", "False"]],
        "acc_norm": 1.0,
    }
    record = recorded(imported(write_both(tmp_path, lambda _: {"bbh": Task([sample])})), minimal)
    rows = record.answered("base", "bbh")
    assert rows is not None
    assert rows["answer"].to_pylist() == rows["reference"].to_pylist() == ["abcdefghij"]
    assert verdicts(record, "bbh") == [True]


def test_lists_of_values_are_named_and_imported_as_stated(tmp_path: Path, minimal: Path) -> None:
    name = "inst_level_strict_acc"

    def make(side: str) -> dict[str, Task]:
        return {
        "ifeval": Task(
            [text(i, r, "prompt_level_strict_acc") | {name: [r, True]} for i, r in enumerate(RIGHT[side])],
            "generate_until", stated={f"{name},none": 0.75, f"{name}_stderr,none": 0.1},
        )
    }  # fmt: skip

    found = imported(
        write_both(tmp_path, make, higher_is_better={"ifeval": {"prompt_level_strict_acc": True, name: True}})
    )
    assert any(f"no number for each question: {name}" in line for line in found.said)
    record = recorded(found, minimal)
    assert values(record, f"ifeval_{name}") == (0.75, 0.75)
    stated = next(m for m in analyse(record).metrics if m.key == f"ifeval_{name}")
    assert stated.base.interval is not None  # from the standard error
    assert stated.base.interval.low == pytest.approx(0.75 - 1.96 * 0.1, abs=1e-3)
    assert (stated.config.unit, stated.run.test) == ("proportion", None)


def test_several_tries_are_said_in_one_line_and_leave_the_metrics(tmp_path: Path, minimal: Path) -> None:
    def make(side: str) -> dict[str, Task]:
        samples = [text(i, r, "pass@1") | {"filtered_resps": [["x"] * 10]} for i, r in enumerate(RIGHT[side])]
        return {"humaneval": Task(samples, "generate_until")}

    found = imported(write_both(tmp_path, make))
    assert [line for line in found.said if "10 answers to each question" in line] == found.said
    assert values(recorded(found, minimal), "humaneval_pass_1") == pytest.approx((4 / 12, 8 / 12))


# --- Layouts and versions ---


@pytest.mark.parametrize("stem", ["x", "base model", "final.v2", "ergebnis-ü"])
@pytest.mark.parametrize("as_file", [False, True])
def test_results_have_any_name_with_samples_next_to_them(tmp_path: Path, stem: str, as_file: bool) -> None:
    name = f"{stem}_{DATE}.json"
    write_both(tmp_path, lambda side: {"colors": colors(side)}, name=name)
    (tmp_path / "b/adapter_config.json").write_text("{}")  # other JSON does not matter
    given = [tmp_path / side / name if as_file else tmp_path / side for side in ("b", "t")]
    found = import_lm_eval(given[0], given[1])
    assert [len(task.base) for task in found.tasks] == [12]
    assert found.said == []


def test_numbers_that_are_none_are_left_out_and_named(tmp_path: Path, minimal: Path) -> None:
    root = write_both(tmp_path, lambda side: {"colors": colors(side)})
    for path in root.rglob("results_*"):
        data = json.loads(path.read_text())
        odd = {"ppl,none": float("nan"), "bits,none": float("inf"), "huge,none": 10**400}
        data["results"]["colors"] |= odd
        data["higher_is_better"]["colors"] |= {key.split(",")[0]: False for key in odd}
        data["n-samples"] = {"colors": {"original": 10**400, "effective": 12}}
        data["config"]["limit"] = 10**400
        path.write_text(json.dumps(data))
    found = imported(root)
    assert [line.split(": ")[2] for line in found.said] == [f"{m} (not a number)" for m in ("ppl", "bits", "huge")]
    assert list(recorded(found, minimal).results.finetuned_model.metrics) == ["colors_acc"]


def test_runs_that_were_made_in_different_ways_say_so(tmp_path: Path, minimal: Path) -> None:
    args = {"b": f"{ARGS['b']},load_in_4bit=True,device=cuda:0", "t": f"{TUNED},dtype=bfloat16,batch_size=4"}
    found = imported(write_both(tmp_path, lambda side: {"colors": colors(side)}, args))
    said = "the runs differ in their settings: dtype not stated (base run) and bfloat16 (tuned run); load_in_4bit True (base run) and not stated"
    assert found.said == [f"{said} (tuned run)"]
    recorded(found, minimal)
    assert said in everything(minimal)


def test_two_files_of_one_folder_are_two_models(tmp_path: Path) -> None:
    args = {side: f"pretrained=/m/base,gguf_file={side}.Q4.gguf" for side in "bt"}
    assert len(imported(write_both(tmp_path, lambda side: {"colors": colors(side)}, args)).tasks[0].base) == 12


def test_a_note_says_nothing_of_an_adapter_that_there_may_not_be(tmp_path: Path, minimal: Path) -> None:
    args = {"b": "pretrained=Qwen/Qwen2.5-7B", "t": "pretrained=/out/merged"}
    record = recorded(imported(write_both(tmp_path, lambda side: {"colors": colors(side)}, args)), minimal)
    assert record.experiment.note == "The results were made with lm-evaluation-harness 0.4.9."


def test_a_task_keeps_its_name_in_any_script(tmp_path: Path, minimal: Path) -> None:
    def make(side: str) -> dict[str, Task]:
        return {name: Task([text(i, r, "точность") for i, r in enumerate(RIGHT[side])]) for name in ("цвета", "测试")}

    record = recorded(imported(write_both(tmp_path, make)), minimal)
    assert set(record.results.tasks) == {"цвета", "测试"}
    assert {"цвета, точность", "测试, точность"} <= {metric.label for metric in record.metrics.metrics.values()}


def test_two_models_in_one_folder_are_read_by_their_files(tmp_path: Path) -> None:
    later = "2026-12-31T23-59-59"
    write_run(tmp_path, {"colors": colors("b")}, ARGS["b"], name=f"b_{DATE}.json")
    write_run(tmp_path, {"colors": colors("t")}, ARGS["t"], name=f"t_{later}.json", date=later)
    found = import_lm_eval(tmp_path / f"b_{DATE}.json", tmp_path / f"t_{later}.json")
    assert [sum(bool(a.correct) for a in answers) for answers in (found.tasks[0].base, found.tasks[0].tuned)] == [4, 8]
    with pytest.raises(InputError, match=r"results of 2 models: .*gpt2.*gpt2 with me/ad"):
        import_lm_eval(tmp_path, tmp_path)


def test_a_renamed_file_takes_the_only_samples_there_are(tmp_path: Path) -> None:
    write_both(tmp_path, lambda side: {"colors": colors(side)}, name="mine.json")
    assert len(imported(tmp_path).tasks[0].base) == 12
    (tmp_path / "b/samples_colors_2024-01-01T00-00-00.jsonl").write_text("")
    assert imported(tmp_path).tasks[0].base == []  # of two dates none is known to be right


@pytest.mark.parametrize(("wanted", "first"), [("strict", "[invalid]"), ("loose", "0")])
def test_old_samples_without_filter_follow_one_another(tmp_path: Path, minimal: Path, wanted: str, first: str) -> None:
    def make(side: str) -> dict[str, Task]:
        strict = [text(i, r, answer=None if r else "[invalid]") | {"doc_id": i} for i, r in enumerate(RIGHT[side])]
        loose = [text(i, i % 2 == 0) | {"doc_id": i} for i in range(12)]
        right = sum(RIGHT[side]) / 12
        return {
            "gsm": Task(strict + loose, "generate_until", (), {"exact_match,strict": right, "exact_match,loose": 0.5})
        }

    root = write_both(tmp_path, make, named_filters=False, lm_eval_version="0.4.5")
    record = recorded(imported(root, wanted), minimal)
    expected = TUNED_RIGHT if wanted == "strict" else [i % 2 == 0 for i in range(12)]
    assert verdicts(record, "gsm") == expected
    rows = record.answered("base", "gsm")
    assert rows is not None
    assert rows["answer"].to_pylist()[1] == first
    with pytest.raises(InputError, match=r"several filters: loose, strict.*--filter"):
        imported(root)


OLD: dict[str, tuple[dict[str, Any], str]] = {
    "0.3": ({"results": {"c": {"acc": 0.3}}, "versions": {"c": 0}, "config": {"model": "hf-causal"}}, "lm_eval 0.3"),
    "0.4.2": (
        {"results": {"c": {"acc,none": 0.3}}, "configs": {"c": {}}, "versions": {"c": 1}, "config": {}},
        "lm_eval 0.4.0 to 0.4.2",
    ),
    "0.4.1 as stated": (
        {"results": {"c": {"acc,none": 0.3}}, "configs": {}, "lm_eval_version": "0.4.1"},
        "lm_eval 0.4.1",
    ),
    "lighteval": ({"config_general": {}, "results": {"all": {"acc": 0.3}}}, "lighteval"),
}


@pytest.mark.parametrize("version", OLD)
def test_older_shapes_are_refused_with_their_version(tmp_path: Path, version: str) -> None:
    data, says = OLD[version]
    for side in ("b", "t"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "results.json").write_text(json.dumps(data))
        (tmp_path / side / "pretrained__gpt2_c.jsonl").write_text("[]")
    with pytest.raises(InputError) as refused:
        imported(tmp_path)
    assert f"results of {says}" in str(refused.value)
    assert "no samples" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_several_calls_are_one_record_and_contradictions_are_refused_by_name(tmp_path: Path, minimal: Path) -> None:
    later = DATE.replace("T10", "T11")
    for side in ("b", "t"):
        write_run(tmp_path / side, {"arc": colors(side)}, ARGS[side])
        write_run(tmp_path / side / "deeper", {"hella": colors(side)}, ARGS[side], name=f"r_{later}.json", date=later)
    write_run(tmp_path / "b", {"arc": colors("b")}, name=f"results_{later}.json", date=later)  # the same once more
    record = recorded(imported(tmp_path), minimal)
    assert sorted(record.loaded.tasks) == ["arc", "hella"]
    assert verdicts(record, "hella") == TUNED_RIGHT
    write_run(tmp_path / "b", {"arc": colors("t")}, name=f"results_{later}.json", date=later)
    with pytest.raises(InputError, match=r"results\.arc: found different results in"):
        imported(tmp_path)


def test_bom_blank_lines_unicode_and_long_lines_are_read(tmp_path: Path, minimal: Path) -> None:
    samples = [choice(i, right) for i, right in enumerate(TUNED_RIGHT)]
    samples[3]["doc"]["note"] = "\u2028 nächste Zeile \U0001f600" + "x" * 10_000_000
    write_both(tmp_path, lambda side: {"colors": Task(samples) if side == "t" else colors(side)})
    base_doc = tmp_path / "b" / f"samples_colors_{DATE}.jsonl"
    base_doc.write_text((tmp_path / "t" / base_doc.name).read_text())
    write_run(tmp_path / "b2", {"colors": Task(samples)})
    for path in (tmp_path / "b2").iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n"))
    record = recorded(import_lm_eval(tmp_path / "b2", tmp_path / "t"), minimal)
    assert verdicts(record, "colors", "base") == TUNED_RIGHT


@pytest.mark.parametrize("part", ["configs", "versions", "n-shot", "group_subtasks", "config", "lm_eval_version"])
def test_a_part_that_is_missing_or_of_another_shape_is_no_crash(tmp_path: Path, part: str) -> None:
    for change in (lambda d: d.pop(part), lambda d: d.update({part: [1]}), lambda d: d.update({part: None})):
        write_both(tmp_path, lambda side: {"colors": colors(side)})
        for path in tmp_path.rglob("results_*"):
            data = json.loads(path.read_text())
            change(data)
            path.write_text(json.dumps(data))
        try:
            assert imported(tmp_path).tasks[0].name == "colors"
        except InputError as error:
            assert part == "config"  # then both are the same model
            assert "the same model" in str(error)


def test_an_import_that_fails_leaves_the_former_record_whole(
    tmp_path: Path, minimal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_both(tmp_path, lambda side: {"colors": colors(side)})
    recorded(imported(tmp_path), minimal)
    before = {path: path.read_bytes() for path in minimal.rglob("*") if path.is_file() and ".cache" not in path.parts}

    def full(path: Path, table: Any) -> Any:
        raise InputError(path, found="no space", expected="some", hint="Free some.")

    monkeypatch.setattr("src.exchange.imported.write_answers", full)
    with pytest.raises(InputError, match="no space"):
        write_record(imported(tmp_path), minimal, "mine", replace=True)
    assert {
        path: path.read_bytes() for path in minimal.rglob("*") if path.is_file() and ".cache" not in path.parts
    } == before


# --- Groups ---


def grouped(root: Path, tasks: int, *, weighted: bool = True) -> Path:
    """Write a group within a group, of tasks of different length."""
    names = [f"mmlu_s{i}" for i in range(tasks)]
    for side in ("b", "t"):
        made = {name: Task(colors(side).samples[: 6 + i % 7]) for i, name in enumerate(names)}
        rows = [sample["acc"] for task in made.values() for sample in task.samples]
        means = [sum(s["acc"] for s in task.samples) / len(task.samples) for task in made.values()]
        mean = sum(rows) / len(rows) if weighted else sum(means) / len(means)
        groups = {name: {"acc,none": mean, "acc_stderr,none": 0.01} for name in ("mmlu", "mmlu_stem")}
        write_run(root / side, made, ARGS[side])
        path = root / side / f"results_{DATE}.json"
        data = json.loads(path.read_text())
        data["results"] |= groups
        data["group_subtasks"] |= {"mmlu": ["mmlu_stem"], "mmlu_stem": names}
        path.write_text(json.dumps(data))
    return root


def test_a_groups_average_is_tested_over_all_questions(tmp_path: Path, minimal: Path) -> None:
    record = recorded(imported(grouped(tmp_path, 57)), minimal)
    stated = json.loads((tmp_path / "t" / f"results_{DATE}.json").read_text())["results"]["mmlu"]["acc,none"]
    assert values(record, "mmlu_acc")[1] == pytest.approx(stated, abs=1e-9)
    analysis = analyse(record)
    result = analysis.metric("mmlu_acc")
    assert (result.questions, result.run.test) == (sum(6 + i % 7 for i in range(57)), "exact McNemar")
    assert [m.key for m in analysis.primary] == ["mmlu_acc", "mmlu_stem_acc"]
    assert [m.key for m in analysis.main] == ["mmlu_acc", "mmlu_stem_acc"]


def test_a_groups_average_that_is_no_share_of_questions_is_kept_as_stated(tmp_path: Path, minimal: Path) -> None:
    record = recorded(imported(grouped(tmp_path, 5, weighted=False)), minimal)
    stated = json.loads((tmp_path / "t" / f"results_{DATE}.json").read_text())["results"]["mmlu"]["acc,none"]
    assert values(record, "mmlu_acc")[1] == stated
    result = analyse(record).metric("mmlu_acc")
    assert result.run.test is None
    assert result.finetuned.interval is not None


def test_many_tasks_get_a_table_and_few_sentences(tmp_path: Path, minimal: Path) -> None:
    write_both(tmp_path, lambda side: {f"task_{i}": colors(side) for i in range(30)})
    record = recorded(imported(tmp_path), minimal)
    (minimal / "docs/fragments/finding.md.j2").unlink(missing_ok=True)
    context = Context(record, RepoNames.of(record))
    finding = Renderer(context, "hub").render("parts/finding.md")
    assert "Of 30 metrics" in finding
    assert len(finding.split()) < 40
    assert Renderer(context, "hub").render("parts/protocol.md").count("| ") < 20


# --- Prompts, sides and names ---


def test_a_chat_template_on_one_side_is_joined_and_said(tmp_path: Path, minimal: Path) -> None:
    def make(side: str) -> dict[str, Task]:
        task = colors(side)
        for sample in task.samples if side == "t" else ():
            for argument in sample["arguments"].values():
                argument["arg_0"] = f"<|user|>\n{argument['arg_0']}<|assistant|>\n"
        return {"colors": task}

    write_both(tmp_path, make)
    with pytest.raises(InputError, match="prompt or candidates of question 0 differ"):
        imported(tmp_path)  # nothing explains it
    write_run(tmp_path / "t", make("t"), TUNED, chat_template="{{x}}", chat_template_sha="ab")
    found = imported(tmp_path)
    assert any("Only the fine-tuned model's prompts use a chat template." in s for s in found.said)
    record = recorded(found, minimal)
    base, tuned = record.answered("base", "colors"), record.answered("finetuned", "colors")
    assert base is not None
    assert tuned is not None
    assert base.prompts()[0] == "Q0 is"
    assert tuned.prompts()[0] == "<|user|>\nQ0 is<|assistant|>\n"
    assert verdicts(record, "colors") == TUNED_RIGHT
    said = Renderer(Context(record, RepoNames.of(record)), "hub").render("parts/protocol.md")
    assert "in the same prompts" not in said
    assert "use a chat template" in said
    assert "- Base model: Q1 is" in said
    assert "- Fine-tuned model: &#60;&#124;user&#124;&#62; Q1 is" in said


def test_questions_in_another_order_are_joined_by_question_and_target(tmp_path: Path) -> None:
    def make(side: str) -> dict[str, Task]:
        task = colors(side)
        return {"colors": Task(task.samples[::-1]) if side == "t" else task}

    task = imported(write_both(tmp_path, make)).tasks[0]
    assert [answer.columns.get("question") for answer in task.base] == [f"Q{i} is" for i in range(12)]
    assert [answer.correct for answer in task.tuned] == TUNED_RIGHT
    assert task.unpaired == 0


@pytest.mark.parametrize("adapter", ["peft=me/ad", "lora_local_path=/x/y", "delta=me/delta"])
def test_an_adapter_on_the_base_side_only_is_noticed(tmp_path: Path, adapter: str) -> None:
    args = {"b": f"{ARGS['b']},{adapter}", "t": ARGS["b"]}
    write_both(tmp_path, lambda side: {"colors": colors(side)}, args)
    with pytest.raises(InputError, match="in the base run only, as if the two were exchanged"):
        imported(tmp_path)


def test_the_same_model_with_other_settings_is_the_same_model(tmp_path: Path) -> None:
    args = {"b": ARGS["b"], "t": f"{ARGS['b']},dtype=float16"}
    write_both(tmp_path, lambda side: {"colors": colors(side)}, args)
    with pytest.raises(InputError, match="the same model in both runs"):
        imported(tmp_path)


SIDES: dict[str, tuple[Any, Any, str, str]] = {
    "vllm": ("pretrained=a/b", "pretrained=a/b,enable_lora=True,lora_local_path=out/my-adapter", "a/b", "my-adapter"),
    "delta": ("pretrained=a/b", "pretrained=a/b,delta=me/my-delta", "a/b", "me/my-delta"),
    "served": ({"model": "a/b", "base_url": "http://h"}, {"model": "mine", "base_url": "http://h"}, "a/b", "mine"),
    "full": ("pretrained=gpt2", "pretrained=/scratch/me/merged", "gpt2", "merged"),
    "windows": (
        r"pretrained=C:\Users\Some One\Llama",
        r"pretrained=C:\Users\Some One\Llama,peft=C:\out\ck",
        "Llama",
        "ck",
    ),
    "comma": ("pretrained=a/b,gen_kwargs=x,y", "pretrained=a/b,gen_kwargs=x,y,peft=c/d", "a/b", "c/d"),
}


@pytest.mark.parametrize("name", SIDES)
def test_each_side_is_named_as_what_it_is(tmp_path: Path, minimal: Path, name: str) -> None:
    base, tuned, base_name, tuned_name = SIDES[name]
    found = imported(write_both(tmp_path, lambda side: {"colors": colors(side)}, {"b": base, "t": tuned}))
    record = recorded(found, minimal)
    assert (record.results.base_model.name, record.results.finetuned_model.name) == (base_name, tuned_name)
    assert record.experiment.base_model == base_name
    assert "Some One" not in everything(minimal)
    assert "scratch" not in (minimal / "results/mine/evaluation_results.json").read_text()


COMMIT = "01c7f73d771dfac7d292323805ebc428287df4f9"
NAMES: dict[str, tuple[str, str | None, bool]] = {
    "openai-community/gpt2": ("openai-community/gpt2", None, False),
    "gpt2": ("gpt2", None, False),
    f"/s/.cache/huggingface/hub/models--meta-llama--Llama-2-7b-hf/snapshots/{COMMIT}": (
        "meta-llama/Llama-2-7b-hf",
        COMMIT,
        False,
    ),
    rf"D:\hub\models--a-b--c.d_e\snapshots\{COMMIT}" + "\\": ("a-b/c.d_e", COMMIT, False),
    f"~/.cache/huggingface/hub/models--gpt2/snapshots/{COMMIT}": ("gpt2", COMMIT, False),
    "models--a--b": ("a/b", None, False),
    "/root/.cache/modelscope/hub/models/Qwen/Qwen2___5-7B-Instruct": ("Qwen/Qwen2.5-7B-Instruct", None, False),
    "/mnt/cache/modelscope/hub/qwen/Qwen2-7B": ("qwen/Qwen2-7B", None, False),
    "/data/ms/LLM-Research/Meta-Llama-3___1-8B": ("LLM-Research/Meta-Llama-3.1-8B", None, False),
    "https://huggingface.co/a/b/tree/v1.0": ("a/b", "v1.0", False),
    "http://user:secret@10.0.0.1:8000/v1/models/m?key=s": ("m", None, True),
    "http://10.0.0.1:8000": ("unnamed", None, True),
    r"C:\Users\Some One\models\Llama-3-8B": ("Llama-3-8B", None, True),
    "~/mine/x/": ("x", None, True),
    "./x": ("x", None, True),
    "../../x/y": ("y", None, True),
    "outputs/checkpoint-500": ("checkpoint-500", None, True),
    "/": ("unnamed", None, True),
    "": ("unnamed", None, True),
}


@pytest.mark.parametrize("given", NAMES)
def test_a_model_is_named_by_id_or_last_folder(given: str) -> None:
    name = parse_model_name(given)
    assert (name.id, name.revision, name.local) == NAMES[given]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("gpt2", "openai-community/gpt2", True),
        ("gpt2", "someone/gpt2", False),
        ("bert-base-uncased", "google-bert/bert-base-uncased", True),
        ("meta-llama/Llama-2-7b-hf", "NousResearch/Llama-2-7b-hf", False),
        ("/x/Llama-2-7b-hf", "meta-llama/Llama-2-7b-hf", True),
        ("Meta-Llama/llama-2-7b-hf", "meta-llama/Llama-2-7b-hf", True),
        ("a/b", "a/c", False),
    ],
)
def test_organization_and_name_are_compared(one: str, other: str, same: bool) -> None:
    assert parse_model_name(one).same_model(parse_model_name(other)) is same
    assert parse_model_name(other).same_model(parse_model_name(one)) is same


def test_an_adapter_of_another_organizations_base_is_refused_without_a_path(minimal: Path) -> None:
    experiment = minimal / "configs/experiments/tiny.yaml"
    folder = minimal / "checkpoints/own"
    folder.mkdir(parents=True)
    config = {
        "base_model_name_or_path": f"/home/me/models--meta-llama--L/snapshots/{COMMIT}",
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": 16,
        "lora_alpha": 32,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    assert adapter_config(folder)["r"] == 16
    own = experiment.read_text() + "checkpoint: checkpoints/own\n"
    experiment.write_text(own + "base_model: meta-llama/L\n")
    load_record(minimal)
    experiment.write_text(own + "base_model: copies/L\n")
    with pytest.raises(InputError) as refused:
        load_record(minimal)
    assert "found copies/L, expected meta-llama/L" in str(refused.value)
    assert "published_for" in str(refused.value)
    assert "/home" not in str(refused.value)
    experiment.write_text(own + "base_model: meta-llama/L\npublished_for: copies/L\n")
    record = load_record(minimal)
    context = Context(record, RepoNames.of(record))
    assert context.names.base == "copies/L"
    card = Renderer(context, "hub").render("documents/model_card.md")
    assert "**Fine-tuned from:** `meta-llama/L`, and published for `copies/L`" in card
    assert 'AutoModelForCausalLM.from_pretrained("copies/L")' in card


def test_a_cached_base_is_named_and_pinned_in_the_snippet(tmp_path: Path, minimal: Path) -> None:
    path = f"/scratch/someone/hub/models--meta-llama--Llama-2-7b-hf/snapshots/{COMMIT}"
    args = {"b": f"pretrained={path}", "t": f"pretrained={path},peft=/scratch/someone/out/checkpoint-500"}
    folders = tmp_path / "__scratch__someone__hub"  # as lm_eval names a folder after the model
    record = recorded(imported(write_both(folders, lambda side: {"colors": colors(side)}, args)), minimal)
    assert (record.experiment.base_model, record.experiment.base_revision) == ("meta-llama/Llama-2-7b-hf", COMMIT)
    record.checkpoint.mkdir(parents=True)
    (record.checkpoint / "adapter_config.json").write_text('{"peft_type": "LORA", "task_type": "CAUSAL_LM"}')
    context = Context(record, RepoNames.of(record))
    snippet = Renderer(context, "hub").render("parts/snippet.md")
    assert f'from_pretrained("meta-llama/Llama-2-7b-hf", revision="{COMMIT}")' in snippet
    assert record.results.finetuned_model.name == "checkpoint-500"
    assert "someone" not in everything(minimal) + snippet


@pytest.mark.parametrize(
    "path", [f"/home/me/hub/models--a--b/snapshots/{COMMIT}", r"C:\\Users\\me\\a_b", "~/me/models/b"]
)
def test_a_config_that_names_its_base_by_a_path_shows_the_name_alone(minimal: Path, path: str) -> None:
    experiment = minimal / "configs/experiments/tiny.yaml"
    experiment.write_text(f'{experiment.read_text()}base_model: "{path}"\n')
    record = load_record(minimal)
    context = Context(record, RepoNames.of(record))
    report = report_data(context, (), "")
    shown = f"{context.names} {context.experiment} {report.configuration} {Renderer(context, 'hub').render('parts/base_model.md')}"
    assert not [part for part in ("/home", "Users", "~", "snapshots") if part in shown]


def test_a_base_that_is_a_folder_elsewhere_has_no_hub_id(tmp_path: Path, minimal: Path) -> None:
    args = {"b": r"pretrained=C:\m\Llama", "t": r"pretrained=C:\m\Llama,peft=C:\m\a"}
    record = recorded(imported(write_both(tmp_path, lambda side: {"colors": colors(side)}, args)), minimal)
    context = Context(record, RepoNames.of(record))
    assert context.names.base is None
    assert "Set `base_model` to its Hub id" in Renderer(context, "hub").render("parts/snippet.md")
    assert ModelName("Llama") == record.base_name


# --- Settings ---


SECRETS = {
    "api_key": "k9Zq-team-4417-secret", "auth_token": "hunter2hunter2", "base_url": "http://gpu17.internal.example:8000/v1", "header": "X: y9",
    "token": "hf_aaaaaaaaaaaa", "hf_hub_log_args": "hub_results_org=secretorg", "device": "http://gpu17.internal.example", "cache_dir": "/scratch/me",
}  # fmt: skip


@pytest.mark.parametrize("as_text", [True, False])
def test_no_secret_host_or_path_reaches_the_record(tmp_path: Path, minimal: Path, as_text: bool) -> None:
    args = {side: {"model": name, **SECRETS, "dtype": "float16"} for side, name in (("b", "base"), ("t", "tuned"))}
    given = {s: ",".join(f"{k}={v}" for k, v in of.items()) for s, of in args.items()} if as_text else args
    write_both(
        tmp_path, lambda side: {"colors": colors(side)}, given, **{k: v for k, v in SECRETS.items() if k != "device"}
    )
    record = recorded(imported(tmp_path), minimal)
    written = everything(minimal)
    assert not [value for value in SECRETS.values() if value in written]
    assert "internal.example" not in written
    assert record.results.source is not None
    assert record.results.source.settings["finetuned"]["model_args"] == {"model": "tuned", "dtype": "float16"}
    assert not [
        entry for entry in entries(Context(record, RepoNames.of(record)), "model", None) if "internal" in str(entry)
    ]


def test_settings_are_a_list_of_keys_that_may_be_published() -> None:
    given = {
        "dtype": "auto",
        "batch_size": 8,
        "unheard_of": "x",
        "api_base": "h",
        "limit": float("nan"),
        "seed": "0,1",
        "revision": "a b\n",
    }
    assert settings(given) == {"dtype": "auto", "batch_size": 8}


# --- Every Eval Ever ---


def aggregate(path: Path, model: str, results: list[dict[str, Any]], **info: Any) -> Path:
    """Write an aggregate file without answers."""
    entries = [
        {
            "evaluation_name": r["name"],
            "metric_config": {"lower_is_better": r.get("lower", False), "min_score": r.get("min"), "max_score": r.get("max"), **r.get("config", {})},
            "score_details": {"score": r["score"], "uncertainty": r.get("uncertainty", {})},
        }
        for r in results
    ]  # fmt: skip
    data = {
        "model_info": {"id": model, **info},
        "eval_library": {"name": "inspect_ai", "version": "0.3"},
        "evaluation_results": entries,
    }
    path.write_text(json.dumps(data))
    return path


def shared(tmp_path: Path, base: list[dict[str, Any]], tuned: list[dict[str, Any]]) -> Import:
    return import_every_eval_ever(
        aggregate(tmp_path / "b.json", "a/L", base), aggregate(tmp_path / "t.json", "me/L-ft", tuned)
    )


def test_ranges_and_uncertainty_are_read(tmp_path: Path, minimal: Path) -> None:
    error = {"standard_error": {"value": 1.0}}
    interval = {"confidence_interval": {"lower": 0.25, "upper": 0.35, "confidence_level": 0.95}}
    rows = [
        {"name": "IFEval", "min": 0, "max": 100, "score": 44.86, "uncertainty": error},
        {
            "name": "BBH",
            "min": 0,
            "max": 1,
            "score": 0.42,
            "config": {"metric_id": "accuracy"},
            "uncertainty": interval,
        },
        {"name": "WER", "min": 0, "max": 1, "score": 0.3, "lower": True, "config": {"metric_id": "wer"}},
        {"name": "MT", "min": 1, "max": 10, "score": 7.5},
        {"name": "Elo", "min": None, "max": "Infinity", "score": 1250},
        {"name": "pass", "score": 12.5, "config": {"metric_unit": "percent"}},
        {"name": "far", "score": 0.25, "config": {"metric_unit": "distance"}},
        {"name": "BLEU", "min": 0, "max": 100, "score": 34.0, "config": {"metric_unit": "points"}},
    ]
    record = recorded(shared(tmp_path, rows, [row | {"score": row["score"] * 1.1} for row in rows]), minimal)
    found = {
        key: (m.unit, record.results.base_model.metrics[key])
        for key, m in record.metrics.metrics.items()
        if key in record.results.base_model.metrics
    }
    assert found["ifeval_score"] == ("proportion", pytest.approx(0.4486))
    assert found["bbh_accuracy"] == ("proportion", 0.42)
    assert found["wer_wer"] == ("proportion", 0.3)
    assert found["mt_score"] == ("number", 7.5)
    assert found["elo_score"] == ("number", 1250)
    assert found["bleu_score"] == ("number", 34.0)
    assert found["pass_score"] == ("proportion", 0.125)
    assert found["far_score"] == ("distance", 0.25)
    assert "from 1 to 10" in record.metrics.metrics["mt_score"].definition
    assert record.metrics.metrics["wer_wer"].direction == "lower"
    analysis = analyse(record)
    bounds = analysis.metric("bbh_accuracy").base.interval
    assert bounds is not None
    assert (bounds.low, bounds.high) == (0.25, 0.35)
    bounds = analysis.metric("ifeval_score").base.interval
    assert bounds is not None
    assert bounds.low == pytest.approx(0.4486 - 0.0196, abs=1e-4)
    assert analysis.metric("mt_score").base.interval is None


def test_evaluations_of_one_side_are_listed_for_both_sides(tmp_path: Path) -> None:
    both = {"name": "BBH", "min": 0, "max": 1, "score": 0.4}
    found = shared(
        tmp_path, [both, both | {"name": "only b"}], [both, both | {"name": "only t"}, both | {"name": "t too"}]
    )
    assert [task.name for task in found.tasks] == ["BBH"]
    assert "left out, since only b.json has them: score of only b" in found.said
    assert "left out, since only t.json has them: score of only t; score of t too" in found.said


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"score": 1.4}, "outside of its stated range"),
        ({"score": "n/a"}, "not a finite number"),
        ({"max": 5}, "different ranges"),
    ],
)
def test_a_bad_value_costs_its_metric(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    rows = [{"name": name, "min": 0, "max": 1, "score": 0.4} for name in ("A", "B")]
    found = shared(tmp_path, rows, [rows[0] | change, rows[1]])
    assert [task.name for task in found.tasks] == ["B"]
    assert [line for line in found.said if "A: left out: score" in line and says in line]


def test_one_model_before_and_after_is_told_apart_by_its_adapter(tmp_path: Path, minimal: Path) -> None:
    rows = [{"name": "BBH", "min": 0, "max": 1, "score": 0.4}]
    details = {"adapter": "me/ad", "api_base": "http://10.9.8.7", "host": "gpu17"}
    base = aggregate(tmp_path / "b.json", "a/L", rows)
    tuned = aggregate(tmp_path / "t.json", "a/L", rows, additional_details=details)
    record = recorded(import_every_eval_ever(base, tuned), minimal)
    assert (record.results.base_model.name, record.results.finetuned_model.name) == ("a/L", "me/ad")
    assert not [value for value in ("10.9.8.7", "gpu17") if value in everything(minimal)]
    with pytest.raises(InputError, match="exchanged"):
        import_every_eval_ever(tuned, base)
    with pytest.raises(InputError, match="the same model in both runs"):
        import_every_eval_ever(base, aggregate(tmp_path / "t.json", "a/L", rows))


def answers_of(tmp_path: Path, side: str, change: Callable[[int, dict[str, Any]], None] = lambda i, row: None) -> Path:
    """Write an aggregate file with answers, whose references nobody should compare."""
    rows = []
    for i, right in enumerate(RIGHT[side]):
        row = {
            "evaluation_name": "E", "sample_id": str(i), "interaction_type": "single_turn", "input": {"raw": f"Q{i}", "reference": ["same"]},
            "output": {"raw": ["same"]}, "evaluation": {"score": float(right), "is_correct": right},
        }  # fmt: skip
        change(i, row)
        rows.append(json.dumps(row) + "\n")
    (tmp_path / f"{side}.jsonl").write_text("".join(rows))
    mean = sum(RIGHT[side]) / 12
    path = aggregate(
        tmp_path / f"{side}.json", side, [{"name": name, "min": 0, "max": 1, "score": mean} for name in ("E", "F")]
    )
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"detailed_evaluation_results": {"file_path": f"data/{side}.jsonl"}})
    )
    return path


def test_the_shared_forms_verdict_is_kept_or_unknown(tmp_path: Path, minimal: Path) -> None:
    found = import_every_eval_ever(answers_of(tmp_path, "b"), answers_of(tmp_path, "t"))
    assert verdicts(recorded(found, minimal), "E") == TUNED_RIGHT
    unknown = answers_of(tmp_path, "t", lambda i, row: row["evaluation"].pop("is_correct"))
    task = import_every_eval_ever(tmp_path / "b.json", unknown).tasks[0]
    assert [answer.correct for answer in task.tuned] == [None] * 12
    assert not task.metrics[0].verdict


@pytest.mark.parametrize("key", ["input", "output", "evaluation", "sample_id", "interaction_type"])
def test_a_bad_row_of_the_shared_form_costs_its_evaluations_answers(tmp_path: Path, key: str) -> None:
    tuned = answers_of(tmp_path, "t", lambda i, row: row.pop(key) if i == 7 else None)
    found = import_every_eval_ever(answers_of(tmp_path, "b"), tuned)
    assert [(task.name, len(task.base)) for task in found.tasks] == [("E", 0), ("F", 0)]
    assert any("E: its answers are left out" in line and "line 8 of t.jsonl" in line for line in found.said)


def test_an_imported_record_goes_out_in_the_shared_form_without_inventing(tmp_path: Path, minimal: Path) -> None:
    def make(side: str) -> dict[str, Task]:
        shares = [choice(i, r) | {"acc": 0.25 + r / 2} for i, r in enumerate(RIGHT[side])]
        return {
            "mc2": Task(shares),
            "if": Task(
                [text(i, r, "prompt_level_strict_acc", "0") for i, r in enumerate(RIGHT[side])], "generate_until"
            ),
        }

    root = grouped(tmp_path / "grouped", 3, weighted=False)
    for side in ("b", "t"):
        later = DATE.replace("T10", "T11")
        write_run(root / side, make(side), ARGS[side], name=f"results_{later}.json", date=later)
    record = recorded(imported(root), minimal)
    context = Context(record, RepoNames("me/m", "me/d", "a/b", "me"))
    files = shared_results(record, context.analysis, context.names)
    schemas = REPO / "tests/data/every_eval_ever"
    rows: dict[str, int] = {}
    for name, content in files.items():
        kind = "instance_level_eval" if name.endswith("l") else "eval"
        valid = jsonschema.Draft7Validator(json.loads((schemas / f"{kind}.schema.json").read_text()))
        for line in content.decode().splitlines() if name.endswith("l") else [content.decode()]:
            found = json.loads(line)
            assert not list(valid.iter_errors(found))
            if name.endswith("l"):
                rows[found["evaluation_name"]] = rows.get(found["evaluation_name"], 0) + 1
            else:
                assert "inference_engine" not in found["model_info"]
    assert rows["if"] == 24
    assert "mc2" not in rows  # the form requires a verdict


# --- A real run ---


@pytest.mark.nightly
def test_a_real_run_of_two_tasks_and_a_group(minimal: Path, tmp_path: Path, run: Run) -> None:
    """Two real models, two tasks in a group, called as a user calls them; the numbers are the harness' own."""
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    rows = [
        {"q": f"The letter after {a} is", "choices": [b, "x", "y"], "gold": 0}
        for a, b in zip("abcdef", "bcdefg", strict=True)
    ]
    (tasks / "letters.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("letters_a", "letters_b"):
        config = {
            "task": name, "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(tasks / "letters.jsonl")}},
            "test_split": "test", "output_type": "multiple_choice", "doc_to_text": f"{{{{q}}}}{':' if name.endswith('b') else ''}",
            "doc_to_choice": "choices", "doc_to_target": "gold", "metadata": {"version": 1.0},
            "metric_list": [{"metric": m, "aggregation": "mean", "higher_is_better": True} for m in ("acc", "acc_norm")],
        }  # fmt: skip
        (tasks / f"{name}.yaml").write_text(json.dumps(config))
    group = {
        "group": "letters",
        "task": ["letters_a", "letters_b"],
        "aggregate_metric_list": [{"metric": "acc", "weight_by_size": True}],
    }
    (tasks / "letters.yaml").write_text(json.dumps(group | {"metadata": {"version": 1.0}}))
    for side, more in (("b", ""), ("t", f",peft={REPO / 'tests/tiny/checkpoints/best_model'}")):
        command = [
            sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={REPO / 'tests/tiny/models/tiny'},dtype=float32{more}",
            "--include_path", str(tasks), "--tasks", "letters", "--log_samples", "--output_path", str(tmp_path / side / "x.json"), "--device", "cpu",
        ]  # fmt: skip
        own = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache")}
        done = subprocess.run(
            command, env={**os.environ, **own}, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
    sides = [str(tmp_path / side) for side in ("b", "t")]
    done = run(minimal, "-m", "src.import_results", "lm-eval", *sides, "--name", "mine", "--replace-study")
    assert done.returncode == 0, done.stderr
    record = load_record(minimal)
    assert record.results.groups == {"letters": ["letters_a", "letters_b"]}
    stated = json.loads(next((tmp_path / "t").glob("x_*.json")).read_text())["results"]
    for task in ("letters", "letters_a", "letters_b"):
        assert values(record, f"{task}_acc")[1] == pytest.approx(stated[task]["acc,none"], abs=1e-9)
    assert values(record, "letters_a_acc_norm")[1] == pytest.approx(stated["letters_a"]["acc_norm,none"], abs=1e-9)
    assert analyse(record).metric("letters_acc").questions == 12
    assert str(REPO) not in everything(minimal)
