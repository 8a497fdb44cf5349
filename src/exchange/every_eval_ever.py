"""Results in the community's shared form, Every Eval Ever: an aggregate JSON for each model, with the JSONL of its answers next to it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from src.record.errors import InputError
from src.record.files import read_text, untrusted_json
from src.record.schemas import Uncertainty

from .answers import TOLERANCE, UNNAMED, Answer, Import, Metric, Task, Unusable
from .reading import ADAPTERS, MALFORMED, check_sides, collapsed, finite, json_rows, mapping, settings, unique_names

TOOL = "Every Eval Ever"
_PERCENT, _SHARES = ("percent", "percentage", "%"), ("proportion", "distance")
_HINT = "Give the aggregate JSON of one model, as the package every-eval-ever or its converters write it."


@dataclass(frozen=True)
class Aggregate:
    """One model's aggregate file.

    Attributes:
        results: Each stated result, by evaluation and metric.
        ids: The metric by `evaluation_result_id`.
    """

    path: Path
    data: dict[str, Any]
    results: dict[tuple[str, str], dict[str, Any]]
    ids: dict[str, str]

    def part(self, name: str) -> dict[str, Any]:
        """Return one of its objects."""
        return mapping(self.data.get(name))

    @property
    def model(self) -> str:
        """The model's id."""
        return str(self.part("model_info").get("id") or self.part("model_info").get("name"))

    @property
    def adapter(self) -> str | None:
        """The model's adapter, if one is stated."""
        details = mapping(self.part("model_info").get("additional_details"))
        return next((str(details[key]) for key in ADAPTERS if details.get(key)), None)

    @cached_property
    def answers(self) -> Path | None:
        """The file of its answers, if there is one."""
        return _detailed(self.path, self.part("detailed_evaluation_results"))

    @property
    def settings(self) -> dict[str, Any]:
        """What may be published of model and library."""
        parts = {name: self.part(name) for name in ("model_info", "eval_library")}
        parts["inference_engine"] = mapping(parts["model_info"].get("inference_engine"))
        return {name: settings(part) for name, part in parts.items()}


def import_every_eval_ever(base: Path, tuned: Path, wanted: str | None = None) -> Import:
    """Read two models' results and join them.

    Args:
        base: The base model's aggregate file.
        tuned: The tuned model's.
        wanted: Which metric's scores count for single answers, where an evaluation has several.

    Raises:
        InputError: A file is missing or malformed, or the two do not belong together.
    """
    sides = first, second = _read(base), _read(tuned)
    infos = [(repr(side.part("model_info")), side.adapter) for side in sides]
    check_sides(tuned, "model_info", *infos)
    said: list[str] = []
    answers = [_answers(side, wanted, said) for side in sides]
    for side, other in (sides, sides[::-1]):
        alone = [f"{metric} of {name}" for name, metric in side.results if (name, metric) not in other.results]
        if alone:
            said.append(f"left out, since only {side.path.name} has them: {'; '.join(alone)}")
    names = unique_names(dict.fromkeys(name for name, _ in first.results))
    tasks: dict[str, Task] = {}
    for name, metric in [key for key in first.results if key in second.results]:
        try:
            found = _metric(metric, first.results[name, metric], second.results[name, metric])
        except Unusable as why:
            said.append(f"{name}: left out: {metric}: {why}")
            continue
        tasks.setdefault(name, Task(names[name], f"As {TOOL} states it.", [])).metrics.append(found)
    for name, task in tasks.items():
        if not all(found.get(name) for found in answers):
            said.append(f"{name}: no answers to single questions, so no tests")
            continue
        try:
            task.join(answers[0][name], answers[1][name])
        except Unusable as why:
            said.append(f"{name}: its answers are left out and only its metrics imported: {why}")
            task.base, task.tuned, task.unpaired = [], [], 0
            continue
        task.method = f"As {TOOL} states it, with every answer on record."
        if task.unpaired:
            said.append(f"{name}: {task.unpaired} answers have no partner in the other file and are left out")
        _judge(task)
    if not tasks:
        found_tasks = f"no evaluation that can be imported ({'; '.join(said)[:140]})"
        raise InputError(
            tuned, key="evaluation_results", found=found_tasks, expected="one that both files have", hint=_HINT
        )
    library = first.settings["eval_library"]
    tool = f"{library.get('name', 'an unnamed library')} {library.get('version', '')}".strip() + f", by way of {TOOL}"
    files = [[side.path, *([side.answers] if side.answers else [])] for side in sides]
    kept = {"base": first.settings, "finetuned": second.settings}
    return Import(
        tool,
        first.model,
        second.model,
        second.adapter,
        list(tasks.values()),
        (files[0], files[1]),
        kept,
        collapsed(said),
    )


