"""Results of lm-evaluation-harness: `lm_eval run … --output_path DIR --log_samples`, each model in a folder or a file of its own."""

from __future__ import annotations

import ast
import math
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from src.record.errors import InputError, printable
from src.record.files import read_text, untrusted_json
from src.record.model_name import parse_model_name, shown_model
from src.record.schemas import Uncertainty

from .answers import TOLERANCE, Answer, Import, Metric, Task, Unusable
from .reading import (
    ADAPTERS,
    LARGEST,
    MALFORMED,
    check_sides,
    collapsed,
    few,
    finite,
    json_rows,
    mapping,
    settings,
    unique_names,
)

TOOL = "lm-evaluation-harness"
ANOTHER = "(another continuation)"
"""Stands for an answer of which only is known that it was not the reference."""

_HINT = "Give the folder of one model's results: `lm_eval run … --output_path DIR --log_samples`."
_RESULTS = "results as lm_eval writes them"
_DATE = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?"
_VERDICTS = ("acc", "exact_match", "em", "prompt_level_strict_acc", "pass@1", "pass_at_1", "math_verify")
_VERDICT = re.compile(r"(?:.+_)?(?:acc|acc_norm|accuracy|exact_match|exact|em|correct|extractive_match|pass@1)")
"""Metrics whose value for one question, 0 or 1, is a verdict; those of `_VERDICTS` come first."""

_DECISIVE = re.compile(
    r"(?:model_)?dtype|load_in_[48]bit|quantization|max_(?:gen_toks|length|model_len|tokens)|add_bos_token|prefix_token_id|fewshot_as_multiturn|limit|"
    r"do_sample|temperature|top_[kp]|num_beams|enable_thinking|truncation|lm_eval_version|model|(?:random_|numpy_|torch_|fewshot_)?seed"
)
"""Settings that can change answers; `model` is the kind of engine."""

_SHARE = re.compile(rf"{_VERDICT.pattern}|pass@\d+")
_COMPARED = re.compile(r"acc|exact|em$|f1|bleu|rouge|chrf|ter$|wer|cer|anls|math_verify|extractive_match")
"""Metrics that compare an answer with the target, so that the target is an answer too."""


