"""Write another tool's results as a record: questions, answers, results, config, and the metrics that are not declared yet."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from src.record.answers import MODELS, Answers, read_answers, write_answers
from src.record.answers import SCHEMA as ANSWERS
from src.record.checkpoint import adapter_config
from src.record.columns import MOST, NAME
from src.record.config import ExperimentConfig, MetricConfig, MetricsConfig
from src.record.errors import InputError
from src.record.files import atomic, read_text, sha256_file, write_json
from src.record.load import PROJECT
from src.record.measures import available, per_question
from src.record.questions import SCHEMA, Questions, read_questions, write_questions
from src.record.results import METRICS, answered, declared_metrics
from src.record.schemas import Task as TaskEntry

from .answers import Answer, Import, Task, safe_name

PRIMARY_TASKS = 20
"""Most tasks whose metrics are declared as primary, and so corrected together and shown first."""

COLUMN_TEXT = 1_000
"""Characters of a question's field that are taken over."""

COLUMNS = 40
"""Most fields of a task's questions that are taken over."""


def write_record(found: Import, root: Path, name: str, *, replace: bool) -> list[str]:
    """Write a record, and make it the one that the documents show.

    Args:
        found: The other tool's results.
        root: The repository.
        name: Name of the experiment.
        replace: Whether a record of that name may be written over.

    Returns:
        What was written, a line each.

    Raises:
        InputError: There is such a record, or a metric is declared in another way.
    """
    folder = root / "results" / name
    config_path = root / "configs/experiments" / f"{name}.yaml"
    for path in (folder / "evaluation_results.json", config_path):
        if path.exists() and not replace:
            raise InputError(
                path,
                found="an experiment of that name",
                expected="none",
                hint="Choose another --name, or pass --replace.",
            )
    config = _experiment(found, root, name)
    ExperimentConfig.model_validate(config)
    declared = declared_metrics(root / METRICS)
    metrics = _metrics(found.tasks, declared, root / METRICS)
    for task in found.tasks:
        single = {m.value for m, _ in metrics.values() if m.task == task.name}
        for answer in (*task.base, *task.tuned):
            answer.values = {n: value for n, value in answer.values.items() if safe_name(n).lower() in single}
    new = {key: metric for key, (metric, _) in metrics.items() if key not in declared.metrics}
    texts = {root / METRICS: _with_metrics(root / METRICS, new), root / PROJECT: _showing(root / PROJECT, name)}

    results: dict[str, Any] = {
        "experiment_name": name,
        "base_model": {"name": config["base_model"], "metrics": {}},
        "finetuned_model": {"name": config.get("checkpoint") or _shown(found.tuned_model, root), "metrics": {}},
        "tasks": {t.name: _described(t) for t in found.tasks if t.base},
        "source": {
            "tool": found.tool,
            "files": {_file_name(path, found.files): sha256_file(path) for path in found.files},
            "settings": _without_paths(found.settings, root),
            "left_out": found.said,
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    answers: tuple[Answers, Answers] | None = None
    questions: Questions | None = None
    entries = {key: TaskEntry.model_validate(task) for key, task in results["tasks"].items()}
    with_answers = [task for task in found.tasks if task.base]
    if with_answers:
        asked, *tables = _tables(with_answers)
        path = folder / "questions.parquet"
        results["questions"] = write_questions(path, asked)
        questions = read_questions(path)
        results["answers"] = {}
        loaded = []
        for model, table in zip(MODELS, tables, strict=True):
            place = folder / "answers" / f"{model}.parquet"
            results["answers"][model] = write_answers(place, table)
            loaded.append(read_answers(place, questions, entries))
        answers = (loaded[0], loaded[1])
    for key, (metric, stated) in metrics.items():
        values = stated if stated is not None else _computed(questions, answers, metric, entries)
        results["base_model"]["metrics"][key], results["finetuned_model"]["metrics"][key] = values
    write_json(folder / "evaluation_results.json", results)
    texts[config_path] = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    for target, text in texts.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
    asked_number = sum(len(task.base) for task in found.tasks)
    return [
        f"results/{name}: {asked_number:,} questions of {len(found.tasks):,} tasks, {len(metrics):,} metrics",
        f"configs/experiments/{name}.yaml: what is known of the run; add how it was trained",
        f"{METRICS}: {len(new):,} metrics added",
        f"{PROJECT}: shows {name} from now on; describe it there",
    ]


def _shown(model: str, root: Path) -> str:
    """Name a model as a document may: a folder relative to the repository, or by its last part alone."""
    path = Path(model)
    if not path.is_absolute():
        return model
    return path.relative_to(root.resolve()).as_posix() if path.is_relative_to(root.resolve()) else path.name


def _without_paths(value: Any, root: Path) -> Any:
    """Name models in settings as a document may."""
    if isinstance(value, dict):
        return {str(key): _without_paths(inner, root) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_paths(inner, root) for inner in value]
    if isinstance(value, str):
        return _shown(value, root) if value.startswith("/") else value
    return value if value is None or isinstance(value, bool | int) else _finite_or_text(value)


def _finite_or_text(value: object) -> object:
    """Keep a finite number; write anything else as text, which JSON can hold."""
    return value if isinstance(value, float) and math.isfinite(value) else str(value)


def _file_name(path: Path, files: Sequence[Path]) -> str:
    """Name a file that was read, by the folders that tell it from the others."""
    common = Path(os.path.commonpath([file.resolve().parent for file in files]))
    return path.resolve().relative_to(common).as_posix()


def _experiment(found: Import, root: Path, name: str) -> dict[str, Any]:
    adapter = found.adapter
    config: dict[str, Any] = {"experiment_name": name, "base_model": _shown(found.base_model, root)}
    config["checkpoint"] = _shown(adapter, root) if adapter else f"checkpoints/{name}"
    folder = root / adapter if adapter else None
    if folder is not None and (folder / "adapter_config.json").is_file():
        settings = adapter_config(folder)
        if {"r", "lora_alpha"} <= settings.keys():
            modules = settings.get("target_modules")
            config["lora_config"] = {
                "r": settings["r"], "alpha": settings["lora_alpha"], "dropout": settings.get("lora_dropout") or 0.0,
                "target_modules": sorted(str(m) for m in modules) if isinstance(modules, list) else None,
            }  # fmt: skip
    config["dataset_config"] = {"path": f"data/{name}"}
    config["note"] = f"The results were made with {found.tool}; how the adapter was trained is not on record."
    return config


def _candidates(task: Task) -> list[str] | None:
    """Return the candidates, where all questions have the same."""
    kinds = {answer.candidates for answer in task.base}
    only = next(iter(kinds)) if len(kinds) == 1 else None
    return list(only) if only else None


def _described(task: Task) -> dict[str, Any]:
    return {
        "questions": len(task.base), "method": task.method, "candidates": _candidates(task), "few_shot": task.few_shot,
        "template": "{prompt}", "fields": {"prompt": {"column": "prompt"}},
    }  # fmt: skip


Declared = tuple[MetricConfig, tuple[float, float] | None]


def _metrics(tasks: list[Task], declared: MetricsConfig, path: Path) -> dict[str, Declared]:
    """Declare a metric of each that a task states; with the values of both models where they cannot be computed from the answers."""
    found: dict[str, Declared] = {}
    for task in tasks:
        primary = len(tasks) <= PRIMARY_TASKS
        label = task.name.replace("_", " ")
        for metric in task.metrics:
            name = safe_name(metric.name).lower()
            own = [answer.values.get(metric.name) for answer in (*task.base, *task.tuned)]
            single = bool(own) and all(value is not None for value in own) and _is_mean(task, metric.name)
            share = metric.exact or (single and all(0 <= (value or 0) <= 1 for value in own))
            measure = (
                {"measure": "exact_match"} if metric.exact else {"measure": "value", "value": name} if single else {}
            )
            if not measure and task.unpaired:
                continue  # it is of other questions than those that both models answered
            fields = {
                "label": f"{label}, {metric.name}"[:120],
                "definition": f"{metric.name} of the task {task.name}, as its evaluation defines it.",
                "direction": metric.direction, "unit": "proportion" if share else "number", "task": task.name, **measure,
            }  # fmt: skip
            first = metric is task.metrics[0]
            stated = None if measure else (metric.base, metric.tuned)
            found[safe_name(f"{task.name}_{name}").lower()] = (
                MetricConfig(**fields, primary=primary and first),
                stated,
            )
    for key, (metric_config, _) in found.items():
        before = declared.metrics.get(key)
        if before is not None and (before.task, before.measure, before.value) != (
            metric_config.task, metric_config.measure, metric_config.value,
        ):  # fmt: skip
            raise InputError(
                path, key=f"metrics.{key}", found="that metric of another task or measure", expected="none of that name",
                hint="Rename the declared metric.",
            )  # fmt: skip
    return {key: (declared.metrics.get(key, metric), stated) for key, (metric, stated) in found.items()}


def _is_mean(task: Task, name: str) -> bool:
    """Tell whether a metric is the mean of its values of single questions, as far as the questions that were left out allow."""
    metric = next(m for m in task.metrics if m.name == name)
    return bool(task.unpaired) or all(
        abs(sum(answer.values[name] for answer in answers) / len(answers) - stated) < 1e-6
        for answers, stated in ((task.base, metric.base), (task.tuned, metric.tuned))
    )


def _computed(
    questions: Questions | None,
    answers: tuple[Answers, Answers] | None,
    metric: MetricConfig,
    tasks: dict[str, TaskEntry],
) -> tuple[float, float]:
    values = []
    for model in answers or ():
        rows = answered(metric.task, questions, model, tasks) if questions is not None else None
        if rows is not None and available(rows, metric):
            values.append(float(per_question(rows, metric).mean()))
    if len(values) != len(MODELS):
        raise InputError(
            "the answers", key=metric.label, found="nothing", expected="one value per question", hint="Import again.",
        )  # fmt: skip
    return values[0], values[1]


def _tables(tasks: list[Task]) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Put the questions of all tasks, and both models' answers, into columns."""
    identifiers: list[str] = []
    rows = sum(len(task.base) for task in tasks)
    asked: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    given: list[dict[str, list[Any]]] = [{name: [] for name in ANSWERS.names} for _ in MODELS]
    values: list[dict[str, list[Any]]] = [{} for _ in MODELS]
    own: dict[str, list[Any]] = {"prompt": [None] * rows}
    done = 0
    for task in tasks:
        own["prompt"][done : done + len(task.base)] = [answer.prompt for answer in task.base]
        identifiers += _ids(task, set(identifiers))
        asked["task"] += [task.name] * len(task.base)
        asked["reference"] += [answer.references[0] for answer in task.base]
        asked["references"] += [list(a.references) if len(a.references) > 1 else None for a in task.base]
        for answers, columns, numbers in zip((task.base, task.tuned), given, values, strict=True):
            columns["answer"] += [answer.answer for answer in answers]
            columns["correct"] += [answer.correct for answer in answers]
            columns["prompt"] += [answer.own_prompt for answer in answers]
            columns["score"] += [answer.score for answer in answers]
            listed = _candidates(task) is not None
            columns["scores"] += [
                None if answer.scores is None or not listed else np.array(answer.scores, dtype=np.float16)
                for answer in answers
            ]
            for name in {name: None for answer in answers for name in answer.values}:
                column = numbers.setdefault(safe_name(name).lower(), [None] * rows)
                column[done : done + len(answers)] = [answer.values.get(name) for answer in answers]
        for name, fields in _fields(task.base).items():
            if name in own or len(own) < MOST:
                own.setdefault(name, [None] * rows)[done : done + len(fields)] = fields
        done += len(task.base)
    asked["id"] = identifiers
    questions = {name: pa.array(asked[name] or [None] * rows, SCHEMA.field(name).type) for name in SCHEMA.names}
    models = []
    for columns, numbers in zip(given, values, strict=True):
        columns["id"] = identifiers
        known = {name: pa.array(columns[name] or [None] * rows, ANSWERS.field(name).type) for name in ANSWERS.names}
        models.append(pa.table(known | {name: pa.array(column, pa.float64()) for name, column in numbers.items()}))
    return pa.table(questions | {name: _array(column) for name, column in own.items()}), models[0], models[1]


def _ids(task: Task, taken: set[str]) -> list[str]:
    """Return each question's own id, or its place within the task where an id is missing or comes twice."""
    own = [answer.columns.get("id") for answer in task.base]
    named = [str(value) for value in own if isinstance(value, str | int) and str(value)]
    if len(named) == len(own) == len(set(named)) and not taken & set(named):
        return named
    return [f"{task.name}/{answer.key}" for answer in task.base]


def _fields(answers: list[Answer]) -> dict[str, list[Any]]:
    """Return the fields of the questions, by the names of columns."""
    names = list(dict.fromkeys(name for answer in answers for name in answer.columns if name != "id"))[:COLUMNS]
    found = {}
    for name in names:
        column = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:50] or "field"
        if column in (*SCHEMA.names, *ANSWERS.names) or not NAME.fullmatch(column) or column in found:
            column = f"doc_{column}"
        found[column] = [_bounded(answer.columns.get(name)) for answer in answers]
    return {name: values for name, values in found.items() if any(value is not None for value in values)}


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return value[:COLUMN_TEXT]
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return [part[:COLUMN_TEXT] for part in value[:100]]
    return json.dumps(value, ensure_ascii=False, default=str)[:COLUMN_TEXT]


def _array(values: list[Any]) -> pa.Array:
    """Give a column the type that its values share, or text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and len(kinds) == 2:
        values = [None if value is None else float(value) for value in values]
    elif len(kinds) > 1:
        values = [
            value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for value in values
        ]
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, OverflowError):  # whole numbers beyond 64 bits
        return pa.array([None if value is None else str(value) for value in values])


def _with_metrics(path: Path, new: dict[str, MetricConfig]) -> str:
    """Return the text of the metrics' config with more metrics after the others; what stands there stays as it is."""
    text = read_text(path, "Restore it.") if path.exists() else ""
    if not new:
        return text
    if not text:
        plain = {"metrics": {key: metric.model_dump(exclude_defaults=True) for key, metric in new.items()}}
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=1000)
    root = yaml.compose(text)
    inside = next((value for key, value in (root.value if root else ()) if key.value == "metrics"), None)
    if inside is None or inside.flow_style:
        raise InputError(
            path,
            key="metrics",
            found="metrics on one line",
            expected="one line for each key",
            hint="Write them as a block.",
        )
    indent = " " * inside.start_mark.column
    plain = {key: metric.model_dump(exclude_defaults=True) for key, metric in new.items()}
    block = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=1000)
    before, after = text[: inside.end_mark.index].rstrip(), text[inside.end_mark.index :]
    return f"{before}\n\n{''.join(indent + line for line in block.splitlines(True))}" + (f"\n{after}" if after else "")


def _showing(path: Path, name: str) -> str:
    """Return the text of the project's config that shows this experiment; a study of another one is taken out."""
    text = read_text(path, "Restore it.")
    line = f"experiment: configs/experiments/{name}.yaml"
    text, found = re.subn(r"(?m)^experiment:.*$", line, text)
    return re.sub(r"(?m)^(study:.*)$", r"# \1", text if found else f"{text.rstrip()}\n{line}\n")


def checked_name(name: str) -> None:
    """Refuse a name that is not safe as a file name and on the Hub.

    Raises:
        InputError: It is not.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}", name):
        raise InputError(
            "--name", found=name, expected="letters, digits, `.`, `_` and `-`", hint="Choose another name."
        )
