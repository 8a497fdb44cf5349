"""Results of lm-evaluation-harness become a record with its own numbers, or are refused in one sentence."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.analysis.analyse import analyse
from src.documents.build import build
from src.documents.context import Context, RepoNames
from src.documents.pages import site_pages
from src.documents.renderer import Renderer
from src.exchange.answers import Import
from src.exchange.imported import write_record
from src.exchange.lm_eval import import_lm_eval
from src.hub.eval_results import entries
from src.record.errors import InputError
from src.record.files import sha256_file
from src.record.load import Record, load_record
from src.record.model_name import parse_model_name

from .conftest import REPO, invoke, succeeds
from .records import CAUSAL, checkpoint, edit_json, edit_text

REAL = REPO / "tests/data/lm_eval"
DATE = "2025-03-01T10-00-00.000000"
BASE_RIGHT = [True, False, False, True, False, False, True, False, False, False, True, False]
TUNED_RIGHT = [True, True, False, True, True, False, True, True, False, True, True, False]
RIGHT = {"b": BASE_RIGHT, "t": TUNED_RIGHT}
ARGS = {"b": "pretrained=openai-community/gpt2", "t": "pretrained=openai-community/gpt2,peft=me/ad"}
Sample = dict[str, Any]


def choice(i: int, right: bool) -> Sample:
    """One question with three candidates; the target is an index."""
    best = i % 3 if right else (i + 1) % 3
    pairs = [["-1.0" if place == best else f"-{5 + place}.0", "False"] for place in range(3)]
    colors = enumerate(("red", "green", "blue"))
    arguments = {f"gen_args_{n}": {"arg_0": f"Q{i} is", "arg_1": f" {c}"} for n, c in colors}
    doc = {"question": f"Q{i} is", "label": i % 3}
    return {"doc": doc, "target": str(i % 3), "arguments": arguments, "filtered_resps": pairs, "acc": float(right)}


def text(i: int, right: bool, metric: str = "exact_match", target: str | None = None) -> Sample:
    """One question that is answered freely."""
    arguments = {"gen_args_0": {"arg_0": f"{i}+1?", "arg_1": {"until": ["\n"]}}}
    doc, answers = {"question": f"{i}+1?"}, [str(i + 1 if right else 0)]
    return {
        "doc": doc,
        "target": target or str(i + 1),
        "arguments": arguments,
        "filtered_resps": answers,
        metric: right,
    }


@dataclass
class Task:
    """One task of a run to be written: its samples, and how it is described."""

    samples: list[Sample]
    kind: str = "multiple_choice"
    stated: dict[str, float] = field(default_factory=dict)

    def numbers(self) -> dict[str, float]:
        """The means of the samples' values, as the harness states them."""
        names = [k for k, v in self.samples[0].items() if isinstance(v, int | float)]
        means = {f"{name},none": sum(row[name] for row in self.samples) / len(self.samples) for name in names}
        return means | self.stated


def write_run(folder: Path, tasks: dict[str, Task], model_args: Any = ARGS["b"], date: str = DATE, **more: Any) -> Path:
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
    (folder / f"results_{date}.json").write_text(json.dumps(data))
    for task, about in tasks.items():
        rows = [json.dumps({"doc_id": i, "filter": "none", **sample}) for i, sample in enumerate(about.samples)]
        (folder / f"samples_{task}_{date}.jsonl").write_text("\n".join(rows) + "\n")
    return folder


def colors(side: str, sample: Callable[[int, bool], Sample] = choice, kind: str = "multiple_choice") -> Task:
    """A task of twelve questions, by default with candidates: four right before, eight after."""
    return Task([sample(i, right) for i, right in enumerate(RIGHT[side])], kind)


def write_both(root: Path, make: Callable[[str], dict[str, Task]], args: dict[str, Any] = ARGS, **more: Any) -> Path:
    """Write a run of each model."""
    for side in ("b", "t"):
        write_run(root / side, make(side), args[side], **more)
    return root


def color_runs(root: Path, args: dict[str, Any] = ARGS, **more: Any) -> Path:
    return write_both(root, lambda side: {"colors": colors(side)}, args, **more)


def imported(root: Path, wanted: str | None = None, names: Sequence[str] = ("b", "t")) -> Import:
    return import_lm_eval([root / name for name in names], wanted)


@pytest.fixture
def blank(minimal: Path) -> Path:
    """A project named `mine` without a record, and without words about one."""
    shutil.rmtree(minimal / "docs/fragments")
    shutil.rmtree(minimal / "results/tiny")
    (minimal / "configs/criteria.yaml").unlink()
    (minimal / "configs/metrics.yaml").unlink()
    (minimal / "configs/experiments/tiny.yaml").unlink()
    edit_text(minimal / "configs/project.yaml", ("experiments/tiny.yaml", "experiments/mine.yaml"))
    return minimal