@dataclass
class HarnessRun:
    """All results of one model, of one call of lm_eval or of several.

    Attributes:
        files: The results files that were read.
        data: Their contents; of several, the dictionaries by task are merged, and the rest is the first file's.
        samples: Each task's samples, if there are any.
    """

    files: list[Path]
    data: dict[str, Any]
    samples: dict[str, Path]

    def part(self, name: str) -> dict[str, Any]:
        """Return one of the results' dictionaries."""
        return mapping(self.data.get(name))

    @cached_property
    def model_args(self) -> dict[str, str]:
        """What the model was loaded from."""
        given = self.part("config").get("model_args")
        if isinstance(given, str):
            pairs = (part.partition("=") for part in re.split(r",(?=\s*[\w.-]+=)", given))
            given = {key.strip(): value for key, _, value in pairs if key.strip()}
        return {str(key): str(value) for key, value in mapping(given).items() if value not in (None, "", "None")}

    @property
    def model(self) -> str:
        """The model as it was named, possibly by a path, without an adapter."""
        args = self.model_args
        named = next((args[key] for key in ("pretrained", "model", "path", "engine") if key in args), None)
        return str(named or self.data.get("model_name") or self.files[0].parent.name.replace("__", "/"))

    @property
    def adapter(self) -> str | None:
        """The adapter, or the delta weights."""
        return next((self.model_args[key] for key in ADAPTERS if key in self.model_args), None)

    @property
    def name(self) -> str:
        """Model and adapter as they may be printed."""
        return " with ".join(shown_model(given) for given in (self.model, self.adapter) if given)

    @property
    def identity(self) -> str:
        """What distinguishes the model from others."""
        parsed = [parse_model_name(given or "") for given in (self.model, self.adapter)]
        folders = [given for given, name in zip((self.model, self.adapter), parsed, strict=True) if name.local]
        return repr((parsed, folders, *(self.model_args.get(key) for key in ("revision", "subfolder", "gguf_file"))))

    def numbers(self, task: str) -> dict[tuple[str, str], float]:
        """Return what is stated of a task or group by metric and filter, standard errors included."""
        stated = {str(key).partition(","): value for key, value in mapping(self.part("results").get(task)).items()}
        return {
            (metric, filtered): float(value) if abs(value) < LARGEST else math.inf  # which is left out later, and said
            for (metric, comma, filtered), value in stated.items()
            if comma and isinstance(value, int | float) and not isinstance(value, bool)
        }

    def filters(self, task: str) -> list[str]:
        """Return a task's filters, in the order of the results."""
        return list(dict.fromkeys(filtered for _, filtered in self.numbers(task)))

    def stated(self, task: str) -> list[Any]:
        """Return what two results of one task must share."""
        numbers = {key: value for key, value in self.numbers(task).items() if not key[0].endswith("_stderr")}
        return [numbers, *(self.part(name).get(task) for name in ("versions", "n-shot", "n-samples"))]

    def members(self, group: str) -> tuple[str, ...]:
        """Return the tasks of a group, those of groups in it included; empty for a task."""
        found: dict[str, None] = {}
        seen, left = {group}, [group]
        while left:
            name = left.pop(0)
            stated = self.part("group_subtasks").get(name)
            inside = [str(one) for one in stated] if isinstance(stated, list) else []
            if not inside and name != group:
                found[name] = None
            left += [one for one in inside if one not in seen]
            seen.update(inside)
        return tuple(found)

    def add(self, other: HarnessRun, path: Path) -> None:
        """Merge another call's results.

        Raises:
            InputError: Both have a task, with different results.
        """
        for task in self.part("results").keys() & other.part("results").keys():
            if self.stated(task) != other.stated(task):
                raise InputError(
                    path, key=f"results.{task}", found=f"different results in {few(file.name for file in (*self.files, *other.files))}",
                    expected="one result per task", hint="Move one of the two files away, or name the file to import.",
                )  # fmt: skip
        for name, part in other.data.items():
            if isinstance(part, dict) and name != "config":
                self.data[name] = part | self.part(name)
        self.samples = other.samples | self.samples
        self.files += other.files


def read_run(path: Path, said: list[str]) -> HarnessRun:
    """Read one model's results.

    Args:
        path: A folder with results of one model, under any names; or one results file.
        said: Gets what was left out.

    Raises:
        InputError: There are none, they are of several models or of an older version, or state a task twice with different results.
    """
    runs, refused = [], []
    for candidate in [path] if path.is_file() else sorted(path.rglob("*.json")):
        try:
            runs.append(_results_file(candidate))
        except InputError as error:
            refused.append(error)
            said += [f"{candidate.name}: left out: {error.found}"] if candidate.name.startswith("results") else []
    if not runs and refused:
        raise next((error for error in refused if error.expected != _RESULTS), refused[0])
    if not runs:
        samples = sum(1 for _ in path.rglob("samples_*.jsonl")) if path.is_dir() else 0
        found = f"{samples} files of samples without results" if samples else "0 files of results"
        raise InputError(
            path, found=found if path.exists() else "no such file or folder", expected=_RESULTS, hint=_HINT
        )
    models = {run.identity: f"{run.files[0].name} of {run.name}" for run in runs}
    if len(models) > 1:
        raise InputError(
            path, found=f"results of {len(models)} models: {few(models.values())}", expected="results of one model",
            hint="Name the file of one model, or move each model's files to a folder of its own.",
        )  # fmt: skip
    for other in runs[1:]:
        runs[0].add(other, path)
    return runs[0]


