"""Results of lm-evaluation-harness: `lm_eval run … --output_path DIR --log_samples`, one folder or file per model."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from src.record.errors import InputError
from src.record.files import json_lines, load_json
from src.record.model_name import shown_model

from .answers import Answer, Import, Metric, Task, Unusable
from .reading import ADAPTERS, COMPARED, column_names, finite, listed, number, settings, unique_names

OLDEST = (0, 4, 9)
"""The oldest version of lm_eval whose files are read."""

ANOTHER = "(another continuation)"
"""Stands for an answer that is known only not to be the reference."""

_HINT = "Give the folder of one model's results: `lm_eval run … --output_path DIR --log_samples`."
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?$")
_VERDICT = re.compile(
    r"(?:.+_)?(?:acc|acc_norm|accuracy|exact_match|exact|em|correct|extractive_match|math_verify|pass(?:@|_at_)1)"
)
"""Metrics whose value for one question, 0 or 1, is a verdict; the first one counts."""

_COMPARED = re.compile(r"acc|exact|em$|f1|bleu|rouge|chrf|ter$|wer|cer|anls|math_verify|extractive_match")
"""Metrics that compare an answer with the target, so the target is an answer too."""


class ResultsFile(BaseModel):
    """A results file of lm_eval, as far as it is read; of its other keys, some are settings that may be published."""

    model_config = ConfigDict(extra="allow")
    lm_eval_version: str = Field(pattern=r"^\d+\.\d+\.\d+[\w.+-]{0,30}$")
    results: dict[str, dict[str, Any]]
    config: dict[str, Any] = {}
    configs: dict[str, dict[str, Any]] = {}
    group_subtasks: dict[str, list[str]] = {}
    higher_is_better: dict[str, dict[str, Any]] = {}
    versions: dict[str, Any] = {}
    shots: dict[str, Any] = Field({}, alias="n-shot")
    asked: dict[str, dict[str, Any]] = Field({}, alias="n-samples")


@dataclass
class HarnessRun:
    """All results of one model, of one call of lm_eval or of several: contents and samples by task."""

    files: list[Path]
    data: ResultsFile
    samples: dict[str, Path]

    @cached_property
    def model_args(self) -> dict[str, str]:
        """What the model was loaded from."""
        given = self.data.config.get("model_args")
        if isinstance(given, str):
            parts = (part.partition("=") for part in re.split(r",(?=\s*[\w.-]+=)", given))
            given = {key.strip(): value for key, _, value in parts if key.strip()}
        pairs = given.items() if isinstance(given, dict) else ()
        return {str(key): str(value) for key, value in pairs if value not in (None, "", "None")}

    @property
    def model(self) -> str:
        """The model as it was named, possibly by a path, without an adapter."""
        return self.model_args.get("pretrained") or self.model_args.get("model") or self.files[0].parent.name

    @property
    def adapter(self) -> str | None:
        """The adapter, or the delta weights."""
        return next((self.model_args[key] for key in ADAPTERS if key in self.model_args), None)

    @property
    def name(self) -> str:
        """Model and adapter as they may be printed."""
        return " with ".join(shown_model(given) for given in (self.model, self.adapter) if given)

    @property
    def identity(self) -> tuple[str | None, ...]:
        """What distinguishes the model from others."""
        return (self.model, self.adapter, self.model_args.get("revision"))

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that may be published."""
        stated = {"lm_eval_version": self.data.lm_eval_version, **(self.data.model_extra or {})}
        return settings(self.data.config, stated, self.model_args)

    def numbers(self, task: str) -> dict[tuple[str, str], float | None]:
        """Return what is stated of a task or group by metric and filter; None for what is not a number."""
        stated = {tuple(key.split(",", 1)): number(value) for key, value in self.data.results.get(task, {}).items()}
        return {(of[0], of[1]): value for of, value in stated.items() if len(of) == 2 and not of[0].endswith("_stderr")}

    def members(self, group: str) -> tuple[str, ...]:
        """Return the tasks of a group, those of groups in it included; empty for a task."""
        found: dict[str, list[str]] = {}
        left = [group]
        for name in left:
            if name not in found:
                found[name] = self.data.group_subtasks.get(name, [])
                left += found[name]
        return tuple(name for name, inside in found.items() if not inside and name != group)

    def add(self, other: HarnessRun) -> None:
        """Merge another call's results."""
        for task in sorted(self.data.results.keys() & other.data.results.keys()):
            if self.numbers(task) and other.numbers(task):
                raise InputError(other.files[0], f"results.{task}: also in {self.files[0].name}. Move one away.")
        for part in ResultsFile.model_fields.keys() - {"config", "lm_eval_version"}:
            setattr(self.data, part, getattr(other.data, part) | getattr(self.data, part))
        self.samples = other.samples | self.samples
        self.files += other.files