def recorded(found: Import, project: Path, **given: Any) -> Record:
    write_record(found, project, **given)
    return load_record(project)


def verdicts(record: Record, task: str, model: str = "finetuned") -> list[bool | None]:
    rows = record.answered(model, task)
    assert rows is not None
    return list(rows["correct"].to_pylist())


def values(record: Record, key: str) -> tuple[float, float]:
    assert record.results.base_model is not None
    return record.results.base_model.metrics[key], record.results.finetuned_model.metrics[key]


def everything(project: Path) -> str:
    """All that an import wrote, and what documents say of it."""
    paths = [project / "configs/experiments/mine.yaml", project / "results/mine/evaluation_results.json"]
    context = Context(record := load_record(project), RepoNames.of(record))
    parts = [Renderer(context, "hub").render(f"parts/{name}.md") for name in ("provenance", "protocol", "base_model")]
    return "\n".join([*(path.read_text() for path in paths), *parts, str(context.names), str(context.experiment)])


def refused(root: Path, wanted: str | None = None, names: Sequence[str] = ("b", "t")) -> str:
    with pytest.raises(InputError) as error:
        imported(root, wanted, names)
    assert "\n" not in str(error.value)
    return str(error.value)


# --- What the harness really wrote ---


def test_every_number_is_the_harness_own(blank: Path) -> None:
    record = recorded(imported(REAL, "first-word", ("base", "tuned")), blank)
    for model, section in (("base", record.results.base_model), ("tuned", record.results.finetuned_model)):
        stated = json.loads(next((REAL / model).rglob("results_*.json")).read_text())["results"]
        for task, numbers in stated.items():
            for key, value in numbers.items():
                metric, _, chosen = key.partition(",")
                if chosen in ("none", "first-word") and not metric.endswith("_stderr"):
                    assert section.metrics[f"{task}_{metric}"] == pytest.approx(value, abs=1e-9), (task, metric)
    tests = {m.key: m.run.test for m in analyse(record).metrics}
    assert tests["odd_pick_acc"] == tests["odd_pick_acc_norm"] == "exact McNemar"
    assert tests["odd_read_word_perplexity"] is tests["odd_next_perplexity"] is None
    assert record.results.source is not None
    assert record.results.source.settings["base"]["limit"] == 8


def test_scores_and_targets_are_read_as_they_are() -> None:
    tasks = {task.name: task for task in imported(REAL, "first-word", ("base", "tuned")).tasks}
    rows = [json.loads(line) for line in (REAL / "tasks/odd.jsonl").read_text().splitlines()]
    pick, write = tasks["odd_pick"].asked, tasks["odd_write"].asked
    assert [answer.references[0] for answer in pick] == [row["choices"][row["label"]] for row in rows]
    assert all(len(answer.candidates) == 3 for answer in pick)  # acc_mutual_info asks each candidate twice
    assert [write[i].references for i in (0, 1)] == [("mat", "Mat."), ("in", "out")]  # as the task states them


def test_a_filter_is_chosen_where_there_are_several() -> None:
    assert "odd_write: answers by several filters (first-word, whole)" in refused(REAL, None, ("base", "tuned"))


# --- The harness decides what is right ---


@pytest.mark.parametrize("metric", ["my_acc", "pass@1"])
def test_the_declared_verdict_decides_row_by_row(tmp_path: Path, blank: Path, metric: str) -> None:
    """Targets that mean nothing, which no comparison would accept, of a task with a name in any script."""
    task = partial(colors, sample=lambda i, right: text(i, right, metric, "no"), kind="generate_until")
    record = recorded(imported(write_both(tmp_path, lambda side: {"测试": task(side)})), blank)
    assert (verdicts(record, "测试", "base"), verdicts(record, "测试")) == (BASE_RIGHT, TUNED_RIGHT)
    [key] = record.results.base_model.metrics
    assert values(record, key) == pytest.approx((4 / 12, 8 / 12))
    declared = record.metrics.metrics[key]
    assert (declared.measure, declared.unit) == ("exact_match", "proportion") and metric in declared.label


@pytest.mark.parametrize("metric", ["acc", "likelihood_diff", "bleu"])
def test_another_value_than_0_or_1_is_no_verdict(tmp_path: Path, blank: Path, metric: str) -> None:
    def scored(i: int, right: bool) -> Sample:
        plain = {key: value for key, value in choice(i, right).items() if key != "acc"}
        return plain | {metric: 0.25 + 0.5 * right + i / 1000}

    record = recorded(imported(write_both(tmp_path, lambda side: {"mc2": colors(side, scored)})), blank)
    assert verdicts(record, "mc2") == [None] * 12
    analysed = next(m for m in analyse(record).metrics if m.key == f"mc2_{metric}")
    assert analysed.run.test == "paired permutation"
    assert analysed.config.unit == "number"  # whatever its size, nobody stated a range


