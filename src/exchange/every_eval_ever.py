"""Results in the community's shared form, Every Eval Ever: an aggregate JSON for each model, with the JSONL of its answers next to it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from src.record.errors import InputError
from src.record.files import read_text, text_lines, untrusted_json
from src.record.schemas import Uncertainty

from .answers import (
    TOLERANCE,
    UNNAMED,
    Answer,
    Import,
    Metric,
    Task,
    Unusable,
    check_sides,
    finite,
    mapping,
    safe_name,
    settings,
)

TOOL = "Every Eval Ever"
_HINT = "Give the aggregate JSON of one model, as the package every-eval-ever or its converters write it."
_ADAPTER_KEYS = ("adapter", "peft", "lora", "adapter_name", "adapter_path", "lora_path", "lora_local_path", "delta")
_UNITS: dict[str, Literal["proportion", "distance", "number"]] = {"proportion": "proportion", "distance": "distance"}


@dataclass(frozen=True)
class Aggregate:
    """One model's aggregate file.

    Attributes:
        results: Each stated result, by evaluation and metric.
        ids: Evaluation and metric by `evaluation_result_id`.
    """

    path: Path
    data: dict[str, Any]
    results: dict[tuple[str, str], dict[str, Any]]
    ids: dict[str, tuple[str, str]]

    @property
    def info(self) -> dict[str, Any]:
        """What it says of the model."""
        return mapping(self.data.get("model_info"))

    @property
    def model(self) -> str:
        """The model's id."""
        return str(self.info.get("id") or self.info.get("name") or "")

    @property
    def adapter(self) -> str | None:
        """The model's adapter, if one is stated."""
        details = mapping(self.info.get("additional_details"))
        return next((str(details[key]) for key in _ADAPTER_KEYS if details.get(key)), None)

    @property
    def settings(self) -> dict[str, Any]:
        """What may be published of model and library."""
        engine = mapping(self.info.get("inference_engine"))
        library = mapping(self.data.get("eval_library"))
        return {
            "model_info": settings(self.info),
            "inference_engine": settings(engine),
            "eval_library": settings(library),
        }


def import_every_eval_ever(base: Path, tuned: Path, wanted: str | None = None) -> Import:
    """Read two models' results and join them.

    Args:
        base: The base model's aggregate file.
        tuned: The tuned model's.
        wanted: Which metric's scores count for single answers, where an evaluation has several.

    Raises:
        InputError: A file is missing or malformed, or the two do not belong together.
    """
    sides = _read(base), _read(tuned)
    wrong = check_sides(*((repr(side.info), side.adapter) for side in sides))
    if wrong:
        raise InputError(
            tuned, key="model_info", found=wrong, expected="another model than the base file's, or the same with an adapter",
            hint="Give the base model's file first and the tuned model's second.",
        )  # fmt: skip
    said: list[str] = []
    answers = [_answers(side, wanted, said) for side in sides]
    for side, other in (sides, sides[::-1]):
        alone = [f"{metric} of {name}" for name, metric in side.results if (name, metric) not in other.results]
        if alone:
            said.append(f"left out, since only {side.path.name} has them: {'; '.join(alone)}")
    tasks: dict[str, Task] = {}
    for (name, metric), entry in sides[0].results.items():
        other_entry = sides[1].results.get((name, metric))
        if other_entry is None:
            continue
        try:
            found = _metric(metric, entry, other_entry)
        except Unusable as why:
            said.append(f"left out: {metric} of {name}: {why}")
            continue
        tasks.setdefault(name, Task(safe_name(name), f"As {TOOL} states it.", [])).metrics.append(found)
    for name, task in tasks.items():
        ours, theirs = (found.get(name, []) for found in answers)
        if not (ours and theirs):
            said.append(f"{name}: no answers to single questions, so no tests")
            continue
        try:
            task.join(ours, theirs)
        except Unusable as why:
            said.append(f"{name}: its answers are left out and only its metrics imported: {why}")
            task.base, task.tuned, task.unpaired = [], [], 0
            continue
        task.method = f"As {TOOL} states it, with every answer on record."
        if task.unpaired:
            said.append(f"{name}: {task.unpaired} answers have no partner in the other file and are left out")
        _judge(task)
    if not tasks:
        raise InputError(
            tuned, found=f"no evaluation that can be imported{f' ({said[0]})' if said else ''}",
            expected="one that both files have", hint=_HINT,
        )  # fmt: skip
    if len({task.name for task in tasks.values()}) < len(tasks):
        raise InputError(
            tuned,
            key="evaluation_name",
            found="names that differ only in punctuation",
            expected="distinct names",
            hint=_HINT,
        )
    library = sides[0].settings["eval_library"]
    tool = f"{library.get('name', 'an unnamed library')} {library.get('version', '')}".strip() + f", by way of {TOOL}"
    kept = {"base": sides[0].settings, "finetuned": sides[1].settings}
    files = [[side.path, *([path] if (path := _detailed(side)) else [])] for side in sides]
    return Import(
        tool, sides[0].model, sides[1].model, sides[1].adapter, list(tasks.values()), (files[0], files[1]), kept, said
    )