def _read(path: Path) -> Aggregate:
    try:
        data = mapping(untrusted_json(read_text(path, _HINT)))
    except ValueError:
        data = {}
    if not isinstance(data.get("evaluation_results"), list):
        raise InputError(path, found="no evaluation_results", expected="an aggregate file", hint=_HINT)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    ids: dict[str, str] = {}
    for i, entry in enumerate(map(mapping, data["evaluation_results"])):
        name, config, result_id = (
            entry.get("evaluation_name"),
            mapping(entry.get("metric_config")),
            entry.get("evaluation_result_id"),
        )
        stated = [config.get(key) for key in ("metric_id", "metric_name", "metric_kind")]
        metric = next((str(part) for part in stated if part), UNNAMED)
        name = name if isinstance(name, str) else ""
        metric = str(result_id) if (name, metric) in found and result_id else metric
        if not name or (name, metric) in found:
            problem = f"{metric} of {name} twice" if name else "no evaluation_name"
            raise InputError(
                path, key=f"evaluation_results[{i}]", found=problem, expected="a name, and each metric once", hint=_HINT
            )
        found[name, metric] = entry
        ids[str(result_id)] = metric
    side = Aggregate(path, data, found, ids)
    if side.model == "None":
        raise InputError(path, key="model_info.id", found="nothing", expected="the model's name", hint=_HINT)
    return side


def _metric(name: str, base: dict[str, Any], tuned: dict[str, Any]) -> Metric:
    """Read a metric with its range and uncertainty; a score from 0 to 100 becomes a share.

    Raises:
        Unusable: A value is not a number, or outside of the stated range, or the two ranges differ.
    """
    configs = [mapping(entry.get("metric_config")) for entry in (base, tuned)]
    (low, high), theirs = ([_bound(config.get(key)) for key in ("min_score", "max_score")] for config in configs)
    if [low, high] != theirs:
        raise Unusable("the two files state different ranges")
    named = str(configs[0].get("metric_unit") or "").lower()
    divisor, note = 1, ""
    unit: Literal["proportion", "distance", "number"] = "number"
    if (low, high) == (None, None) and named in (*_PERCENT, *_SHARES):
        low, high = 0, 100 if named in _PERCENT else 1
    if (low, high) == (0, 100) and named in ("", *_PERCENT):
        divisor, unit, note = 100, "proportion", " Reported from 0 to 100, shown as a share."
    elif (low, high) == (0, 1) and named in ("", *_SHARES):
        unit = "distance" if named == "distance" else "proportion"
    elif low is not None and high is not None:
        note = f" It ranges from {low:g} to {high:g}."
    values, noted = [], []
    for entry in (base, tuned):
        details = mapping(entry.get("score_details"))
        value = finite(details.get("score"), "its score")
        if value == -1 and configs[0].get("has_unknown_level") is True:
            raise Unusable("the score is stated as unknown")
        if (low is not None and value < low) or (high is not None and value > high):
            raise Unusable(f"the score {value:g} is outside of its stated range")
        values.append(value / divisor)
        noted.append(_uncertainty(mapping(details.get("uncertainty")), divisor))
    direction: Literal["higher", "lower"] = "lower" if configs[0].get("lower_is_better") is True else "higher"
    return Metric(name, direction, values[0], values[1], unit=unit, note=note, uncertainty=(noted[0], noted[1]))


def _bound(stated: object) -> float | None:
    try:
        return finite(stated, "a bound")
    except Unusable:  # not stated, or infinite
        return None


def _uncertainty(stated: dict[str, Any], divisor: int) -> Uncertainty | None:
    interval, error = mapping(stated.get("confidence_interval")), mapping(stated.get("standard_error")).get("value")
    given = {"standard_error": error, "low": interval.get("lower"), "high": interval.get("upper")}
    found = {key: bound / divisor for key, value in given.items() if (bound := _bound(value)) is not None}
    if not found or found.get("standard_error", 0) < 0:
        return None
    level = _bound(interval.get("confidence_level"))
    return Uncertainty(**found, level=level if level is not None and 0 < level < 1 else None)


