"""Results of lm-evaluation-harness: `lm_eval run … --output_path DIR --log_samples`, one run for each model."""

from __future__ import annotations

import ast
import math
import os
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.record.errors import InputError
from src.record.files import read_text, text_lines, untrusted_json

from .answers import Answer, Import, Metric, Task, finite, mapping, paired, safe_name

TOOL = "lm-evaluation-harness"
ANOTHER = "(another continuation)"
"""What stands for an answer of which it is only known that it was not the reference."""

_HINT = "Give the folder of a run: `lm_eval run … --output_path DIR --log_samples`."
Reading = Callable[[Answer, str], tuple[str, ...]]
"""How the answers that count as right follow from a target; none where it cannot be read so."""


@dataclass(frozen=True)
class HarnessRun:
    """One run: one model, some tasks."""

    path: Path
    data: dict[str, Any]

    @property
    def model_args(self) -> dict[str, str]:
        """What the model was loaded from."""
        given = self.part("config").get("model_args")
        if isinstance(given, str):
            pairs = (part.partition("=") for part in given.split(","))
            given = {key.strip(): value for key, _, value in pairs if key.strip()}
        return {str(key): str(value) for key, value in mapping(given).items()}

    @property
    def model(self) -> str:
        """The model's name, without an adapter."""
        args = self.model_args
        found = next((args[key] for key in ("pretrained", "model", "path", "engine") if args.get(key)), None)
        return found or str(self.data.get("model_name") or self.path.parent.name)

    @property
    def adapter(self) -> str | None:
        """The adapter, which stands only among the model's arguments."""
        return self.model_args.get("peft") or None

    def part(self, name: str) -> dict[str, Any]:
        """Return one of the results' dictionaries."""
        return mapping(self.data.get(name))

    def samples(self, task: str) -> Path:
        """Return where a task's samples lie."""
        inside = re.sub(r"[/\\\0]", "_", task)[:150]
        return self.path.with_name(f"samples_{inside}_{self.path.stem.removeprefix('results_')}.jsonl")


def read_run(path: Path) -> HarnessRun:
    """Read a run's results.

    Args:
        path: Its folder, or its `results_DATE.json`.

    Raises:
        InputError: There are none or several, or the file is malformed.
    """
    found = [path] if path.is_file() else sorted(path.rglob("results_*.json"))
    if len(found) != 1:
        raise InputError(
            path, found=f"{len(found)} files results_*.json", expected="one run of one model",
            hint="Name the file itself." if found else _HINT,
        )  # fmt: skip
    try:
        data = untrusted_json(read_text(found[0], _HINT))
    except ValueError:
        data = None
    if not isinstance(data, dict) or not isinstance(data.get("results"), dict):
        raise InputError(found[0], found="no results", expected="what lm_eval writes as results_DATE.json", hint=_HINT)
    return HarnessRun(found[0], data)


def import_lm_eval(base: Path, tuned: Path, wanted_filter: str | None = None) -> Import:
    """Read two runs and join them.

    Args:
        base: The base model's run.
        tuned: The tuned model's run.
        wanted_filter: Which filter's answers count, where a task has several.

    Raises:
        InputError: A file is missing or malformed, the runs do not belong together, or a task can be read in more than one way.
    """
    first, second = read_run(base), read_run(tuned)
    if first.model_args == second.model_args and first.model == second.model:
        raise InputError(
            second.path, key="config.model_args", found=f"the base run's model, {first.model}", expected="another model",
            hint="Give the base model's run first and the tuned model's second.",
        )  # fmt: skip
    said: list[str] = []
    tasks = [task for name in _tasks(first, second, said) if (task := _task(first, second, name, wanted_filter, said))]
    if not tasks:
        raise InputError(second.path, found="no task that the base run holds too", expected="one at least", hint=_HINT)
    names = [task.name for task in tasks]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InputError(second.path, key=twice, found="two tasks of that name", expected="one", hint="Leave one out.")
    version = first.data.get("lm_eval_version")
    settings = {
        "base": _settings(first), "finetuned": _settings(second),
        "n_samples": first.part("n-samples"), "n_shot": first.part("n-shot"), "versions": first.part("versions"),
        "task_hashes": first.part("task_hashes"), "filter": wanted_filter,
    }  # fmt: skip
    files = [run.path for run in (first, second)]
    files += [p for run in (first, second) for t in first.part("results") if (p := run.samples(t)).is_file()]
    return Import(
        f"{TOOL} {version}" if version else TOOL,
        first.model,
        second.model,
        second.adapter,
        tasks,
        files,
        settings,
        said,
    )