def read_run(path: Path) -> HarnessRun:
    """Read one model's results."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*.json") if _DATE.search(file.stem))
    runs = [_results_file(file) for file in files]
    if not runs:
        raise InputError(path, f"{'no results of lm_eval in it' if path.exists() else 'not found'}. {_HINT}")
    if len({run.identity for run in runs}) > 1:
        named = listed(f"{run.files[0].name} of {run.name}" for run in runs)
        raise InputError(path, f"results of several models ({named}). Give each model's file.")
    for other in runs[1:]:
        runs[0].add(other)
    return runs[0]


def _results_file(path: Path) -> HarnessRun:
    data = load_json(path, ResultsFile, _HINT)
    if tuple(map(int, re.findall(r"\d+", data.lm_eval_version)[:3])) < OLDEST:
        raise InputError(path, f"results of lm_eval {data.lm_eval_version}; 0.4.9 or later is needed. Evaluate again.")
    date = _DATE.search(path.stem)
    safe = {task: re.sub(r"[/\0]", "_", task)[:150] for task in data.results}
    places = {task: path.with_name(f"samples_{safe[task]}_{date[0] if date else ''}.jsonl") for task in safe}
    return HarnessRun([path], data, {task: place for task, place in places.items() if place.is_file()})


def import_lm_eval(paths: Sequence[Path], wanted_filter: str | None = None) -> Import:
    """Read the results of several models and join them: the base model's, the tuned model's, then any others', or the tuned model's alone."""
    notes: list[str] = []
    runs = [read_run(path) for path in paths]
    _check_models(runs)
    first = runs[0].data
    stated = dict.fromkeys(name for run in runs for name in run.data.results if run.numbers(name))
    shared = [name for name in stated if all(run.numbers(name) for run in runs)]
    if len(stated) > len(shared):
        notes.append(f"left out, since not every run has them: {listed(name for name in stated if name not in shared)}")
    notes += _differences(runs)
    names = dict(zip(shared, unique_names(shared), strict=True))
    tasks: list[Task] = []
    for name in sorted(shared, key=lambda name: not runs[0].members(name)):  # groups first, which readers look for
        try:
            tasks.append(_task(runs, name, names, wanted_filter, notes))
        except Unusable as why:
            notes.append(f"{name}: left out: {why}")
        asked, all_of_it = (number(first.asked.get(name, {}).get(key)) for key in ("effective", "original"))
        if asked is not None and all_of_it is not None and asked < all_of_it:
            notes.append(f"{name}: {asked:,.0f} of its {all_of_it:,.0f} questions were asked (--limit)")
    for group in [task for task in tasks if task.members]:
        _pool(group, tasks)
    if all(task.members for task in tasks):
        reasons = "; ".join(line for line in notes if "left out" in line)
        raise InputError(runs[-1].files[0], f"no task that can be imported ({reasons[:400] or 'none has numbers'}).")
    further = [f"run-{number}" for number in range(3, len(runs) + 1)]
    named = dict(zip(["base", "finetuned", *further] if len(runs) > 1 else ["finetuned"], runs, strict=True))
    versions = {task: number(first.versions.get(task)) for task in shared}
    kept = {"filter": wanted_filter, "versions": versions, **{side: run.settings for side, run in named.items()}}
    models = {side: (run.model, run.adapter) for side, run in named.items()}
    files = {side: [*run.files, *run.samples.values()] for side, run in named.items()}
    return Import(f"lm-evaluation-harness {first.lm_eval_version}", models, tasks, files, kept, notes)


def _check_models(runs: list[HarnessRun]) -> None:
    """Refuse runs that cannot be a base model's and tuned models'."""
    for place, run in enumerate(runs):
        if any(run.identity == other.identity for other in runs[:place]):
            raise InputError(run.files[0], f"config.model_args: {run.name} again. Give each model once.")
    if len(runs) > 1 and runs[0].adapter and not runs[1].adapter:
        raise InputError(runs[0].files[0], f"config.model_args: only the base run has an adapter ({runs[0].name}).")


def _differences(runs: list[HarnessRun]) -> list[str]:
    """Name the settings that can change answers and differ between the runs."""
    found = {key: [str(run.settings.get(key, "not stated")) for run in runs] for key in sorted(COMPARED)}
    each = [f"{key} {', '.join(of)}" for key, of in found.items() if len(set(of)) > 1]
    return [f"the runs differ in their settings: {'; '.join(each)}"] if each else []


def _task(runs: list[HarnessRun], name: str, names: dict[str, str], wanted: str | None, notes: list[str]) -> Task:
    """Read a task, or a group of tasks."""
    members = runs[0].members(name)
    if any(sorted(members) != sorted(run.members(name)) for run in runs):
        raise Unusable("the runs have other tasks in this group")
    for part, what in (("versions", "versions"), ("shots", "numbers of solved examples")):
        stated = [number(getattr(run.data, part).get(name)) for run in runs]
        if len(set(stated)) > 1:
            raise Unusable(f"{what} differ: {', '.join(map(str, stated))}; evaluate all models alike")
    filters = sorted({filtered for _, filtered in runs[0].numbers(name)})
    chosen = filters[0] if len(filters) == 1 else wanted
    if chosen is None:
        message = f"results.{name}: answers by several filters ({listed(filters)}). Choose one with --filter."
        raise InputError(runs[0].files[0], message)
    if chosen not in filters:
        raise Unusable(f"it has several filters, and {wanted} is not among them: {listed(filters)}")
    known = tuple(names.get(member, "") for member in members)
    task = Task(names[name], "As lm-evaluation-harness states it.", _metrics(runs, name, chosen, notes), members=known)
    if not task.metrics:
        raise Unusable("no metric that every run states as a number")
    if not members:
        shots = number(runs[0].data.shots.get(name))
        task.few_shot = int(shots) if shots is not None and shots >= 0 else None
        _add_answers(task, name, runs, chosen, notes)
    return task


def _metrics(runs: list[HarnessRun], name: str, chosen: str, notes: list[str]) -> list[Metric]:
    """Read the metrics of a task by one filter; what cannot be compared is named in the notes."""
    numbers = [{m: value for (m, f), value in run.numbers(name).items() if f == chosen} for run in runs]
    common = [metric for metric in numbers[0] if all(metric in one for one in numbers)]
    found: list[Metric] = []
    for metric, column in zip(common, column_names(map(str.lower, common), "value"), strict=True):
        values = [value for one in numbers if (value := one[metric]) is not None]
        named = (name, *runs[0].members(name))
        directions = [runs[0].data.higher_is_better.get(of, {}).get(metric) for of in named]
        better = next((direction for direction in directions if isinstance(direction, bool)), None)
        if metric == "bypass" or better is None or len(values) < len(runs):
            notes.append(f"{name}: left out: {metric} (not a number, or which way is better is not stated)")
        else:
            found.append(Metric(metric, "higher" if better else "lower", values, column))
    return found


def _add_answers(task: Task, name: str, runs: list[HarnessRun], chosen: str, notes: list[str]) -> None:
    """Add all models' answers to a task; where they cannot be read, note it and leave the metrics as stated."""
    config = runs[0].data.configs.get(name, {})
    if not all(name in run.samples for run in runs) or config.get("output_type") == "loglikelihood_rolling":
        notes.append(f"{name}: no answers to single questions in every run (--log_samples), so no tests")
        return
    try:
        given = [_read(run.samples[name], chosen, task.metrics, config, place) for place, run in enumerate(runs)]
    except Unusable as why:
        notes.append(f"{name}: its answers are left out and only its metrics imported: {why}")
        return
    task.join(given, _prompt_difference(runs))
    if task.prompts_differ:
        notes.append(f"{name}: {task.prompts_differ}")
    _judge(task)
    as_stated = [metric.name for metric in task.metrics if metric.measure is None]
    if as_stated:
        notes.append(f"{name}: imported as stated, since they are not a mean over the questions: {listed(as_stated)}")