def _results_file(path: Path) -> HarnessRun:
    try:
        data = mapping(untrusted_json(read_text(path, _HINT)))
    except ValueError:
        what = "samples, not results" if path.suffix == ".jsonl" else "no results, since it is not valid JSON"
        raise InputError(path, found=what, expected=_RESULTS, hint=_HINT) from None
    results, version = data.get("results"), str(data.get("lm_eval_version") or "")
    if not isinstance(results, dict):
        raise InputError(path, found="no results", expected=_RESULTS, hint=_HINT)
    numbers = re.match(r"(\d+)\.(\d+)\.?(\d*)", version)
    stated = [str(key) for task in results.values() for key in mapping(task)]
    old = None
    if "config_general" in data:
        old = "lighteval"
    elif numbers is not None:
        old = f"lm_eval {version}" if [int(n or 0) for n in numbers.groups()] < [0, 4, 3] else None
    elif "configs" in data:
        old = None if "higher_is_better" in data else "lm_eval 0.4.0 to 0.4.2"
    elif "versions" in data and stated and not any("," in key for key in stated):
        old = "lm_eval 0.3 or older"
    if old:
        raise InputError(
            path, found=f"results of {old}", expected="results of lm_eval 0.4.3 or later",
            hint="Evaluate again with a newer lm_eval; samples of this version cannot be read.",
        )  # fmt: skip
    samples = {task: found for task in results if (found := _samples(path, task)) is not None}
    return HarnessRun([path], data, samples)


def _samples(results: Path, task: str) -> Path | None:
    """Find a task's samples: those of the same date, or the only ones if the results' name has no date."""
    date = re.search(_DATE + "$", results.stem)
    names = {re.sub(kind, "_", task)[:150] for kind in (r"\W", r"[/\\\0]")}
    if date:
        found = [path for name in names if (path := results.with_name(f"samples_{name}_{date[0]}.jsonl")).is_file()]
    else:
        pattern = re.compile(rf"samples_(?:{'|'.join(map(re.escape, names))})(?:_{_DATE})?\.jsonl")
        found = [path for path in results.parent.iterdir() if pattern.fullmatch(path.name)]
    return found[0] if len(found) == 1 else None


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
    runs = first, second = read_run(base, said), read_run(tuned, said)
    path = second.files[0]
    check_sides(path, "config.model_args", (first.identity, first.adapter), (second.identity, second.adapter))
    if first.adapter:
        said.append(f"the base run has an adapter too: {first.name}")
    for run, other in (runs, runs[::-1]):
        alone = [name for name in run.part("results") if name not in other.part("results") and run.numbers(name)]
        if alone:
            said.append(f"left out, since only the run of {run.name} has them: {', '.join(map(printable, alone))}")
    said += _unlike(*(settings(run.model_args, run.part("config"), run.data) for run in runs))
    tasks: list[Task] = []
    shared = [name for name in first.part("results") if name in second.part("results") and first.numbers(name)]
    names = unique_names(shared)
    for name in sorted(shared, key=lambda name: not first.members(name)):  # groups first, which readers look for
        try:
            tasks.append(_task(runs, name, names, wanted_filter, said))
        except Unusable as why:
            said.append(f"{name}: left out: {why}")
    if all(task.members for task in tasks):
        reasons = "; ".join(line for line in collapsed(said) if "left out" in line)
        raise InputError(
            path, found=f"no task that can be imported ({reasons[:140] or 'none has numbers'})", expected="a task that both runs have",
            hint="Evaluate both models on the same tasks, with one version and the same settings.",
        )  # fmt: skip
    version = str(first.data.get("lm_eval_version") or "")
    kept: dict[str, Any] = {"filter": wanted_filter}
    for side, run in zip(("base", "finetuned"), runs, strict=True):
        args = settings(run.model_args)
        kept[side] = {**settings(run.part("config"), run.data), "model_args": args, "calls": len(run.files)}
    for part in ("n-samples", "n-shot", "versions"):
        kept[part.replace("-", "_")] = {task: _plain(first.part(part).get(task)) for task in shared}
    return Import(
        f"{TOOL} {version}" if re.fullmatch(r"[\w.+-]{1,40}", version) else TOOL, first.model, second.model, second.adapter,
        tasks, ([*first.files, *first.samples.values()], [*second.files, *second.samples.values()]), kept, collapsed(said),
    )  # fmt: skip