def _settings(run: HarnessRun) -> dict[str, Any]:
    config = run.part("config")
    keys = ("model", "model_dtype", "model_revision", "model_sha", "batch_size", "device", "limit", "random_seed")
    more = (
        "lm_eval_version",
        "transformers_version",
        "git_hash",
        "date",
        "chat_template_sha",
        "system_instruction_sha",
    )
    return {
        "model_args": run.model_args,
        **{key: config[key] for key in keys if config.get(key) not in (None, "")},
        **{key: run.data[key] for key in more if run.data.get(key) not in (None, "")},
    }


def _numbers(run: HarnessRun, task: str) -> dict[tuple[str, str], float]:
    """Return a task's numbers by metric and filter; standard errors are left to be computed again."""
    found = {}
    for key, value in mapping(run.part("results").get(task)).items():
        metric, _, filtered = str(key).partition(",")
        if (
            filtered
            and not metric.endswith("_stderr")
            and isinstance(value, int | float)
            and not isinstance(value, bool)
        ):
            found[(metric, filtered)] = float(value)
    return found


def _tasks(first: HarnessRun, second: HarnessRun, said: list[str]) -> Iterator[str]:
    """Yield the tasks that both runs hold; groups are sums over others."""
    groups = {name for run in (first, second) for name, inside in run.part("group_subtasks").items() if inside}
    ours, theirs = (
        [name for name in run.part("results") if name not in groups and _numbers(run, name)] for run in (first, second)
    )
    for run, names, others in ((first, ours, theirs), (second, theirs, ours)):
        alone = [name for name in names if name not in others]
        if alone:
            said.append(f"left out, as only {run.path.name} of {run.model} holds them: {_few(alone)}")
    yield from (name for name in ours if name in theirs)


def _few(names: list[str]) -> str:
    return f"{', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"


def _task(first: HarnessRun, second: HarnessRun, name: str, wanted: str | None, said: list[str]) -> Task | None:
    for part, what in (("versions", "version"), ("n-shot", "number of solved examples")):
        ours, theirs = (run.part(part).get(name) for run in (first, second))
        if ours != theirs:
            raise InputError(
                second.path, key=f"{part}.{name}", found=f"{what} {theirs}", expected=f"{ours}, as in the base run",
                hint="Evaluate both models with the same version of the task and the same settings.",
            )  # fmt: skip
    chosen = _filter(second.path, name, {f for _, f in _numbers(first, name)}, wanted)
    stated = [{m: v for (m, f), v in _numbers(run, name).items() if f == chosen} for run in (first, second)]
    metrics = []
    for metric in stated[0].keys() & stated[1].keys():
        better = mapping(first.part("higher_is_better").get(name)).get(metric)
        values = stated[0][metric], stated[1][metric]
        if better is None or not all(math.isfinite(value) for value in values):
            why = "which way is better is not stated" if better is None else "not a number"
            said.append(f"left out: {metric} of {name} ({why})")
            continue
        metrics.append(Metric(metric, "higher" if better else "lower", *values))
    if not metrics:
        return None
    metrics.sort(key=lambda m: list(stated[0]).index(m.name))
    task = Task(safe_name(name), "As lm-evaluation-harness states it.", metrics)
    shots = first.part("n-shot").get(name)
    task.few_shot = shots if isinstance(shots, int) else None
    config = mapping(first.part("configs").get(name))
    if not (first.samples(name).is_file() and second.samples(name).is_file()):
        said.append(f"{name}: no samples in both runs (--log_samples), so no intervals and no tests")
        return task
    read = [_read(run.samples(name), name, chosen, config) for run in (first, second)]
    if not all(read):
        said.append(f"{name}: no answers of single questions, so no intervals and no tests")
        return task
    task.base, task.tuned, task.unpaired = paired(second.samples(name), name, *read)
    if task.unpaired:
        said.append(f"{name}: {task.unpaired} answers have no partner in the other run and are left out")
    _judge(second.samples(name), name, task, config, said)
    return task


def _filter(path: Path, task: str, filters: set[str], wanted: str | None) -> str:
    if len(filters) == 1:
        return next(iter(filters))
    if wanted in filters:
        return str(wanted)
    raise InputError(
        path, key=f"results.{task}", found=f"answers by several filters: {', '.join(sorted(filters))}", expected="one to count",
        hint="Choose with --filter.",
    )  # fmt: skip