def test_the_normalized_verdict_is_of_the_answer_that_it_chooses(tmp_path: Path, blank: Path) -> None:
    """Of a short likely candidate and a long one, likelihood takes the first, likelihood per character the second."""
    pair = {"gen_args_0": {"arg_0": "Q", "arg_1": " ab"}, "gen_args_1": {"arg_0": "Q", "arg_1": " abcdefghij"}}
    likely = [["-2.0", "False"], ["-3.0", "False"]]
    sample = {"doc": {"q": 1}, "target": "1", "arguments": pair, "filtered_resps": likely, "acc_norm": 1.0}
    rows = recorded(imported(write_both(tmp_path, lambda _: {"bbh": Task([sample])})), blank).answered("base", "bbh")
    assert rows is not None
    assert rows["answer"].to_pylist() == rows["reference"].to_pylist() == ["abcdefghij"]


# --- A number's size says nothing about its meaning ---


def test_what_has_no_number_for_each_question_is_imported_as_stated(tmp_path: Path, blank: Path) -> None:
    """squadv2 states its `exact` from 0 to 100, so 0.61 of 100 is not 61 %."""
    listed = [text(i, False, "exact") | {"exact": [{"id": str(i)}, {"id": str(i)}]} for i in range(12)]
    state = {"b": {"exact,none": 0.61, "exact_stderr,none": 0.1}, "t": {"exact,none": 0.93}}
    write_both(tmp_path, lambda side: {"squadv2": Task(listed, "generate_until", state[side])},
               higher_is_better={"squadv2": {"exact": True}})  # fmt: skip
    found = imported(tmp_path)
    assert any("not a mean over the questions: exact" in line for line in found.notes)
    record = recorded(found, blank)
    assert values(record, "squadv2_exact") == (0.61, 0.93)
    (metric,) = analyse(record).metrics
    assert (metric.config.unit, metric.run.test) == ("number", None)
    assert metric.base is not None and metric.base.interval is None  # whatever standard error is stated


def test_what_predict_only_writes_is_no_score(tmp_path: Path) -> None:
    rows = [text(i, False) | {"exact_match": None, "bypass": None} for i in range(4)]
    write_both(tmp_path, lambda side: {"gsm": Task(rows, "generate_until", {"bypass,none": 999})},
               higher_is_better={"gsm": {"bypass": True}})  # fmt: skip
    assert "gsm: left out: no metric that every run states as a number" in refused(tmp_path)


def test_a_number_that_is_none_is_left_out_by_name(tmp_path: Path, blank: Path) -> None:
    odd = {"ppl,none": float("nan"), "bits,none": float("inf"), "huge,none": 10**400}
    for path in color_runs(tmp_path).rglob("results_*"):
        edit_json(path, lambda d: (d["results"]["colors"].update(odd), d["higher_is_better"].update(
            colors={"acc": True, "ppl": False, "bits": False, "huge": False})))  # fmt: skip
    found = imported(tmp_path)
    assert [line.split(": ")[2].split()[0] for line in found.notes] == ["ppl", "bits", "huge"]
    assert list(recorded(found, blank).results.finetuned_model.metrics) == ["colors_acc"]


# --- Files ---


def test_several_calls_are_one_record_and_a_task_in_two_files_is_refused(tmp_path: Path, blank: Path) -> None:
    later = DATE.replace("T10", "T11")
    for side in ("b", "t"):
        write_run(tmp_path / side, {"arc": colors(side)}, ARGS[side])
        write_run(tmp_path / side / "deeper", {"hella": colors(side)}, ARGS[side], later)
    record = recorded(imported(tmp_path), blank)
    assert sorted(record.loaded.tasks) == ["arc", "hella"] and verdicts(record, "hella") == TUNED_RIGHT
    write_run(tmp_path / "b", {"arc": colors("t")}, ARGS["b"], later)
    assert "results.arc: also in results_" in refused(tmp_path)