def _read(path: Path) -> Aggregate:
    try:
        data = untrusted_json(read_text(path, _HINT))
    except ValueError:
        data = None
    if not isinstance(data, dict) or not isinstance(data.get("evaluation_results"), list):
        raise InputError(path, found="no evaluation_results", expected="an aggregate file", hint=_HINT)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    ids: dict[str, tuple[str, str]] = {}
    for i, entry in enumerate(data["evaluation_results"]):
        where = f"evaluation_results[{i}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("evaluation_name"), str):
            raise InputError(path, key=where, found="no name", expected="evaluation_name", hint=_HINT)
        config, result_id = mapping(entry.get("metric_config")), entry.get("evaluation_result_id")
        stated = [config.get("metric_id"), config.get("metric_name"), config.get("metric_kind"), UNNAMED]
        key = entry["evaluation_name"], next(str(name) for name in stated if name)
        if key in found and result_id:
            key = key[0], str(result_id)
        if key in found:
            raise InputError(
                path, key=where, found=f"{key[1]} of {key[0]} twice", expected="each metric once", hint=_HINT
            )
        found[key] = entry
        if result_id:
            ids[str(result_id)] = key
    side = Aggregate(path, data, found, ids)
    if not side.model:
        raise InputError(path, key="model_info.id", found="nothing", expected="the model's name", hint=_HINT)
    return side


def _metric(name: str, base: dict[str, Any], tuned: dict[str, Any]) -> Metric:
    """Read a metric with its range and uncertainty; a score from 0 to 100 becomes a share.

    Raises:
        Unusable: A value is not a number, or outside the stated range, or the two ranges differ.
    """
    config = mapping(base.get("metric_config"))
    low, high = _range(config)
    if (low, high) != _range(mapping(tuned.get("metric_config"))):
        raise Unusable("the two files state different ranges")
    stated_unit = str(config.get("metric_unit") or "").lower()
    scale, unit, note = 1.0, _UNITS.get(stated_unit, "number"), ""
    if (low, high) == (0, 100) and stated_unit in ("", "percent", "percentage", "%"):
        scale, unit, note = 0.01, "proportion", " Reported from 0 to 100, shown as a share."
    elif (low, high) == (0, 1) and not stated_unit:
        unit = "proportion"
    elif low is not None and high is not None and unit == "number":
        note = f" It ranges from {low:g} to {high:g}."
    values, uncertainty = [], []
    for entry in (base, tuned):
        details = mapping(entry.get("score_details"))
        value = finite(details.get("score"), "its score")
        if (low is not None and value < low) or (high is not None and value > high):
            raise Unusable(f"the score {value:g} is outside of its stated range")
        if unit != "number" and not 0 <= value * scale <= 1:
            raise Unusable(f"the score {value:g} is not a {unit} from 0 to 1")
        values.append(value * scale if scale == 1 else value / 100)
        uncertainty.append(_uncertainty(mapping(details.get("uncertainty")), scale))
    direction: Literal["higher", "lower"] = "lower" if config.get("lower_is_better") is True else "higher"
    return Metric(name, direction, *values, unit=unit, note=note, uncertainty=(uncertainty[0], uncertainty[1]))


def _range(config: dict[str, Any]) -> tuple[float | None, float | None]:
    bounds = []
    for key in ("min_score", "max_score"):
        try:
            bounds.append(finite(config.get(key), key))
        except Unusable:  # not stated, or infinite
            bounds.append(None)
    return bounds[0], bounds[1]


def _uncertainty(stated: dict[str, Any], scale: float) -> Uncertainty | None:
    interval = mapping(stated.get("confidence_interval"))
    given = {
        "standard_error": mapping(stated.get("standard_error")).get("value"), "low": interval.get("lower"), "high": interval.get("upper"),
    }  # fmt: skip
    found: dict[str, float] = {}
    for key, value in given.items():
        if value is not None:
            found[key] = finite(value, f"its {key.replace('_', ' ')}") * scale
    level = interval.get("confidence_level")
    if isinstance(level, int | float) and 0 < level < 1:
        found["level"] = float(level)
    return Uncertainty(**found) if found.keys() - {"level"} and found.get("standard_error", 0) >= 0 else None


def _detailed(side: Aggregate) -> Path | None:
    """Find the answers next to the aggregate file, and check that they are the ones it names."""
    path, stated = side.path, side.data.get("detailed_evaluation_results")
    if not isinstance(stated, dict):
        return None
    name = re.split(r"[/\\]", str(stated.get("file_path", "")))[-1]
    found = next((p for p in (path.with_name(name or "_"), path.with_suffix(".jsonl")) if p.is_file()), None)
    if found is None:
        raise InputError(
            path.with_name(name or "samples.jsonl"), found="no such file", expected="the answers that the aggregate file names",
            hint="Put it next to the aggregate file.",
        )  # fmt: skip
    checksum, how = stated.get("checksum"), stated.get("hash_algorithm", "sha256")
    if checksum and how in ("sha256", "md5"):
        with found.open("rb") as stream:
            digest = hashlib.file_digest(stream, lambda: hashlib.new(how, usedforsecurity=False)).hexdigest()
        if digest != str(checksum).lower():
            raise InputError(
                found, found=f"{how} {digest}", expected=f"{checksum}, as {path.name} says", hint="Restore it.",
            )  # fmt: skip
    return found


