"""Results of lm-evaluation-harness: `lm_eval run … --output_path DIR --log_samples`, one model a folder or a file."""

from __future__ import annotations

import ast
import hashlib
import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from src.record.errors import InputError
from src.record.files import read_text, text_lines, untrusted_json
from src.record.model_name import parse_model_name
from src.record.schemas import Uncertainty

from .answers import (
    TOLERANCE,
    Answer,
    Import,
    Metric,
    Task,
    Unusable,
    check_sides,
    few,
    finite,
    mapping,
    safe_name,
    settings,
)

TOOL = "lm-evaluation-harness"
ANOTHER = "(another continuation)"
"""Stands for an answer of which only is known that it was not the reference."""

_HINT = "Give the folder of one model's runs: `lm_eval run … --output_path DIR --log_samples`."
_AGAIN = "Evaluate again with lm_eval 0.4.3 or later."
_MODEL_KEYS = ("pretrained", "model", "path", "engine")
_ADAPTER_KEYS = ("peft", "lora_local_path", "adapter", "delta")
_DATE = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?"

_VERDICTS = (
    "acc",
    "exact_match",
    "em",
    "prompt_level_strict_acc",
    "pass@1",
    "pass_at_1",
    "math_verify",
    "extractive_match",
)
_VERDICT = re.compile(r"(?:.+_)?(?:acc|acc_norm|accuracy|exact_match|exact|em|correct|pass@1)")
_SHARE = re.compile(rf"{_VERDICT.pattern}|pass@\d+")
_COMPARED = re.compile(r"acc|exact|em$|f1|bleu|rouge|chrf|ter$|wer|cer|anls|math_verify|extractive_match")
"""Metrics that compare an answer with the target, so that the target is an answer."""


@dataclass(frozen=True)
class ResultsFile:
    """What one call of lm_eval wrote about one model."""

    path: Path
    data: dict[str, Any]

    def part(self, name: str) -> dict[str, Any]:
        """Return one of its dictionaries."""
        return mapping(self.data.get(name))

    @cached_property
    def model_args(self) -> dict[str, str]:
        """What the model was loaded from."""
        given = self.part("config").get("model_args")
        if isinstance(given, str):
            pairs = (part.partition("=") for part in re.split(r",(?=\s*[\w.-]+=)", given))
            given = {key.strip(): value for key, _, value in pairs if key.strip()}
        return {str(key): str(value) for key, value in mapping(given).items()}

    def _argument(self, keys: Iterable[str]) -> str | None:
        return next((self.model_args[key] for key in keys if self.model_args.get(key) not in (None, "", "None")), None)

    @property
    def model(self) -> str:
        """The model as it was named, without an adapter."""
        named = self._argument(_MODEL_KEYS) or self.data.get("model_name")
        return str(named or self.path.parent.name).replace("__", "/" if named is None else "__")

    @property
    def adapter(self) -> str | None:
        """The adapter, or the delta weights."""
        return self._argument(_ADAPTER_KEYS)

    @property
    def identity(self) -> tuple[object, str | None]:
        """What distinguishes this model from others: model with revision, and adapter."""
        names = []
        for given in (self.model, self.adapter):
            parsed = parse_model_name(given) if given else None
            names.append(given if parsed is None or parsed.local else (parsed.id, parsed.revision))
        return (names[0], names[1], self.model_args.get("revision"), self.model_args.get("subfolder")), self.adapter

    @property
    def prompting(self) -> tuple[object, object]:
        """What shapes prompts besides the task: the chat template, and the system instruction."""
        template, config = self.data.get("chat_template"), self.part("config")
        chat = self.data.get("chat_template_sha") or (template and hashlib.sha256(str(template).encode()).hexdigest())
        chat = chat or ("chat" in str(config.get("model")) or None)
        return chat, self.data.get("system_instruction_sha") or self.data.get("system_instruction") or None

    def numbers(self, task: str) -> dict[tuple[str, str], Any]:
        """Return what is stated of a task by metric and filter, standard errors included."""
        found = {}
        for key, value in mapping(self.part("results").get(task)).items():
            metric, comma, filtered = str(key).partition(",")
            if comma and isinstance(value, int | float) and not isinstance(value, bool):
                found[metric, filtered] = value
        return found

    def filters(self, task: str) -> list[str]:
        """Return a task's filters, in the order in which they were applied."""
        return list(dict.fromkeys(filtered for _, filtered in self.numbers(task)))

    def samples(self, task: str) -> Path | None:
        """Find a task's samples: those of the same date, or the only ones if the results have no date in their name."""
        date = re.search(_DATE + "$", self.path.stem)
        for name in dict.fromkeys((re.sub(r"\W", "_", task), re.sub(r"[/\\\0]", "_", task)[:150])):
            if date is not None:
                path = self.path.with_name(f"samples_{name}_{date[0]}.jsonl")
                found = [path] if path.is_file() else []
            else:
                pattern = re.compile(rf"samples_{re.escape(name)}(?:_{_DATE})?\.jsonl")
                found = [path for path in self.path.parent.iterdir() if pattern.fullmatch(path.name)]
            if len(found) == 1:
                return found[0]
        return None