def _unlike(base: dict[str, Any], tuned: dict[str, Any]) -> list[str]:
    """Say which settings that can change answers differ between the two runs."""
    found = [
        key
        for key in sorted(base.keys() | tuned.keys())
        if _DECISIVE.fullmatch(key) and base.get(key) != tuned.get(key)
    ]
    stated = ((key, *(side.get(key, "not stated") for side in (base, tuned))) for key in found)
    each = [f"{key} {ours} (base run) and {theirs} (tuned run)" for key, ours, theirs in stated]
    return [f"the runs differ in their settings: {'; '.join(each)}"] if each else []


def _plain(value: Any) -> Any:
    """Return the numbers of a setting."""
    if isinstance(value, dict):
        return {str(key): inner for key, inner in value.items() if isinstance(inner, int)}
    return value if isinstance(value, int | float) and abs(value) < LARGEST else None


def _task(
    runs: tuple[HarnessRun, HarnessRun], name: str, names: dict[str, str], wanted: str | None, said: list[str]
) -> Task:
    """Read a task, or a group of tasks.

    Raises:
        Unusable: The runs do not agree on how it was evaluated, or state no metric that can be compared.
    """
    first, second = runs
    members = first.members(name)
    if sorted(members) != sorted(second.members(name)):
        raise Unusable("the group has other tasks in the other run")
    for part, what in (("versions", "version"), ("n-shot", "number of solved examples")):
        ours, theirs = first.part(part).get(name), second.part(part).get(name)
        if ours != theirs:
            stated = f"{_plain(theirs)} in the tuned run and {_plain(ours)} in the base run"
            raise Unusable(f"{what} {stated}; evaluate both alike")
    filters = first.filters(name)
    if len(filters) > 1 and wanted and wanted not in filters:
        raise Unusable(f"it has several filters, and {wanted} is not among them: {', '.join(sorted(filters))}")
    if len(filters) > 1 and not wanted:
        raise InputError(
            first.files[0], key=f"results.{name}", found=f"answers by several filters: {', '.join(sorted(filters))}",
            expected="one to count", hint="Choose with --filter.",
        )  # fmt: skip
    chosen = str(wanted) if wanted in filters else filters[0]
    numbers = [{m: value for (m, f), value in run.numbers(name).items() if f == chosen} for run in runs]
    known = tuple(names.get(member, "") for member in members)
    task = Task(names[name], "As lm-evaluation-harness states it.", [], members=known)
    for metric in [m for m in numbers[0] if m in numbers[1] and not m.endswith("_stderr")]:
        directions = [mapping(first.part("higher_is_better").get(of)).get(metric) for of in (name, *members)]
        better = next((direction for direction in directions if isinstance(direction, bool)), None)
        values = numbers[0][metric], numbers[1][metric]
        if better is None or not all(map(math.isfinite, values)):
            why = "which way is better is not stated" if better is None else "not a number"
            said.append(f"{name}: left out: {metric} ({why})")
            continue
        errors = [stated.get(f"{metric}_stderr", math.nan) for stated in numbers]
        noted = [Uncertainty(standard_error=error) if 0 <= error < math.inf else None for error in errors]
        found = Metric(metric, "higher" if better else "lower", *values, uncertainty=(noted[0], noted[1]))
        found.unit = "proportion" if _SHARE.fullmatch(metric) and all(0 <= value <= 1 for value in values) else None
        task.metrics.append(found)
    if not task.metrics:
        raise Unusable("no metric that both runs state as a number")
    if not members:
        shots = first.part("n-shot").get(name)
        task.few_shot = shots if isinstance(shots, int) and shots >= 0 else None
        _add_answers(task, name, runs, chosen, said)
    return task