def _answers(side: Aggregate, wanted: str | None, said: list[str]) -> dict[str, list[Answer]]:
    """Read the answers, by evaluation; an evaluation with a row that cannot be read is left without answers.

    Raises:
        InputError: A question is scored by several metrics, of which none was chosen.
    """
    path = _detailed(side)
    found: dict[str, dict[str, Answer]] = {}
    scored: dict[str, str] = {}
    bad: dict[str, str] = {}
    try:
        for number, line in enumerate(text_lines(path, _HINT) if path else (), 1):
            if not line.strip():
                continue
            row = mapping(untrusted_json(line))
            name, result_id = row.get("evaluation_name"), row.get("evaluation_result_id")
            if not isinstance(name, str):
                raise ValueError(f"line {number} has no evaluation_name")
            metric = side.ids.get(str(result_id), (name, str(result_id or UNNAMED)))[1]
            if wanted is not None and result_id and wanted not in (metric, str(result_id), metric.split(":")[0]):
                continue
            try:
                answer = _answer(row, metric)
                rows = found.setdefault(name, {})
                if answer.key in rows:
                    raise Unusable(f"sample {answer.key[:40]} is duplicated; evaluate with one epoch")
                rows[answer.key] = answer
            except Unusable as why:
                bad.setdefault(name, f"line {number}: {why}")
            except (ValueError, KeyError, TypeError, IndexError, AttributeError):
                bad.setdefault(name, f"line {number} is not an answer as the schema has it")
            if scored.setdefault(name, metric) != metric:
                raise InputError(
                    side.path, key=f"line {number} of the answers", found=f"scores of {name} by {scored[name]} and by {metric}",
                    expected="one to count", hint="Choose with --filter.",
                )  # fmt: skip
    except ValueError as error:
        reason = str(error).split("\n")[0][:120]
        said.append(
            f"left out: all answers of {side.path.name}, since a line cannot be read ({reason}); it may be cut short"
        )
        return {}
    for name, why in bad.items():
        said.append(f"{name}: its answers are left out and only its metrics imported: {why}")
    return {name: list(rows.values()) for name, rows in found.items() if name not in bad}


def _answer(row: dict[str, Any], metric: str) -> Answer:
    if row["interaction_type"] != "single_turn":
        raise Unusable(f"interaction_type {row['interaction_type']} cannot be shown yet, only single_turn")
    given, evaluation = row["input"], row["evaluation"]
    references = tuple(str(reference) for reference in given.get("reference") or ())
    final = [entry for entry in row.get("answer_attribution") or () if entry.get("is_terminal")]
    text = str(final[-1]["extracted_value"] if final else row["output"]["raw"][0])
    verdict = evaluation.get("is_correct")
    answer = Answer(
        str(row["sample_id"]), (str(row.get("sample_hash")), str(given["raw"]), repr(references)), str(given["raw"]), text,
        correct=verdict if isinstance(verdict, bool) else None, references=references,
    )  # fmt: skip
    formatted = given.get("formatted")
    answer.own_prompt = str(formatted) if formatted and formatted != given["raw"] else None
    answer.candidates = tuple(map(str, given["choices"])) if given.get("choices") else None
    if evaluation.get("score") is not None:
        answer.values = {metric: finite(evaluation["score"], "the score")}
    answer.columns = {"id": answer.key, **{k: _own(v) for k, v in mapping(row.get("metadata")).items()}}
    return answer


def _own(value: Any) -> Any:
    """Read a value that the shared form keeps as text: a list of texts, or a whole number."""
    if not isinstance(value, str):
        return value
    if value.startswith("["):
        try:
            found = untrusted_json(value)
        except ValueError:
            return value
        return found if isinstance(found, list) and all(isinstance(part, str) for part in found) else value
    return int(value) if re.fullmatch(r"0|[1-9]\d{0,8}", value, re.ASCII) else value


def _judge(task: Task) -> None:
    """Find the metric that is the share of answers that the tool judged right."""
    sides = task.base, task.tuned
    if any(answer.correct is None for answers in sides for answer in answers):
        return
    for metric in task.metrics:
        scored = all(a.values.get(metric.name) == a.correct for answers in sides for a in answers)
        means = [sum(bool(a.correct) for a in answers) / len(answers) for answers in sides]
        only = len(task.metrics) == 1 and all(
            abs(mean - stated) < TOLERANCE for mean, stated in zip(means, (metric.base, metric.tuned), strict=True)
        )
        metric.verdict = metric.direction == "higher" and (scored or only)