def _read(path: Path, task: str, wanted: str, config: dict[str, Any]) -> list[Answer]:
    """Read a task's samples; empty where they are of texts as a whole.

    Raises:
        InputError: A line is malformed, or a question comes twice.
    """
    kind = config.get("output_type")
    answers: list[Answer] = []
    seen: set[str] = set()
    for number, line in enumerate(text_lines(path, _HINT), 1):
        where = f"line {number}"
        try:
            sample = untrusted_json(line)
            if sample.get("filter", "none") != wanted:
                continue
            answer = _answer(path, where, sample, kind, config)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise InputError(
                path, key=where, found=line.strip()[:80], expected="a sample as lm_eval writes it",
                hint="The file may have been cut short; evaluate the task again.",
            ) from None  # fmt: skip
        if answer is None:
            return []
        if answer.key in seen:
            raise InputError(
                path, key=where, found=f"doc_id {answer.key} twice", expected="each question once",
                hint="Two runs may have written into this file; evaluate the task again into an empty folder.",
            )  # fmt: skip
        seen.add(answer.key)
        answers.append(answer)
    return answers


def _answer(path: Path, where: str, sample: dict[str, Any], kind: str | None, config: dict[str, Any]) -> Answer | None:
    arguments = [sample["arguments"][f"gen_args_{i}"] for i in range(len(sample["arguments"]))]
    responses = sample["filtered_resps"]
    checks = tuple(str(sample.get(name)) for name in ("doc_hash", "prompt_hash", "target_hash"))
    values = {}
    for name in sample.get("metrics") or ():
        value = sample[name]
        if isinstance(value, int | float):
            values[name] = finite(path, f"{where}, {name}", value)
    doc = sample["doc"]
    answer = Answer(
        str(sample["doc_id"]), checks, str(arguments[0]["arg_0"]), (str(sample["target"]),), "", values=values
    )
    answer.columns = dict(doc) if isinstance(doc, dict) else {"doc": doc}
    if kind == "loglikelihood_rolling":
        return None
    if kind == "multiple_choice":
        likely = [finite(path, f"{where}, filtered_resps", response[0]) for response in responses]
        half = len(likely) // 2
        if len(likely) % 2 == 0 and half and all(a["arg_0"] == "" for a in arguments[half:]):
            likely, arguments = likely[:half], arguments[:half]  # the rest are the candidates without the question
        answer.prompt, answer.candidates = _candidates(arguments, str(config.get("target_delimiter", " ")))
        answer.scores = tuple(likely)
        best = max(range(len(likely)), key=likely.__getitem__)
        answer.answer, answer.score = answer.candidates[best], likely[best]
        return answer
    response = responses[0]
    if kind == "loglikelihood":
        reference = str(arguments[0]["arg_1"]).strip()
        answer.references = (reference,)
        answer.score = finite(path, f"{where}, filtered_resps", response[0])
        answer.answer = reference if str(response[1]) == "True" else ANOTHER
        return answer
    if isinstance(response, list):
        if len(response) != 1:
            raise InputError(
                path, key=where, found=f"{len(response)} answers to one question", expected="one",
                hint="Evaluate with repeats: 1, or with a filter that chooses one.",
            )  # fmt: skip
        response = response[0]
    answer.answer = str(response)
    return answer


def _candidates(arguments: list[dict[str, Any]], delimiter: str) -> tuple[str, tuple[str, ...]]:
    """Return the prompt and the candidates; where the prompts differ and not what follows, the candidates are what differs in them."""
    prompts = [str(argument["arg_0"]) for argument in arguments]
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