def _prompt_difference(runs: list[HarnessRun]) -> str | None:
    """Name what explains that the models' prompts differ; None if nothing stated does."""
    parts = ("chat_template", "system_instruction")
    found = [part.replace("_", " ") for part in parts if len({run.settings.get(f"{part}_sha") for run in runs}) > 1]
    return f"The models' prompts differ in their {' and '.join(found)}." if found else None


def _read(path: Path, chosen: str, metrics: list[Metric], config: dict[str, Any], place: int) -> list[Answer]:
    """Read a task's samples; those of another run are refused, since their verdicts have another mean than is stated."""
    answers: dict[str, Answer] = {}
    where = path.name
    try:
        for line, sample in json_lines(path):
            where = f"line {line} of {path.name}"
            if sample["filter"] != chosen:
                continue
            answer = _answer(sample, metrics, config)
            if answer.key in answers:
                raise Unusable(f"doc_id {answer.key[:40]} is duplicated in {path.name}; two runs may have written it")
            answers[answer.key] = answer
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, OverflowError):
        why = "not a sample as lm_eval writes it; the file may be cut short, or a value is not a finite number"
        raise Unusable(f"{where} is {why}") from None
    except InputError as error:
        raise Unusable(f"{path.name}: {error.message}") from None
    if not answers:
        raise Unusable(f"no sample of the filter {chosen} in {path.name}")
    found = list(answers.values())
    metric = _verdict(metrics, found)
    values = [answer.values[metric.column] for answer in found] if metric is not None else []
    if metric is not None and not metric.is_mean(values, place):
        mean = f"{metric.name} is {sum(values) / len(values):.4f} in the samples of run {place + 1}"
        raise Unusable(f"{mean}, and {metric.values[place]:.4f} stated")
    return found


