"""Results in the community's shared form, Every Eval Ever: an aggregate JSON for each model, with the JSONL of its answers beside it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from src.record.errors import InputError
from src.record.files import read_text, text_lines, untrusted_json

from .answers import Answer, Import, Metric, Task, finite, mapping, paired, safe_name

TOOL = "Every Eval Ever"
_HINT = "Give the aggregate JSON of one model, as the package every-eval-ever or its converters write it."


def import_every_eval_ever(base: Path, tuned: Path, wanted: str | None = None) -> Import:
    """Read two models' results and join them.

    Args:
        base: The base model's aggregate file.
        tuned: The tuned model's.
        wanted: Which metric's scores count for single answers, where an evaluation has several.

    Raises:
        InputError: A file is missing or malformed, or the two do not belong together.
    """
    first, second = _read(base), _read(tuned)
    names = [str(_inside(path, data, "model_info").get("id") or "") for path, data in ((base, first), (tuned, second))]
    if names[0] == names[1]:
        raise InputError(
            tuned, key="model_info.id", found=f"the base file's model, {names[0]}", expected="another model",
            hint="Give the base model's file first and the tuned model's second.",
        )  # fmt: skip
    said: list[str] = []
    results = [_results(path, data) for path, data in ((base, first), (tuned, second))]
    files = [base, tuned]
    answers: list[dict[str, list[Answer]]] = []
    for path, data in ((base, first), (tuned, second)):
        found = _detailed(path, data)
        answers.append(_answers(found, wanted) if found else {})
        files += [found] if found else []
    tasks = []
    for evaluation in dict.fromkeys(name for name, _ in results[0]):
        task = Task(safe_name(evaluation), f"As {TOOL} states it.", [])
        for (name, metric), entry in results[0].items():
            other = results[1].get((name, metric))
            if name != evaluation:
                continue
            if other is None:
                said.append(f"left out, as only the base model's file holds it: {metric} of {name}")
                continue
            values = [_score(path, e, f"{name}, {metric}") for path, e in ((base, entry), (tuned, other))]
            lower = bool(mapping(entry.get("metric_config")).get("lower_is_better"))
            task.metrics.append(Metric(metric, "lower" if lower else "higher", values[0], values[1]))
        if not task.metrics:
            continue
        ours, theirs = (found.get(evaluation, []) for found in answers)
        if ours and theirs:
            task.base, task.tuned, task.unpaired = paired(tuned, evaluation, ours, theirs)
            task.method = f"As {TOOL} states it, of which each answer is on record."
            _judge(task)
            if task.unpaired:
                said.append(f"{evaluation}: {task.unpaired} answers have no partner in the other file and are left out")
        else:
            said.append(f"{evaluation}: no answers of single questions, so no intervals and no tests")
        tasks.append(task)
    if not tasks:
        raise InputError(tuned, found="no evaluation that the base file holds too", expected="one at least", hint=_HINT)
    library = mapping(first.get("eval_library"))
    settings = {
        side: {"evaluation_id": data.get("evaluation_id"), "eval_library": data.get("eval_library"), "model_info": data.get("model_info")}
        for side, data in (("base", first), ("finetuned", second))
    }  # fmt: skip
    tool = f"{library.get('name', 'an unnamed library')} {library.get('version', '')}".strip() + f", by way of {TOOL}"
    return Import(tool, names[0], names[1], None, tasks, files, settings, said)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = untrusted_json(read_text(path, _HINT))
    except ValueError:
        data = None
    if not isinstance(data, dict) or not isinstance(data.get("evaluation_results"), list):
        raise InputError(path, found="no evaluation_results", expected="an aggregate file", hint=_HINT)
    return data


def _inside(path: Path, data: dict[str, Any], key: str) -> dict[str, Any]:
    found = data.get(key)
    if not isinstance(found, dict):
        raise InputError(path, key=key, found=type(found).__name__, expected="an object", hint=_HINT)
    return found


def _results(path: Path, data: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the results by evaluation and metric."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for i, entry in enumerate(data["evaluation_results"]):
        if not isinstance(entry, dict) or not isinstance(entry.get("evaluation_name"), str):
            raise InputError(
                path, key=f"evaluation_results[{i}]", found="no name", expected="evaluation_name", hint=_HINT
            )
        config = mapping(entry.get("metric_config"))
        named = entry.get("evaluation_result_id") or config.get("metric_id") or config.get("metric_name") or "score"
        key = entry["evaluation_name"], str(named)
        if key in found:
            raise InputError(
                path,
                key=f"evaluation_results[{i}]",
                found=f"{key[1]} of {key[0]} twice",
                expected="each metric once",
                hint=_HINT,
            )
        found[key] = entry
    return found


def _score(path: Path, entry: dict[str, Any], key: str) -> float:
    return finite(path, key, mapping(entry.get("score_details")).get("score"))


def _detailed(path: Path, data: dict[str, Any]) -> Path | None:
    """Find the answers beside the aggregate file, and check that they are the ones it names."""
    stated = data.get("detailed_evaluation_results")
    if not isinstance(stated, dict):
        return None
    name = Path(str(stated.get("file_path", ""))).name
    found = next((p for p in (path.with_name(name), path.with_suffix(".jsonl")) if name and p.is_file()), None)
    if found is None:
        raise InputError(
            path.with_name(name or "samples.jsonl"), found="no such file", expected="the answers that the aggregate file names",
            hint="Put it beside the aggregate file.",
        )  # fmt: skip
    checksum, how = stated.get("checksum"), stated.get("hash_algorithm", "sha256")
    if checksum and how in ("sha256", "md5"):
        digest = hashlib.new(how, usedforsecurity=False)
        with found.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        if digest.hexdigest() != checksum:
            raise InputError(
                found,
                found=f"{how} {digest.hexdigest()}",
                expected=f"{checksum}, as {path.name} says",
                hint="Restore it.",
            )
    return found


def _answers(path: Path, wanted: str | None) -> dict[str, list[Answer]]:
    """Read the answers, by evaluation.

    Raises:
        InputError: A line is malformed, a question comes twice, or is scored by several metrics of which none was chosen.
    """
    found: dict[str, dict[str, Answer]] = {}
    scored: dict[str, str] = {}
    for number, line in enumerate(text_lines(path, _HINT), 1):
        where = f"line {number}"
        try:
            row = untrusted_json(line)
            metric = str(row.get("evaluation_result_id") or "score")
            if wanted is not None and wanted not in (metric, metric.split(":")[0]) and "evaluation_result_id" in row:
                continue
            name = str(row["evaluation_name"])
            answer = _answer(path, where, row, metric)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise InputError(
                path, key=where, found=line.strip()[:80], expected="an answer as the instance-level schema has it",
                hint="The file may have been cut short; write it again.",
            ) from None  # fmt: skip
        if scored.setdefault(name, metric) != metric:
            raise InputError(
                path, key=where, found=f"scores of {name} by {scored[name]} and by {metric}", expected="one to count",
                hint="Choose with --filter.",
            )  # fmt: skip
        rows = found.setdefault(name, {})
        if answer.key in rows:
            raise InputError(
                path,
                key=where,
                found=f"sample {answer.key} twice",
                expected="each question once",
                hint="Evaluate with one epoch.",
            )
        rows[answer.key] = answer
    return {name: list(rows.values()) for name, rows in found.items()}


def _answer(path: Path, where: str, row: dict[str, Any], metric: str) -> Answer:
    if row["interaction_type"] != "single_turn":
        raise InputError(
            path, key=where, found=f"interaction_type {row['interaction_type']}", expected="single_turn",
            hint="Conversations and agents cannot be shown yet.",
        )  # fmt: skip
    given = row["input"]
    references = tuple(str(reference) for reference in given["reference"])
    final = [entry for entry in row["answer_attribution"] if entry.get("is_terminal")]
    text = str(final[-1]["extracted_value"] if final else row["output"]["raw"][0])
    choices = given.get("choices")
    verdict = row["evaluation"]["is_correct"]
    if not isinstance(verdict, bool):
        raise TypeError
    checks = (str(row.get("sample_hash")), str(given["raw"]), repr(references))
    answer = Answer(str(row["sample_id"]), checks, str(given["raw"]), references or ("",), text)
    formatted = given.get("formatted")
    answer.own_prompt = str(formatted) if formatted and formatted != given["raw"] else None
    answer.candidates = tuple(str(choice) for choice in choices) if choices else None
    answer.values = {metric: finite(path, where, row["evaluation"]["score"]), _VERDICT: float(verdict)}
    metadata = row.get("metadata")
    answer.columns = {"id": answer.key, **{k: _own(v) for k, v in (metadata or {}).items()}}
    return answer


_VERDICT = " is_correct"
"""Stands for the verdict among an answer's values; no metric is named so."""