def _judge(path: Path, name: str, task: Task, config: dict[str, Any], said: list[str]) -> None:
    """Find the reading of the targets under which the answers are right exactly where the harness says so."""
    kind = config.get("output_type")
    deciding = {"multiple_choice": "acc", "loglikelihood": "acc"}.get(str(kind), "exact_match")
    answers = [*task.base, *task.tuned]
    verdicts = [answer.values.get(deciding) for answer in answers]
    known = all(verdict in (0, 1) for verdict in verdicts)
    targets = [answer.references[0] for answer in answers]
    if kind == "multiple_choice":
        task.method = (
            "Of the candidates, the one with the highest log-likelihood after the prompt (lm-evaluation-harness)."
        )
        readings: list[Reading] = [_by_index, _by_text]
    elif kind == "loglikelihood":
        task.method = "Whether the reference is the most likely continuation, token by token (lm-evaluation-harness)."
        readings = [lambda answer, _: answer.references]
    else:
        task.method = "Greedy or sampled generation as the task's config says (lm-evaluation-harness)."
        clean = _normaliser(config)
        for answer in answers:
            answer.answer = clean(answer.answer)
        readings = [lambda _, target: (clean(target),), lambda _, target: tuple(clean(t) for t in _listed(target))]
    everything = readings
    readings = [reading for reading in readings if _fits(answers, targets, reading, verdicts if known else None)]
    if readings:
        _refer(answers, targets, readings[0])
        if not known and len(readings) > 1 and kind == "multiple_choice":
            one = [answer.references for answer in answers]
            _refer(answers, targets, readings[1])
            if one != [answer.references for answer in answers]:
                raise InputError(
                    path, key="target", found="targets that are an index and a candidate both, and no acc to tell", expected="acc",
                    hint="Evaluate with the metric acc.",
                )  # fmt: skip
    else:
        _refer(answers, targets, everything[0])
        wrong = next(
            (a for a, verdict in zip(answers, verdicts, strict=True) if a.correct != bool(verdict)), answers[0]
        )
        judged_wrong = any(a.correct and not verdict for a, verdict in zip(answers, verdicts, strict=True))
        if kind == "multiple_choice" or judged_wrong:
            raise InputError(
                path, key=f"question {wrong.key}", found=f"{deciding} {wrong.values.get(deciding)} for the answer {wrong.answer!r}",
                expected=f"that of the target {targets[answers.index(wrong)]!r}, read as an index or as text",
                hint="The task judges answers in a way of its own; leave it out.",
            )  # fmt: skip
        _accept(task, deciding)
        task.method += " What is right was judged by the task's own code."
        said.append(f"{name}: right and wrong are as lm-evaluation-harness judged them")
    for metric in task.metrics:
        metric.exact = metric.name == deciding and known
        if not metric.exact and metric.name == deciding:
            said.append(f"{name}: {deciding} is no share of right answers, and is tested as a value")


def _refer(answers: list[Answer], targets: list[str], reading: Reading) -> None:
    for answer, target in zip(answers, targets, strict=True):
        answer.references = tuple(dict.fromkeys(reading(answer, target))) or (target,)


def _fits(answers: list[Answer], targets: list[str], reading: Reading, verdicts: list[float | None] | None) -> bool:
    """Tell whether under a reading of the targets every verdict follows, or, where there is none, every reference is a candidate."""
    for place, (answer, target) in enumerate(zip(answers, targets, strict=True)):
        references = reading(answer, target)
        if verdicts is not None and (answer.answer in references) != bool(verdicts[place]):
            return False
        if not references or (verdicts is None and answer.candidates and not set(references) <= set(answer.candidates)):
            return False
    return True


def _by_index(answer: Answer, target: str) -> tuple[str, ...]:
    candidates = answer.candidates or ()
    indices = _listed(target) or (target,)
    found = [int(i) for i in indices if re.fullmatch(r"\d{1,6}", str(i))]
    return tuple(candidates[i] for i in found if i < len(candidates)) if len(found) == len(indices) else ()


def _by_text(answer: Answer, target: str) -> tuple[str, ...]:
    texts = _listed(target) or (target,)
    return tuple(str(text) for text in texts)


def _listed(target: str) -> tuple[Any, ...]:
    """Read a target that is a list, which lm_eval writes as Python does; empty where it is none."""
    if not (target.startswith("[") and target.endswith("]") and len(target) < 100_000):
        return ()
    try:
        found = ast.literal_eval(target)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()
    return tuple(str(item) for item in found) if isinstance(found, list) else ()


def _normaliser(config: dict[str, Any]) -> Callable[[str], str]:
    """Return what the metric exact_match does to answers and targets before it compares them, as the task's config says."""
    listed = config.get("metric_list")
    metrics = map(mapping, listed if isinstance(listed, list) else ())
    settings = next((m for m in metrics if m.get("metric") == "exact_match"), {})
    try:
        ignored = [re.compile(pattern) for pattern in settings.get("regexes_to_ignore") or ()]
    except (re.error, TypeError):
        raise InputError(
            "the task's config", key="regexes_to_ignore", found=settings["regexes_to_ignore"],
            expected="regular expressions", hint="Leave the task out.",
        ) from None  # fmt: skip
    removed = (string.punctuation if settings.get("ignore_punctuation") else "") + (
        string.digits if settings.get("ignore_numbers") else ""
    )
    table = str.maketrans("", "", removed)

    def clean(text: str) -> str:
        for pattern in ignored:
            text = pattern.sub("", text)
        if settings.get("ignore_case"):
            text = text.lower()
        return text.translate(table)

    return clean


def _accept(task: Task, deciding: str) -> None:
    """Count the answers that the harness judged right among the references of their question."""
    for pair in zip(task.base, task.tuned, strict=True):
        judged = [answer.answer for answer in pair if answer.values[deciding]]
        references = tuple(dict.fromkeys([*pair[0].references, *judged]))
        for answer in pair:
            answer.references = references