def _answer(sample: dict[str, Any], metrics: list[Metric], config: dict[str, Any]) -> Answer:
    """Read one sample; some other error than `Unusable` says that it is not one."""
    arguments = [sample["arguments"][f"gen_args_{i}"] for i in range(len(sample["arguments"]))]
    responses, doc, target = list(sample["filtered_resps"]), sample["doc"], str(sample["target"])
    question = (str(sample.get("doc_hash") or doc), target)
    answer = Answer(str(sample["doc_id"]), question, _prompt(arguments[0]["arg_0"]), "")
    numbers = {metric.column: sample.get(metric.name) for metric in metrics}
    answer.values = {column: finite(value) for column, value in numbers.items() if isinstance(value, int | float)}
    answer.columns = {**(doc if isinstance(doc, dict) else {"doc": doc}), "target": target}
    kind = config.get("output_type")
    if kind == "multiple_choice":
        likely = [finite(response[0]) for response in responses]
        half = len(likely) // 2
        if half and all(argument["arg_0"] == "" for argument in arguments[half:]):
            likely, arguments = likely[:half], arguments[:half]  # the rest are the candidates without the question
        answer.prompt, answer.candidates = _candidates(arguments, str(config.get("target_delimiter", " ")))
        if _normalized(metrics):
            likely = [score / max(len(text), 1) for score, text in zip(likely, answer.candidates, strict=True)]
        answer.answer = answer.candidates[max(range(len(likely)), key=likely.__getitem__)]
    elif kind == "loglikelihood":
        reference = str(arguments[0]["arg_1"]).strip()
        answer.references = (reference,)
        answer.answer = reference if str(responses[0][1]) == "True" else ANOTHER
    else:
        response = responses[0] if isinstance(responses[0], list) else responses[:1]
        if len(response) != 1:
            raise Unusable(f"{len(response)} answers to each question (repeats)")
        answer.answer = str(response[0])
    return answer


def _prompt(given: object) -> str:
    return str(given[0]) if isinstance(given, list) and len(given) == 1 else str(given)