@dataclass(frozen=True)
class HarnessRun:
    """All results of one model, of one call of lm_eval or of several.

    Attributes:
        files: What was read.
        tasks: The file that has a task, or a group, by name.
    """

    files: list[ResultsFile]
    tasks: dict[str, ResultsFile]

    def of(self, part: str, task: str) -> Any:
        """Return what the results state of a task in one of their dictionaries."""
        return self.tasks[task].part(part).get(task)

    def members(self, group: str) -> tuple[str, ...]:
        """Return the tasks of a group, those of groups in it included; empty for a task."""
        found: dict[str, None] = {}
        seen, left = {group}, [group]
        while left:
            name = left.pop(0)
            inside = self.of("group_subtasks", name) if name in self.tasks else None
            inside = [str(one) for one in inside] if isinstance(inside, list) else []
            if not inside and name != group:
                found[name] = None
            left += [one for one in inside if one not in seen]
            seen.update(inside)
        return tuple(found)


def read_run(path: Path, said: list[str]) -> HarnessRun:
    """Read one model's results.

    Args:
        path: A folder with results of one model, under any names; or one results file.
        said: Gets what was left out.

    Raises:
        InputError: There are none, they are of several models, of an older version, or state a task twice with different results.
    """
    candidates = [path] if path.is_file() else sorted(path.rglob("*.json"))
    files, refused = [], []
    for candidate in candidates:
        try:
            files.append(_results_file(candidate))
        except InputError as error:
            refused.append(error)
            if candidate.name.startswith("results"):
                said.append(f"left out: {candidate.name}, {error.found}")
    if not files:
        if refused:  # the one that comes closest to results
            raise next((e for e in refused if e.expected != _RESULTS), refused[0])
        samples = len(list(path.rglob("samples_*.jsonl"))) if path.is_dir() else 0
        found = f"{samples} files of samples without results" if samples else "0 files of results"
        if not path.exists():
            found = "no such file or folder"
        raise InputError(path, found=found, expected="results of one model", hint=_HINT)
    models = {repr(file.identity): file for file in files}
    if len(models) > 1:
        named = [f"{file.path.name} of {_name(file)}" for file in models.values()]
        raise InputError(
            path, found=f"results of {len(models)} models: {few(named)}", expected="results of one model",
            hint="Name the file of one model, or move each model's files to a folder of its own.",
        )  # fmt: skip
    tasks: dict[str, ResultsFile] = {}
    for file in files:
        for task in file.part("results"):
            other = tasks.setdefault(task, file)
            if other is not file and _stated(other, task) != _stated(file, task):
                raise InputError(
                    path, key=f"results.{task}", found=f"different results in {other.path.name} and {file.path.name}",
                    expected="one result a task", hint="Move one of the two files away, or name the file to import.",
                )  # fmt: skip
            if other.samples(task) is None and file.samples(task) is not None:
                tasks[task] = file
    return HarnessRun(files, tasks)


_RESULTS = "results as lm_eval writes them"


def _name(file: ResultsFile) -> str:
    adapter = file.adapter
    return parse_model_name(file.model).id + (f" with {parse_model_name(adapter).id}" if adapter else "")


def _stated(file: ResultsFile, task: str) -> str:
    parts = [file.part(name).get(task) for name in ("versions", "n-shot", "n-samples")]
    return repr((sorted((key, value) for key, value in file.numbers(task).items() if "_stderr" not in key[0]), parts))