FILES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no results": (lambda r: (r / f"t/results_{DATE}.json").unlink(), ["t: no results of lm_eval in it"]),
    "another tool's": (lambda r: (r / f"t/results_{DATE}.json").write_text('{"results": {}}'), ["lm_eval_version: Field required"]),
    "an older version": (lambda r: write_run(r / "t", {"colors": colors("t")}, ARGS["t"], lm_eval_version="0.4.8"), ["lm_eval 0.4.8"]),
    "the same model": (lambda r: write_run(r / "t", {"colors": colors("t")}), ["openai-community/gpt2 again"]),
    "base and tuned exchanged": (
        lambda r: ((r / "b").rename(r / "x"), (r / "t").rename(r / "b"), (r / "x").rename(r / "t")), ["only the base run has an adapter", "me/ad"],
    ),
    "two models in one folder": (
        lambda r: write_run(r / "t", {"colors": colors("t")}, "pretrained=a/b", DATE.replace("T10", "T11")),
        ["several models", "of openai-community/gpt2 with me/ad", "of a/b"],
    ),
    "no task in common": (lambda r: edit_json(r / f"b/results_{DATE}.json", lambda d: d.update(results={"x": {"acc,none": 1.0}})), ["no task"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_results_that_can_be_read_wrongly_are_refused(tmp_path: Path, name: str) -> None:
    change, parts = FILES[name]
    change(color_runs(tmp_path))
    said = refused(tmp_path)
    assert all(part in said for part in parts), said


ROWS: dict[str, tuple[Callable[[Path], object], str]] = {
    "nested without end": (lambda p: p.write_text('{"filter": ' + "[" * 200_000), "line 1"),
    "half of a character": (lambda p: edit_json(p, lambda d: d["doc"].update(note="\ud800"), 3), "line 4"),
    "cut short": (lambda p: p.write_text(p.read_text()[:-200]), "line 12"),
    "a question twice": (lambda p: p.write_text(p.read_text() * 2), "doc_id 0 is duplicated"),
    "a likelihood that is not a number": (lambda p: edit_json(p, lambda d: d["filtered_resps"][0].__setitem__(0, "nan"), 0), "line 1 of"),
    "a value that is not a number": (lambda p: edit_json(p, lambda d: d.update(acc=float("nan")), 0), "line 1 of"),
    "a verdict of another run": (lambda p: edit_json(p, lambda d: d.update(acc=1 - d["acc"]), 2), "acc is 0.4167 in the samples of run 1, and 0.3333"),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_bad_row_costs_its_tasks_answers_and_nothing_else(tmp_path: Path, name: str) -> None:
    change, part = ROWS[name]
    write_both(tmp_path, lambda side: {"colors": colors(side), "other": colors(side)})
    change(tmp_path / f"b/samples_colors_{DATE}.jsonl")
    found = imported(tmp_path)
    assert {task.name: len(task.asked) for task in found.tasks} == {"colors": 0, "other": 12}
    [line] = [line for line in found.notes if line.startswith("colors: its answers are left out")]
    assert part in line and str(tmp_path) not in line  # it goes on record


# --- Two runs that belong together ---


UNLIKE: dict[str, tuple[Callable[[Path], object], str]] = {
    "version": (lambda r: edit_json(r / f"t/results_{DATE}.json", lambda d: d["versions"].update(colors=2)), "versions differ: 1.0, 2"),
    "solved examples": (lambda r: edit_json(r / f"t/results_{DATE}.json", lambda d: d["n-shot"].update(colors=5)), "solved examples differ"),
    "prompts": (lambda r: edit_json(r / f"t/samples_colors_{DATE}.jsonl", lambda d: d["arguments"]["gen_args_0"].update(arg_0="?")), "prompt or candidates"),
    "questions": (lambda r: edit_json(r / f"t/samples_colors_{DATE}.jsonl", lambda d: d.update(doc_hash=str(d["doc_id"]))), "asked other questions"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNLIKE)
def test_a_task_that_was_evaluated_in_two_ways_is_left_out(tmp_path: Path, name: str) -> None:
    change, part = UNLIKE[name]
    write_both(tmp_path, lambda side: {"colors": colors(side), "other": colors(side)})
    change(tmp_path)
    found = imported(tmp_path)
    assert {task.name for task in found.tasks} == {"other"}
    assert [line for line in found.notes if line.startswith("colors: left out: ") and part in line]


def test_answers_are_joined_by_question_whatever_their_order(tmp_path: Path) -> None:
    for path in color_runs(tmp_path).glob("t/samples*"):
        rows = [json.loads(line) for line in path.read_text().splitlines()][::-1]
        path.write_text("".join(json.dumps(row | {"doc_id": i}) + "\n" for i, row in enumerate(rows)))
    task = imported(tmp_path).tasks[0]
    assert [answer.columns["question"] for answer in task.asked] == [f"Q{i} is" for i in range(12)]
    assert [answer.correct for answer in task.answers[1]] == TUNED_RIGHT


def test_a_chat_template_of_one_model_is_named(tmp_path: Path, blank: Path) -> None:
    color_runs(tmp_path)
    for path in (tmp_path / "t").glob("samples*"):
        edit_json(path, lambda d: [a.update(arg_0=f"<|user|>{a['arg_0']}") for a in d["arguments"].values()])
    edit_json(tmp_path / f"t/results_{DATE}.json", lambda d: d.update(chat_template="{{x}}", chat_template_sha="ab"))
    found = imported(tmp_path)
    assert any("The models' prompts differ in their chat template." in line for line in found.notes)
    record = recorded(found, blank)
    rows = [record.answered(model, "colors") for model in ("base", "finetuned")]
    assert [r.prompts()[0] for r in rows if r is not None] == ["Q0 is", "<|user|>Q0 is"]
    assert "prompts differ in their chat template" in everything(blank)


def test_settings_that_differ_are_named(tmp_path: Path) -> None:
    args = {"b": f"{ARGS['b']},load_in_4bit=True,device=cuda:0", "t": f"{ARGS['t']},dtype=bfloat16,batch_size=4"}
    said = "the runs differ in their settings: dtype not stated, bfloat16; load_in_4bit True, not stated"
    assert imported(color_runs(tmp_path, args)).notes == [said]


@pytest.mark.parametrize(("weighted", "test"), [(True, "exact McNemar"), (False, None)])
def test_a_groups_average_is_tested_where_it_is_a_share_of_questions(
    tmp_path: Path, blank: Path, weighted: bool, test: str | None
) -> None:
    names = [f"mmlu_s{i}" for i in range(5)]
    for side in ("b", "t"):
        made = {name: Task(colors(side).samples[: 6 + i % 7]) for i, name in enumerate(names)}
        rows = [sample["acc"] for task in made.values() for sample in task.samples]
        means = [sum(s["acc"] for s in task.samples) / len(task.samples) for task in made.values()]
        mean = sum(rows) / len(rows) if weighted else sum(means) / len(means)
        groups = {name: {"acc,none": mean, "acc_stderr,none": 0.01} for name in ("mmlu", "mmlu_stem")}
        write_run(
            tmp_path / side,
            made,
            ARGS[side],
            results=groups,
            group_subtasks={"mmlu": ["mmlu_stem"], "mmlu_stem": names},
        )
    record = recorded(imported(tmp_path), blank)
    stated = json.loads((tmp_path / f"t/results_{DATE}.json").read_text())["results"]["mmlu"]["acc,none"]
    assert values(record, "mmlu_acc")[1] == pytest.approx(stated, abs=1e-9)
    analysis = analyse(record)
    assert analysis.metric("mmlu_acc").run.test == test
    assert [m.key for m in analysis.primary] == ["mmlu_acc", "mmlu_stem_acc"]


# --- Names, secrets and hostile content ---


COMMIT = "01c7f73d771dfac7d292323805ebc428287df4f9"
NAMES: dict[str, tuple[str, str | None, bool]] = {
    "openai-community/gpt2": ("openai-community/gpt2", None, False),
    "gpt2": ("gpt2", None, False),
    "a/b@v1.0": ("a/b", "v1.0", False),
    f"/s/hub/models--meta-llama--Llama-2-7b-hf/snapshots/{COMMIT}": ("meta-llama/Llama-2-7b-hf", COMMIT, False),
    rf"D:\hub\models--a-b--c.d_e\snapshots\{COMMIT}" + "\\": ("a-b/c.d_e", COMMIT, False),
    "models--gpt2": ("gpt2", None, False),
    "http://user:secret@10.0.0.1:8000/v1/models/m?key=s": ("m", None, True),
    "http://10.0.0.1:8000": ("unnamed", None, True),
    r"C:\Users\Some One\models\Llama-3-8B": ("Llama-3-8B", None, True),
    "": ("unnamed", None, True),
}


@pytest.mark.parametrize("given", NAMES)
def test_a_model_is_named_by_id_or_last_folder(given: str) -> None:
    name = parse_model_name(given)
    assert (name.id, name.revision, name.local) == NAMES[given]


def test_organization_and_name_are_compared() -> None:
    for one, other in (("gpt2", "openai-community/gpt2"), ("/x/L", "meta-llama/l")):
        assert parse_model_name(one).same_model(parse_model_name(other))
    assert not parse_model_name("meta-llama/L").same_model(parse_model_name("NousResearch/L"))


SIDES: dict[str, tuple[Any, Any, str, str]] = {
    "vllm": ("pretrained=a/b", "pretrained=a/b,lora_local_path=/out/my-adapter", "a/b", "my-adapter"),
    "served": ({"model": "a/b", "base_url": "http://h"}, {"model": "mine", "base_url": "http://h"}, "a/b", "mine"),
    "windows": (r"pretrained=C:\Some One\L", r"pretrained=C:\Some One\L,peft=C:\out\ck", "L", "ck"),
}


@pytest.mark.parametrize("name", SIDES)
def test_each_side_is_named_without_a_path(tmp_path: Path, blank: Path, name: str) -> None:
    base, tuned, base_name, tuned_name = SIDES[name]
    record = recorded(imported(color_runs(tmp_path, {"b": base, "t": tuned})), blank)
    assert (record.results.base_model.name, record.results.finetuned_model.name) == (base_name, tuned_name)
    assert "Some One" not in everything(blank)


SECRETS = {
    "api_key": "k9Zq-team-4417-secret", "auth_token": "hunter2hunter2", "base_url": "http://gpu17.internal.example:8000/v1", "header": "X: y9",
    "token": "hf_aaaaaaaaaaaa", "hf_hub_log_args": "hub_results_org=secretorg", "device": "http://gpu17.internal.example", "cache_dir": "/scratch/me",
    "unknown_setting": "anything", "revision": "not a revision",
}  # fmt: skip


@pytest.mark.parametrize("as_text", [True, False])
def test_no_secret_host_or_path_reaches_the_record(tmp_path: Path, blank: Path, as_text: bool) -> None:
    args = {side: {"model": name, **SECRETS, "dtype": "float16"} for side, name in (("b", "base"), ("t", "tuned"))}
    given = {s: ",".join(f"{k}={v}" for k, v in of.items()) if as_text else of for s, of in args.items()}
    color_runs(tmp_path, given, **{k: v for k, v in SECRETS.items() if k != "device"})
    record = recorded(imported(tmp_path), blank)
    written = everything(blank)
    assert not [value for value in (*SECRETS.values(), "internal.example") if value in written]
    assert record.results.source is not None
    kept = {"model": "tuned", "dtype": "float16", "lm_eval_version": "0.4.9"}
    assert record.results.source.settings["finetuned"] == kept
    assert "internal" not in str(entries(Context(record, RepoNames.of(record)), "model", None))


def test_hostile_names_stay_inside(tmp_path: Path, blank: Path) -> None:
    hostile = "../../<script>alert(1)</script>"
    for path in color_runs(tmp_path).rglob("results_*"):
        edit_text(path, ('"colors"', json.dumps(hostile)))
    found = imported(tmp_path)
    assert [task.name for task in found.tasks] == ["script_alert_1_script"]
    record = recorded(found, blank)
    assert "<script>" not in (blank / "configs/metrics.yaml").read_text()
    assert list(record.metrics.metrics)[-1] == "script_alert_1_script_acc"


# --- Coming back with new numbers ---


def better(root: Path) -> Path:
    """The same evaluation with another outcome: every answer of the tuned model is right."""
    make = {"b": colors("b"), "t": Task([choice(i, True) for i in range(12)])}
    return write_both(root, lambda side: {"colors": make[side]})


def import_again(project: Path, root: Path, *options: str) -> Any:
    return invoke(project, "import_results", "lm-eval", str(root / "b"), str(root / "t"), *options)


def test_new_results_leave_the_authors_files_and_say_what_changed(tmp_path: Path, blank: Path) -> None:
    assert import_again(blank, color_runs(tmp_path / "first")).returncode == 0
    config, metrics = blank / "configs/experiments/mine.yaml", blank / "configs/metrics.yaml"
    config.write_text(config.read_text() + "seed: 7\ntraining_config: {learning_rate: 0.001}\n")
    metrics.write_text(metrics.read_text().replace("colors, acc", "Right colors"))
    (blank / "docs/fragments").mkdir()
    words = (
        '{% claim run("colors_acc").figures.value < 0.9 %}\nIt is not perfect.\n{% endclaim %}\n\n'
        "It gets 67% right. {{ 1 }}\n"
    )
    (blank / "docs/fragments/lessons.md.j2").write_text(words)
    with (blank / "configs/project.yaml").open("a") as project:  # its last key is `texts`
        project.write('  finding: "It gets 67% of them: more than before."\n')
    own = [config, metrics, blank / "configs/project.yaml", blank / "docs/fragments/lessons.md.j2"]
    before = [path.read_bytes() for path in own]
    done = import_again(blank, better(tmp_path / "second"))
    assert done.returncode == 0, done.stderr
    assert [path.read_bytes() for path in own] == before
    assert "colors_acc, fine-tuned: 0.666667 → 1\n" in done.stdout and "colors_acc, base" not in done.stdout
    assert re.search(r"no longer holds: docs/fragments/lessons.md.j2:1: .*It is not perfect", done.stdout), done.stdout
    assert "a number in digits: docs/fragments/lessons.md.j2:5: It gets 67% right." in done.stdout
    assert ": It gets 67% of them: more than before." in done.stdout
    assert "written: results/mine/answers/finetuned.parquet" in done.stderr
    assert "answers/base.parquet" not in done.stderr  # it is the same


def test_a_part_of_a_tasks_questions_is_named(tmp_path: Path) -> None:
    color_runs(tmp_path, **{"n-samples": {"colors": {"original": 1200, "effective": 12}}})
    assert "colors: 12 of its 1,200 questions were asked (--limit)" in imported(tmp_path).notes


def test_the_name_of_a_base_model_in_a_folder_elsewhere_is_no_id(tmp_path: Path, blank: Path) -> None:
    base = "pretrained=/data/models/small"
    import_again(blank, color_runs(tmp_path, {"b": base, "t": f"{base},peft=me/ad"}))
    assert "base_model" not in yaml.safe_load((blank / "configs/experiments/mine.yaml").read_text())


def test_a_groups_metric_is_not_kept_without_the_group(tmp_path: Path, blank: Path) -> None:
    """Its mean over tasks is another tool's value, though it is not computed from answers here."""
    group = {"results": {"mix": {"acc,none": 0.9}}, "group_subtasks": {"mix": ["colors"]}}
    assert import_again(blank, color_runs(tmp_path / "first", **group)).returncode == 0
    assert values(load_record(blank), "mix_acc") == (0.9, 0.9)
    done = import_again(blank, color_runs(tmp_path / "second"))
    assert "mix_acc, base: 0.9 → none\nmix_acc, fine-tuned: 0.9 → none\n" in done.stdout, done.stderr


def test_new_metrics_and_another_base_are_printed_and_not_written(tmp_path: Path, blank: Path) -> None:
    import_again(blank, color_runs(tmp_path / "first"))
    args = {"b": "pretrained=other/base", "t": "pretrained=other/base,peft=me/ad"}
    root = write_both(tmp_path / "second", lambda side: {"colors": colors(side), "more": colors(side)}, args)
    before = {path: path.read_bytes() for path in (blank / "configs").rglob("*.yaml")}
    done = import_again(blank, root)
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in (blank / "configs").rglob("*.yaml")} == before
    assert "base_model is openai-community/gpt2, and other/base in these results" in done.stderr
    assert (
        "not declared, so left out: more_acc" in done.stderr and "\n  more_acc:\n    label: more, acc\n" in done.stderr
    )
    assert "more_acc" not in load_record(blank).results.finetuned_model.metrics


def test_results_that_were_not_imported_need_an_option(tmp_path: Path, blank: Path) -> None:
    path = blank / "results/mine/evaluation_results.json"
    path.parent.mkdir()
    path.write_text('{"base_model": {"metrics": {"x": 1.0}}, "finetuned_model": {"metrics": {"x": 1.0}}}')
    done = import_again(blank, color_runs(tmp_path))
    assert done.returncode == 2 and "pass --replace" in done.stderr
    assert import_again(blank, tmp_path, "--replace").returncode == 0


# --- Another number of models ---


def pages_of(project: Path) -> dict[str, str]:
    """Every document of a record, as Markdown: the site's pages, the card of the Hub and the report."""
    documents = build(project, None)
    found = site_pages(documents, pdf=False)[0]
    found |= {"hub": documents.model_card.text, "print": documents.printed_report[0].text}
    return {page: text.replace("\N{NO-BREAK SPACE}", " ") for page, text in found.items()}


def test_a_third_model_is_a_run_of_the_table(tmp_path: Path, blank: Path) -> None:
    write_run(color_runs(tmp_path) / "m", {"colors": Task([choice(i, i < 9) for i in range(12)])}, "pretrained=a/other")
    write_run(tmp_path / "n", {"colors": colors("b")}, "pretrained=b/Base")
    runs = [str(tmp_path / name) for name in ("b", "t", "m", "n")]
    succeeds(blank, "import_results", "lm-eval", *runs)
    record = load_record(blank)
    assert list(record.runs) == ["base", "finetuned", "run-3", "run-4"]
    assert record.runs["run-3"].metrics == {"colors_acc": 0.75}
    assert verdicts(record, "colors", "run-3") == [True] * 9 + [False] * 3
    assert (blank / "results/mine/runs/run-3.json").is_file()
    shown = pages_of(blank)
    for page in ("hub", "results/index.md", "print"):
        assert "| Metric | Base | Fine-tuned | other | Base | Change |" in shown[page], page
        assert "| **colors, acc** ↑ | 33% | 67% | 75% | 33% | +33 points |" in shown[page], page
    invoke(blank, "import_results", "lm-eval", *runs[:2])
    assert list(load_record(blank).runs) == ["base", "finetuned"]
    assert not (blank / "results/mine/runs/run-3.json").exists()


def test_a_model_alone_is_a_card_without_a_comparison(tmp_path: Path, blank: Path) -> None:
    color_runs(tmp_path)
    succeeds(blank, "import_results", "lm-eval", str(tmp_path / "t"))
    record = load_record(blank)
    assert list(record.runs) == ["finetuned"] and record.results.base_model is None
    shown = pages_of(blank)
    for page in ("hub", "results/index.md", "print"):
        assert "| **colors, acc** ↑ | 67% |\n" in shown[page], page
    for page in ("hub", "print", "index.md", "results/index.md", "methodology.md"):
        words = r"\bbefore, .* after\b|[Bb]oth models|[Aa]gainst the base model|[Nn]ot tested|None\b"
        assert not re.search(words, shown[page]), page
    assert "compared with" not in shown["hub"] and "Success criteria" not in shown["print"]
    finding = json.loads(build(blank, None).final_report)["conclusion"]["findings"]["colors_acc"]
    assert (finding["base"], finding["change"], finding["finetuned"]) == (None, None, 0.666667)


def test_a_record_of_this_engines_own_is_not_replaced(tmp_path: Path, project: Path) -> None:
    done = import_again(project, color_runs(tmp_path))
    assert done.returncode == 2
    assert "these results were not imported. Create a project with `python -m src.new`" in done.stderr


def test_an_import_that_fails_leaves_the_former_record_whole(
    tmp_path: Path, blank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(imported(color_runs(tmp_path)), blank)
    before = {path: path.read_bytes() for path in (blank / "results").rglob("*") if path.is_file()}

    def full(path: Path, table: Any) -> Any:
        raise InputError(path, "no space")

    monkeypatch.setattr("src.exchange.imported.write_answers", full)
    with pytest.raises(InputError, match="no space"):
        write_record(imported(better(tmp_path / "second")), blank)
    assert {path: path.read_bytes() for path in (blank / "results").rglob("*") if path.is_file()} == before


# --- Results belong to weights ---


ADAPTER = CAUSAL | {"base_model_name_or_path": "openai-community/gpt2"}


@pytest.mark.parametrize("here", [True, False])
def test_results_of_other_weights_are_refused_with_both_names(tmp_path: Path, blank: Path, here: bool) -> None:
    """Contents are compared where the evaluated folder is on this machine, and names where it is not."""
    evaluated = tmp_path / "runs/checkpoint-25"
    color_runs(tmp_path, {"b": ARGS["b"], "t": f"{ARGS['b']},peft={evaluated}"})
    if here:
        checkpoint(evaluated, ADAPTER, fill=1)
    checkpoint(blank / "checkpoints/checkpoint-50", ADAPTER, fill=2)
    config = blank / "configs/experiments/mine.yaml"
    config.write_text(
        "experiment_name: mine\nbase_model: openai-community/gpt2\ncheckpoint: checkpoints/checkpoint-50\n"
    )
    done = import_again(blank, tmp_path)
    assert done.returncode == 2
    assert "the results are of checkpoint-25, and checkpoints/checkpoint-50 is published" in done.stderr
    (blank / "checkpoints/checkpoint-50").rename(blank / "checkpoints/checkpoint-25")
    edit_text(config, ("-50", "-25"))
    assert (import_again(blank, tmp_path).returncode == 0) is not here


def test_imported_results_are_bound_to_the_weights_that_are_there(tmp_path: Path, blank: Path) -> None:
    color_runs(tmp_path, {"b": ARGS["b"], "t": f"{ARGS['b']},peft=/elsewhere/mine"})
    checkpoint(blank / "checkpoints/mine", ADAPTER, fill=1)
    record = recorded(imported(tmp_path), blank)
    record.check_adapter()
    shutil.rmtree(blank / "checkpoints/mine")
    checkpoint(blank / "checkpoints/mine", ADAPTER, fill=2)
    with pytest.raises(InputError, match="when it was evaluated"):
        load_record(blank).check_adapter()


def test_a_training_log_stays_with_its_weights(tmp_path: Path, blank: Path) -> None:
    color_runs(tmp_path, {"b": ARGS["b"], "t": f"{ARGS['b']},peft=/elsewhere/mine"})
    checkpoint(blank / "checkpoints/mine", ADAPTER, fill=1)
    recorded(imported(tmp_path), blank)
    log = blank / "results/mine/training_log.json"
    log.write_text(json.dumps({"experiment_name": "mine", "steps": 1, "parameters": {}, "log": [], "resources": {}}))
    reference = {"file": log.name, "sha256": sha256_file(log)}
    edit_json(blank / "results/mine/evaluation_results.json", lambda d: d.update(training_log=reference))
    assert recorded(imported(tmp_path), blank).training_log is not None
    shutil.rmtree(blank / "checkpoints/mine")
    checkpoint(blank / "checkpoints/mine", ADAPTER, fill=2)
    done = import_again(blank, tmp_path)
    assert "training log left out, since it is of other weights" in done.stderr, done.stderr
    assert load_record(blank).training_log is None


def test_a_metric_that_the_author_declares_otherwise_is_refused_before_anything_is_written(
    tmp_path: Path, blank: Path
) -> None:
    recorded(imported(color_runs(tmp_path / "first")), blank)
    metrics, results = blank / "configs/metrics.yaml", blank / "results/mine/evaluation_results.json"
    metrics.write_text(metrics.read_text().replace("    measure: exact_match\n", ""))
    before = results.read_bytes()
    with pytest.raises(InputError, match=r"metrics\.colors_acc: declared for another task or measure"):
        write_record(imported(better(tmp_path / "second")), blank)
    assert results.read_bytes() == before


def test_a_field_of_a_question_is_bounded(tmp_path: Path, blank: Path) -> None:
    for path in color_runs(tmp_path).rglob("samples*"):
        edit_json(path, lambda d: d["doc"].update(note="x" * 5_000, parts=["y" * 5_000]))
    rows = recorded(imported(tmp_path), blank).answered("base", "colors")
    assert rows is not None
    assert {len(rows[name][0].as_py()) for name in ("note", "parts")} == {1_000}