def _candidates(arguments: list[dict[str, Any]], delimiter: str) -> tuple[str, tuple[str, ...]]:
    """Return prompt and candidates; where the prompts differ and not what follows, the candidates are what differs in them."""
    prompts = [_prompt(argument["arg_0"]) for argument in arguments]
    prompt, named = prompts[0], [str(argument["arg_1"]).removeprefix(delimiter) for argument in arguments]
    if len(set(prompts)) > 1:
        common = os.path.commonprefix(prompts)  # noqa: RUF071 - the prefix of any texts
        common = common[: common.rfind(" ") + 1]
        prompt, named = common.rstrip(), [text.removeprefix(common) for text in prompts]
    return prompt, tuple(named)


def _verdict(metrics: list[Metric], answers: Sequence[Answer] = ()) -> Metric | None:
    """Return the metric whose value for each question, 0 or 1, says whether the answer is right."""
    named = (metric for metric in metrics if metric.direction == "higher" and _VERDICT.fullmatch(metric.name))
    return next((metric for metric in named if all(a.values.get(metric.column) in (0, 1) for a in answers)), None)


def _normalized(metrics: list[Metric]) -> bool:
    """Determine whether candidates are compared by their log-likelihood per character."""
    metric = _verdict(metrics)
    return metric is not None and metric.name == "acc_norm"


def _judge(task: Task) -> None:
    """Take over the harness' verdicts, and name references where they are known."""
    answers = [answer for side in task.answers for answer in side]
    metric = _verdict(task.metrics, answers)
    for one in task.metrics:
        values = [[answer.values.get(one.column) for answer in side] for side in task.answers]
        one.share = all(value in (0, 1) for side in values for value in side)
        if all(one.is_mean(side, place) for place, side in enumerate(values)):
            one.measure = "exact_match" if one is metric else "value"
    if metric is not None:
        for answer in answers:
            answer.correct = bool(answer.values[metric.column])
    if answers[0].candidates:
        by = "log-likelihood per character" if _normalized(task.metrics) else "log-likelihood"
        task.method = f"Of the candidates, the one with the highest {by} after the prompt (lm-evaluation-harness)."
        for reading in (_by_index, _targets) if metric is not None else ():
            read = [reading(answer) for answer in answers]
            if all(found and (a.answer in found) == a.correct for a, found in zip(answers, read, strict=True)):
                for answer, found in zip(answers, read, strict=True):
                    answer.references = found
                break
    elif answers[0].references:
        task.method = "Whether the reference is the most likely continuation, token by token (lm-evaluation-harness)."
    else:
        task.method = "Greedy or sampled generation as the task's config says (lm-evaluation-harness)."
        if any(_COMPARED.match(one.name) for one in ([metric] if metric is not None else task.metrics)):
            for answer in answers:
                answer.references = _targets(answer)


def _pool(group: Task, tasks: list[Task]) -> None:
    """Find out which metrics of a group are the share of right answers over all questions of its tasks."""
    inside = [task for task in tasks if task.name in group.members]
    for metric in group.metrics:
        parts = [one for task in inside for one in task.metrics if one.name == metric.name]
        metric.share = bool(parts) and all(one.share for one in parts)
        if len(parts) == len(group.members) and all(one.measure == "exact_match" for one in parts):
            sides = zip(*(task.answers for task in inside), strict=True)
            right = [[answer.correct for answers in side for answer in answers] for side in sides]
            pooled = all(metric.is_mean(values, place) for place, values in enumerate(right))
            metric.measure = "exact_match" if pooled else None


def _targets(answer: Answer) -> tuple[str, ...]:
    """Read the target, which lm_eval writes as Python does if it is a list."""
    target = answer.question[1]
    if target.startswith("[") and target.endswith("]") and len(target) < 100_000:
        try:
            found = ast.literal_eval(target)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return (target,)
        if isinstance(found, list) and found:
            return tuple(dict.fromkeys(map(str, found)))
    return (target,)


def _by_index(answer: Answer) -> tuple[str, ...]:
    candidates, targets = answer.candidates, _targets(answer)
    places = [int(target) for target in targets if re.fullmatch(r"[0-9]{1,6}", target)]
    return tuple(candidates[p] for p in places if p < len(candidates)) if len(places) == len(targets) else ()