def _results_file(path: Path) -> ResultsFile:
    try:
        data = mapping(untrusted_json(read_text(path, _HINT)))
    except ValueError:
        raise InputError(path, found="no results, since it is not valid JSON", expected=_RESULTS, hint=_HINT) from None
    results = data.get("results")
    if not isinstance(results, dict):
        raise InputError(path, found="no results", expected=_RESULTS, hint=_HINT)
    version = str(data.get("lm_eval_version") or "")
    numbers = re.match(r"(\d+)\.(\d+)\.?(\d*)", version)
    if "config_general" in data:
        found = "results of lighteval"
    elif numbers is not None:
        old = tuple(int(number or 0) for number in numbers.groups()) < (0, 4, 3)
        found = f"results of lm_eval {version}" if old else ""
    elif isinstance(data.get("configs"), dict):
        found = "" if "higher_is_better" in data else "results of lm_eval 0.4.0 to 0.4.2"
    else:
        stated = [str(key) for task in results.values() for key in mapping(task)]
        old = bool(stated) and "versions" in data and not any("," in key for key in stated)
        found = "results of lm_eval 0.3 or older" if old else ""
    if found:
        raise InputError(path, found=found, expected="results of lm_eval 0.4.3 or later", hint=_AGAIN)
    return ResultsFile(path, data)


def import_lm_eval(base: Path, tuned: Path, wanted_filter: str | None = None) -> Import:
    """Read two models' results and join them.

    Args:
        base: The base model's results: a folder or a file.
        tuned: The tuned model's.
        wanted_filter: Which filter's answers count, where a task has several.

    Raises:
        InputError: Results are missing or malformed, do not belong together, or a task has several filters and none was chosen.
    """
    said: list[str] = []
    runs = read_run(base, said), read_run(tuned, said)
    first, second = (run.files[0] for run in runs)
    wrong = check_sides(first.identity, second.identity)
    if wrong:
        raise InputError(
            second.path, key="config.model_args", found=wrong, expected="another model than the base run's, with the adapter if there is one",
            hint="Give the base model's results first and the tuned model's second.",
        )  # fmt: skip
    if first.adapter:
        said.append(f"the base run has an adapter too: {_name(first)}")
    for run, other in (runs, runs[::-1]):
        alone = [name for name in run.tasks if name not in other.tasks and run.tasks[name].numbers(name)]
        if alone:
            said.append(f"left out, since only the run of {_name(run.files[0])} has them: {few(alone)}")
    tasks: list[Task] = []
    shared = [name for name in runs[0].tasks if name in runs[1].tasks]
    for name in sorted(shared, key=lambda name: not runs[0].members(name)):  # groups first, which readers look for
        try:
            task = _task(runs, name, wanted_filter, said)
        except Unusable as why:
            said.append(f"left out: {name}: {why}")
            continue
        if any(other.name == task.name for other in tasks):
            raise InputError(
                second.path, key=name, found="two tasks of that name", expected="one", hint="Leave one out."
            )
        tasks.append(task)
    if not any(task.members == () for task in tasks):
        reasons = [line for line in said if line.startswith("left out")]
        raise InputError(
            second.path, found=f"no task that can be imported ({'; '.join(reasons[:2]) or 'no task has numbers'})",
            expected="a task that both runs have", hint="Evaluate both models on the same tasks, with one version and the same settings.",
        )  # fmt: skip
    version = str(first.data.get("lm_eval_version") or "")
    used = tuple([run.tasks[n].samples(n) for n in shared] for run in runs)
    files = [
        list(dict.fromkeys([*(file.path for file in run.files), *(path for path in samples if path)]))
        for run, samples in zip(runs, used, strict=True)
    ]
    return Import(
        f"{TOOL} {version}" if re.fullmatch(r"[\w.+-]{1,40}", version) else TOOL,
        first.model,
        second.model,
        second.adapter,
        tasks,
        (files[0], files[1]),
        _settings(runs, shared) | {"filter": wanted_filter},
        said,
    )