def _add_answers(task: Task, name: str, runs: tuple[HarnessRun, HarnessRun], chosen: str, said: list[str]) -> None:
    """Add both models' answers to a task; where they cannot be read, say so and leave the metrics as stated."""
    config = mapping(runs[0].part("configs").get(name))
    read = []
    try:
        for run, side in zip(runs, ("base", "tuned"), strict=True):
            read.append(
                _read(run.samples[name], run.filters(name), chosen, task.metrics, config) if name in run.samples else []
            )
            _check_mean(task.metrics, read[-1], side)
    except Unusable as why:
        said.append(f"{name}: its answers are left out and only its metrics imported: {why}")
        return
    if not all(read):
        said.append(f"{name}: no answers to single questions in both runs (--log_samples), so no tests")
        return
    task.join(read[0], read[1], _difference(*runs))
    if task.prompts_differ:
        said.append(f"{name}: {task.prompts_differ}")
    if task.unpaired:
        said.append(f"{name}: {task.unpaired} answers have no partner in the other run and are left out")
    lists = [metric.name for metric in task.metrics if all(metric.name not in answer.values for answer in task.base)]
    if lists:
        said.append(f"{name}: imported as stated, since they have no number for each question: {few(lists)}")
    _judge(task)


def _difference(first: HarnessRun, second: HarnessRun) -> str | None:
    """Say why the two models' prompts may differ; None if nothing stated explains it."""
    found = []
    for what in ("chat template", "system instruction"):
        key = what.replace(" ", "_")
        ours, theirs = (run.data.get(f"{key}_sha") or run.data.get(key) or None for run in (first, second))
        if what == "chat template":
            ours, theirs = (
                one or "chat" in str(run.part("config").get("model")) or None
                for one, run in ((ours, first), (theirs, second))
            )
        if ours and theirs:
            how = "the same" if ours == theirs else "different"
            found.append(
                f"The two models' prompts differ; they use {how} {what}s.".replace(
                    "same chat templates", "same chat template"
                )
            )
        elif ours != theirs:
            found.append(f"Only the {'base' if ours else 'fine-tuned'} model's prompts use a {what}.")
    return " ".join(found) or None


def _read(path: Path, filters: list[str], chosen: str, metrics: list[Metric], config: dict[str, Any]) -> list[Answer]:
    """Read a task's samples; empty where they are of texts as a whole.

    Before lm_eval 0.4.6 samples do not name their filter: the answers by one filter follow those by another, in the results' order.

    Raises:
        Unusable: A line is malformed, or a question is duplicated.
    """
    if config.get("output_type") == "loglikelihood_rolling":
        return []
    answers: dict[str, Answer] = {}
    times: dict[str, int] = {}
    for where, sample in json_rows(path):
        try:
            key = str(sample["doc_id"])
            times[key] = times.get(key, -1) + 1
            if sample.get("filter", filters[times[key] % len(filters)]) != chosen:
                continue
            if key in answers:
                raise Unusable(f"doc_id {key[:40]} is duplicated in {path.name}; two runs may have written it")
            answers[key] = _answer(where, key, sample, metrics, config)
        except MALFORMED:
            raise Unusable(f"{where} is not a sample as lm_eval writes it; the file may be cut short") from None
    return list(answers.values())