def _own(value: str) -> Any:
    """Read a value that the shared form holds as text: a list of texts, or a whole number."""
    if value.startswith("["):
        try:
            found = untrusted_json(value)
        except ValueError:
            return value
        return found if isinstance(found, list) and all(isinstance(part, str) for part in found) else value
    return (
        int(value) if value.isascii() and value.isdecimal() and len(value) < 10 and str(int(value)) == value else value
    )


def _judge(task: Task) -> None:
    """Take over which answers are right, and which metric is the share of them."""
    for pair in zip(task.base, task.tuned, strict=True):
        wrong = [answer for answer in pair if answer.correct and not answer.values[_VERDICT]]
        if wrong:
            raise InputError(
                task.name, key=f"sample {wrong[0].key}", found=f"is_correct false for {wrong[0].answer!r}",
                expected="true, since that is a reference", hint="Correct the file, or leave the evaluation out.",
            )  # fmt: skip
        judged = [answer.answer for answer in pair if answer.values[_VERDICT]]
        references = tuple(dict.fromkeys([*pair[0].references, *judged]))
        for answer in pair:
            answer.references = references
    for metric in task.metrics:
        means = [sum(a.values[_VERDICT] for a in answers) / len(answers) for answers in (task.base, task.tuned)]
        scored = all(a.values.get(metric.name) == a.values[_VERDICT] for a in (*task.base, *task.tuned))
        only = len(task.metrics) == 1 and means == [metric.base, metric.tuned]
        metric.exact = scored or only
    for answer in (*task.base, *task.tuned):
        del answer.values[_VERDICT]