def _settings(runs: tuple[HarnessRun, HarnessRun], tasks: list[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for side, run in zip(("base", "finetuned"), runs, strict=True):
        each = [
            {**settings(file.part("config"), file.data), "model_args": settings(file.model_args)} for file in run.files
        ]
        kept[side] = each[0] if len(each) == 1 else {**each[0], "calls": len(each)}
    for part in ("n-samples", "n-shot", "versions", "task_hashes"):
        stated = {task: value for task in tasks if (value := runs[0].of(part, task)) is not None}
        kept[part.replace("-", "_")] = {
            task: {k: v for k, v in value.items() if isinstance(v, int)} if isinstance(value, dict) else value
            for task, value in stated.items()
            if isinstance(value, dict | int | float) or re.fullmatch(r"[\w.-]{1,80}", str(value))
        }
    return kept


def _task(runs: tuple[HarnessRun, HarnessRun], name: str, wanted: str | None, said: list[str]) -> Task:
    """Read a task, or a group of tasks.

    Raises:
        Unusable: The runs do not agree on how it was evaluated, or state no metric that can be compared.
    """
    members = [run.members(name) for run in runs]
    if sorted(members[0]) != sorted(members[1]):
        raise Unusable("the group has other tasks in the other run")
    for part, what in (("versions", "version"), ("n-shot", "number of solved examples")):
        ours, theirs = (run.of(part, name) for run in runs)
        if ours != theirs:
            raise Unusable(f"{what} {theirs} in the tuned run and {ours} in the base run; evaluate both alike")
    files = [run.tasks[name] for run in runs]
    chosen = _filter(files[0], name, wanted)
    task = Task(safe_name(name), "As lm-evaluation-harness states it.", [], members=tuple(map(safe_name, members[0])))
    numbers = [file.numbers(name) for file in files]
    for metric, filtered in numbers[0]:
        if filtered != chosen or metric.endswith("_stderr") or (metric, filtered) not in numbers[1]:
            continue
        better = next((b for of in (name, *members[0]) if (b := _direction(runs[0], of, metric)) is not None), None)
        values = [float(stated[metric, filtered]) for stated in numbers]
        if better is None or not all(map(math.isfinite, values)):
            why = "which way is better is not stated" if better is None else "not a number"
            said.append(f"left out: {metric} of {name} ({why})")
            continue
        errors = [stated.get((f"{metric}_stderr", filtered)) for stated in numbers]
        uncertainty = [Uncertainty(standard_error=e) if e is not None and 0 <= e < math.inf else None for e in errors]
        found = Metric(metric, "higher" if better else "lower", *values, uncertainty=(uncertainty[0], uncertainty[1]))
        if _SHARE.fullmatch(metric) and all(0 <= value <= 1 for value in values):
            found.unit = "proportion"
        task.metrics.append(found)
    if not task.metrics:
        raise Unusable("no metric that both runs state as a number")
    if not members[0]:
        shots = runs[0].of("n-shot", name)
        task.few_shot = shots if isinstance(shots, int) and shots >= 0 else None
        _add_answers(task, name, files, chosen, said)
    return task


def _direction(run: HarnessRun, task: str, metric: str) -> bool | None:
    better = mapping(run.of("higher_is_better", task)).get(metric) if task in run.tasks else None
    return better if isinstance(better, bool) else None


def _filter(file: ResultsFile, task: str, wanted: str | None) -> str:
    filters = file.filters(task)
    if len(filters) > 1 and wanted not in filters:
        raise InputError(
            file.path, key=f"results.{task}", found=f"answers by several filters: {', '.join(sorted(filters))}",
            expected="one to count", hint="Choose with --filter.",
        )  # fmt: skip
    return str(wanted) if wanted in filters else next(iter(filters), "none")


def _add_answers(task: Task, name: str, files: list[ResultsFile], chosen: str, said: list[str]) -> None:
    """Add both models' answers to a task; where they cannot be read, say so and leave the metrics as they are stated."""
    samples = [file.samples(name) for file in files]
    if not samples[0] or not samples[1]:
        said.append(f"{name}: no samples in both runs (--log_samples), so no intervals and no tests of answers")
        return
    config = mapping(files[0].part("configs").get(name))
    try:
        read = [
            _read(path, file.filters(name), chosen, [metric.name for metric in task.metrics], config)
            for path, file in zip(samples, files, strict=True)
            if path is not None
        ]
        _check_means(task, read)
    except Unusable as why:
        said.append(f"{name}: its answers are left out and only its metrics imported: {why}")
        return
    if not all(read):
        said.append(f"{name}: no answers to single questions, so no intervals and no tests")
        return
    task.prompts_differ = _difference(*files)
    base, tuned = read
    task.join(base, tuned)
    if not any(answer.own_prompt for answer in task.tuned):
        task.prompts_differ = None
    if task.prompts_differ:
        said.append(f"{name}: {task.prompts_differ}")
    if task.unpaired:
        said.append(f"{name}: {task.unpaired} answers have no partner in the other run and are left out")
    lists = [
        metric.name for metric in task.metrics if all(metric.name not in a.values for a in (*task.base, *task.tuned))
    ]
    if lists:
        said.append(f"{name}: imported as stated, since they have no number for each question: {few(lists)}")
    _judge(task, str(config.get("output_type")))


def _difference(first: ResultsFile, second: ResultsFile) -> str | None:
    """Say how two runs' prompts may differ; None if nothing stated explains a difference."""
    differs = [ours != theirs for ours, theirs in zip(first.prompting, second.prompting, strict=True)]
    found = []
    for place, what in enumerate(("chat template", "system instruction")):
        ours, theirs = first.prompting[place], second.prompting[place]
        if differs[place] and ours and theirs:
            found.append(f"The two models' prompts use different {what}s.")
        elif differs[place]:
            sides = ("base", "fine-tuned") if ours else ("fine-tuned", "base")
            found.append(f"The {sides[0]} model's prompts use a {what}, and the {sides[1]} model's do not.")
    return " ".join(found) or None


def _read(path: Path, filters: list[str], chosen: str, metrics: list[str], config: dict[str, Any]) -> list[Answer]:
    """Read a task's samples; empty where they are of texts as a whole.

    Before lm_eval 0.4.6 samples do not name their filter: the answers by each filter follow one another.

    Raises:
        Unusable: A line is malformed, or a question is duplicated.
    """
    answers: dict[str, Answer] = {}
    times: dict[str, int] = {}
    try:
        for number, line in enumerate(text_lines(path, _HINT), 1):
            where = f"line {number} of {path.name}"
            if not line.strip():
                continue
            try:
                sample = untrusted_json(line)
                key = str(sample["doc_id"])
                place = times[key] = times.get(key, -1) + 1
                if sample.get("filter", filters[place] if place < len(filters) else chosen) != chosen:
                    continue
                answer = _answer(where, sample, metrics, config)
            except Unusable:
                raise
            except (ValueError, KeyError, TypeError, IndexError, AttributeError):
                raise Unusable(f"{where} is not a sample as lm_eval writes it; the file may be cut short") from None
            if answer is None:
                return []
            if key in answers:
                raise Unusable(f"doc_id {key[:40]} is duplicated in {path.name}; two runs may have written it")
            answers[key] = answer
    except InputError as error:
        raise Unusable(f"{path.name}: {error.found}") from None
    return list(answers.values())


def _answer(where: str, sample: dict[str, Any], metrics: list[str], config: dict[str, Any]) -> Answer | None:
    kind, delimiter = config.get("output_type"), str(config.get("target_delimiter", " "))
    if kind == "loglikelihood_rolling":
        return None
    arguments = [sample["arguments"][f"gen_args_{i}"] for i in range(len(sample["arguments"]))]
    responses, doc, target = sample["filtered_resps"], sample["doc"], str(sample["target"])
    values = {
        name: finite(sample[name], f"{name} in {where}")
        for name in metrics
        if isinstance(sample.get(name), int | float)
    }
    question = str(sample.get("doc_hash") or hashlib.sha256(repr(doc).encode()).hexdigest()), target
    answer = Answer(str(sample["doc_id"]), question, _prompt(arguments[0]["arg_0"]), "", values=values)
    answer.columns = {**(doc if isinstance(doc, dict) else {"doc": doc}), "target": target}
    pairs = all(isinstance(r, list) and len(r) == 2 and str(r[1]) in ("True", "False") for r in responses)
    if pairs and (kind == "multiple_choice" or (kind is None and len(responses) > 1)):
        likely = [finite(response[0], f"a log-likelihood in {where}") for response in responses]
        half = len(likely) // 2
        if len(likely) % 2 == 0 and half and all(a["arg_0"] == "" for a in arguments[half:]):
            likely, arguments = likely[:half], arguments[:half]  # the rest are the candidates without the question
        answer.prompt, answer.candidates = _candidates(arguments, delimiter)
        answer.scores = tuple(likely)
        _choose(answer, likely)
    elif pairs:
        reference = str(arguments[0]["arg_1"]).strip()
        answer.references = (reference,)
        answer.score = finite(responses[0][0], f"a log-likelihood in {where}")
        answer.answer = reference if str(responses[0][1]) == "True" else ANOTHER
    else:
        response = responses[0]
        if isinstance(response, list):
            if len(response) != 1:
                raise Unusable(f"{len(response)} answers to each question (repeats)")
            response = response[0]
        answer.answer = str(response)
    return answer


def _prompt(given: object) -> str:
    return str(given[0]) if isinstance(given, list) and len(given) == 1 else str(given)


def _choose(answer: Answer, weights: list[float]) -> None:
    best = max(range(len(weights)), key=weights.__getitem__)
    answer.answer, answer.score = (answer.candidates or ())[best], (answer.scores or ())[best]


def _candidates(arguments: list[dict[str, Any]], delimiter: str) -> tuple[str, tuple[str, ...]]:
    """Return the prompt and the candidates; where the prompts differ and not what follows, the candidates are what differs in them."""
    prompts = [_prompt(argument["arg_0"]) for argument in arguments]
    named = [str(argument["arg_1"]) for argument in arguments]
    prompt = prompts[0]
    if len(set(prompts)) > 1:
        common = os.path.commonprefix(prompts)  # noqa: RUF071 - the prefix of any texts
        common = common[: common.rfind(" ") + 1]
        prompt, named = common.rstrip(), [text.removeprefix(common) for text in prompts]
    else:
        named = [text.removeprefix(delimiter) for text in named]
    if len(set(named)) < len(named):
        named = [f"{text} ({i + 1})" if named.count(text) > 1 else text for i, text in enumerate(named)]
    return prompt, tuple(named)


def _check_means(task: Task, read: list[list[Answer]]) -> None:
    """Refuse samples of another run: their verdicts must have the stated mean."""
    metric = _verdict(task.metrics, [*read[0], *read[1]])
    if metric is None:
        return
    for answers, stated in zip(read, (metric.base, metric.tuned), strict=True):
        mean = sum(answer.values[metric.name] for answer in answers) / len(answers)
        if abs(mean - stated) > TOLERANCE:
            raise Unusable(f"{metric.name} of the samples is {mean:.4f} and {stated:.4f} in the results")


def _verdict(metrics: list[Metric], answers: list[Answer]) -> Metric | None:
    """Return the metric whose value for each question, 0 or 1, says whether the answer is right."""
    rank = {name: place for place, name in enumerate(_VERDICTS)}
    for metric in sorted(metrics, key=lambda m: rank.get(m.name, len(rank))):
        known = metric.name in rank or _VERDICT.fullmatch(metric.name)
        if known and metric.direction == "higher" and all(a.values.get(metric.name) in (0, 1) for a in answers):
            return metric
    return None


def _judge(task: Task, kind: str) -> None:
    """Take over the harness' verdicts, and name references where they are known."""
    answers = [*task.base, *task.tuned]
    metric = _verdict(task.metrics, answers)
    if metric is not None:
        metric.verdict = True
        for answer in answers:
            answer.correct = bool(answer.values[metric.name])
    if answers[0].candidates:
        by: Literal["log-likelihood", "log-likelihood per character"] = "log-likelihood"
        if metric is not None and metric.name == "acc_norm":
            by = "log-likelihood per character"
            for answer in answers:
                lengths = [max(len(text), 1) for text in answer.candidates or ()]
                _choose(answer, [s / n for s, n in zip(answer.scores or (), lengths, strict=True)])
        task.method = f"Of the candidates, the one with the highest {by} after the prompt (lm-evaluation-harness)."
        readings: tuple[Callable[[Answer], tuple[str, ...]], ...] = (_by_index, _by_text)
        for reading in readings if metric is not None else ():
            read = [reading(answer) for answer in answers]
            if all(r and (a.answer in r) == a.correct for a, r in zip(answers, read, strict=True)):
                for answer, references in zip(answers, read, strict=True):
                    answer.references = references
                break
    elif kind == "loglikelihood" or answers[0].references:
        task.method = "Whether the reference is the most likely continuation, token by token (lm-evaluation-harness)."
    else:
        task.method = "Greedy or sampled generation as the task's config says (lm-evaluation-harness)."
        if any(_COMPARED.match(m.name) for m in ([metric] if metric is not None else task.metrics)):
            for answer in answers:
                answer.references = _by_text(answer)
    if any(answer.references for answer in answers):
        for answer in answers:
            answer.columns.pop("target", None)


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
    candidates, targets = answer.candidates or (), _targets(answer)
    places = [int(target) for target in targets if re.fullmatch(r"\d{1,6}", target, re.ASCII)]
    return tuple(candidates[p] for p in places if p < len(candidates)) if len(places) == len(targets) else ()


def _by_text(answer: Answer) -> tuple[str, ...]:
    return _targets(answer)