def _answer(where: str, key: str, sample: dict[str, Any], metrics: list[Metric], config: dict[str, Any]) -> Answer:
    arguments = [sample["arguments"][f"gen_args_{i}"] for i in range(len(sample["arguments"]))]
    responses, doc, target = list(sample["filtered_resps"]), sample["doc"], str(sample["target"])
    if not responses:
        raise KeyError("filtered_resps")
    answer = Answer(key, (str(sample.get("doc_hash") or doc), target), _prompt(arguments[0]["arg_0"]), "")
    for name in (metric.name for metric in metrics):
        if isinstance(sample.get(name), int | float):
            answer.values[name] = finite(sample[name], f"{name} in {where}")
    answer.columns = {**(doc if isinstance(doc, dict) else {"doc": doc}), "target": target}
    kind = config.get("output_type")
    pairs = all(isinstance(one, list) and len(one) == 2 and str(one[1]) in ("True", "False") for one in responses)
    if pairs and kind in ("multiple_choice", None if len(responses) > 1 else ""):
        likely = [finite(response[0], f"a log-likelihood in {where}") for response in responses]
        if len(likely) != len(arguments):
            raise IndexError("filtered_resps")
        half = len(likely) // 2
        if len(likely) % 2 == 0 and half and all(a["arg_0"] == "" for a in arguments[half:]):
            likely, arguments = likely[:half], arguments[:half]  # the rest are the candidates without the question
        answer.prompt, answer.candidates = _candidates(arguments, str(config.get("target_delimiter", " ")))
        answer.scores = tuple(likely)
        answer.choose(likely)
    elif pairs:
        reference = str(arguments[0]["arg_1"]).strip()
        answer.references = (reference,)
        answer.score = finite(responses[0][0], f"a log-likelihood in {where}")
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
    """Return the prompt and the candidates; where the prompts differ and not what follows, the candidates are what differs in them."""
    prompts = [_prompt(argument["arg_0"]) for argument in arguments]
    prompt, named = prompts[0], [str(argument["arg_1"]).removeprefix(delimiter) for argument in arguments]
    if len(set(prompts)) > 1:
        common = os.path.commonprefix(prompts)  # noqa: RUF071 - the prefix of any texts
        common = common[: common.rfind(" ") + 1]
        prompt, named = common.rstrip(), [text.removeprefix(common) for text in prompts]
    if len(set(named)) < len(named):
        named = [f"{text} ({i + 1})" if named.count(text) > 1 else text for i, text in enumerate(named)]
    return prompt, tuple(named)


def _verdict(metrics: list[Metric], answers: list[Answer]) -> Metric | None:
    """Return the metric whose value for each question, 0 or 1, says whether the answer is right."""
    rank = {name: place for place, name in enumerate(_VERDICTS)}
    for metric in sorted(metrics, key=lambda metric: rank.get(metric.name, len(rank))):
        known = metric.direction == "higher" and (metric.name in rank or _VERDICT.fullmatch(metric.name))
        if known and all(answer.values.get(metric.name) in (0, 1) for answer in answers):
            return metric
    return None


def _check_mean(metrics: list[Metric], answers: list[Answer], side: str) -> None:
    """Refuse samples of another run: their verdicts must have the stated mean."""
    metric = _verdict(metrics, answers) if answers else None
    if metric is not None:
        mean = sum(answer.values[metric.name] for answer in answers) / len(answers)
        stated = metric.base if side == "base" else metric.tuned
        if abs(mean - stated) > TOLERANCE:
            raise Unusable(
                f"{metric.name} of the {side} run is {mean:.4f} in its samples and {stated:.4f} in its results"
            )


def _judge(task: Task) -> None:
    """Take over the harness' verdicts, and name references where they are known."""
    answers = [*task.base, *task.tuned]
    metric = _verdict(task.metrics, answers)
    if metric is not None:
        metric.verdict = True
        for answer in answers:
            answer.correct = bool(answer.values[metric.name])
    if answers[0].candidates:
        by = "log-likelihood"
        if metric is not None and metric.name == "acc_norm":
            by = "log-likelihood per character"
            for answer in answers:
                candidates = zip(answer.scores or (), answer.candidates or (), strict=True)
                answer.choose([score / max(len(text), 1) for score, text in candidates])
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
    for answer in answers:
        if answer.references:
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
    places = [int(target) for target in targets if re.fullmatch(r"[0-9]{1,6}", target)]
    return tuple(candidates[p] for p in places if p < len(candidates)) if len(places) == len(targets) else ()