def _detailed(path: Path, stated: dict[str, Any]) -> Path | None:
    """Find the answers next to the aggregate file, and check that they are the ones it names."""
    if not stated:
        return None
    name = re.split(r"[/\\]", str(stated.get("file_path", "")))[-1][-200:] or "samples.jsonl"
    found = next((p for p in (path.with_name(name), path.with_suffix(".jsonl")) if p.is_file()), None)
    if found is None:
        raise InputError(
            path.with_name(name), found="no such file", expected="the answers that the aggregate file names",
            hint="Put it next to the aggregate file.",
        )  # fmt: skip
    checksum, how = stated.get("checksum"), str(stated.get("hash_algorithm", "sha256"))
    if checksum and how in ("sha256", "md5"):
        with found.open("rb") as stream:
            digest = hashlib.file_digest(stream, lambda: hashlib.new(how, usedforsecurity=False)).hexdigest()
        if digest != str(checksum).lower():
            expected = f"{checksum}, as {path.name} says"
            raise InputError(found, found=f"{how} {digest}", expected=expected, hint="Restore it.")
    return found


def _answers(side: Aggregate, wanted: str | None, said: list[str]) -> dict[str, list[Answer]]:
    """Read the answers, by evaluation; an evaluation with a row that cannot be read has none.

    Raises:
        InputError: A question is scored by several metrics, of which none was chosen.
    """
    found: dict[str, dict[str, Answer]] = {}
    scored: dict[str, str] = {}
    bad: dict[str, str] = {}
    try:
        for where, row in json_rows(side.answers) if side.answers else ():
            name, result_id = str(row.get("evaluation_name")), str(row.get("evaluation_result_id") or UNNAMED)
            metric = side.ids.get(result_id, result_id)
            if wanted not in (None, metric, result_id, metric.split(":")[0]) and "evaluation_result_id" in row:
                continue
            if scored.setdefault(name, metric) != metric:
                raise InputError(
                    side.path.with_name(side.answers.name if side.answers else ""), key=where,
                    found=f"scores of {name} by {scored[name]} and by {metric}", expected="one to count", hint="Choose with --filter.",
                )  # fmt: skip
            try:
                answer = _answer(row, metric)
                if found.setdefault(name, {}).setdefault(answer.key, answer) is not answer:
                    raise Unusable(f"sample {answer.key[:40]} is duplicated; evaluate with one epoch")
            except Unusable as why:
                bad.setdefault(name, f"{where}: {why}")
            except MALFORMED:
                bad.setdefault(name, f"{where} is not an answer as the schema has it")
    except Unusable as why:
        said.append(f"{side.path.name}: all answers left out: {why}")
        return {}
    said += [f"{name}: its answers are left out and only its metrics imported: {why}" for name, why in bad.items()]
    return {name: list(rows.values()) for name, rows in found.items() if name not in bad}


def _answer(row: dict[str, Any], metric: str) -> Answer:
    if row["interaction_type"] != "single_turn":
        raise Unusable("conversations and agents cannot be shown yet, only interaction_type single_turn")
    given, evaluation = row["input"], row["evaluation"]
    references = tuple(map(str, given.get("reference") or ()))
    final = [entry for entry in row.get("answer_attribution") or () if entry.get("is_terminal")]
    text = str(final[-1]["extracted_value"] if final else row["output"]["raw"][0])
    question = str(row.get("sample_hash")), str(given["raw"]), repr(references)
    answer = Answer(str(row["sample_id"]), question, question[1], text, references=references)
    answer.correct = evaluation["is_correct"] if isinstance(evaluation.get("is_correct"), bool) else None
    formatted = given.get("formatted")
    answer.own_prompt = str(formatted) if formatted and formatted != given["raw"] else None
    answer.candidates = tuple(map(str, given["choices"])) if given.get("choices") else None
    if evaluation.get("score") is not None:
        answer.values = {metric: finite(evaluation["score"], "the score")}
    answer.columns = {"id": answer.key, **{k: _own(v) for k, v in mapping(row.get("metadata")).items()}}
    return answer


def _own(value: Any) -> Any:
    """Read a value that the shared form keeps as text: a list of texts, or a whole number."""
    if isinstance(value, str) and value.startswith("["):
        try:
            found = untrusted_json(value)
        except ValueError:
            return value
        return found if isinstance(found, list) and all(isinstance(part, str) for part in found) else value
    return int(value) if isinstance(value, str) and re.fullmatch(r"0|[1-9][0-9]{0,8}", value) else value


def _judge(task: Task) -> None:
    """Find the metric that is the share of answers that the tool judged right."""
    answers = [*task.base, *task.tuned]
    if any(answer.correct is None for answer in answers):
        return
    for metric in task.metrics:
        scored = all(answer.values.get(metric.name) == answer.correct for answer in answers)
        shares = [sum(bool(a.correct) for a in side) / len(side) for side in (task.base, task.tuned)]
        only = len(task.metrics) == 1 and max(abs(shares[0] - metric.base), abs(shares[1] - metric.tuned)) < TOLERANCE
        metric.verdict = metric.direction == "higher" and (scored or only)
