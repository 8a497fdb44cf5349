"""Write another tool's results as a record: predictions, results, config, and the metrics that are not declared yet."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from src.record.checkpoint import adapter_config
from src.record.columns import MOST, NAME, VALUE
from src.record.config import ExperimentConfig, MetricConfig, MetricsConfig
from src.record.errors import InputError
from src.record.files import atomic, load_yaml, read_text, sha256_file, write_json
from src.record.load import PROJECT
from src.record.measures import available, summary
from src.record.predictions import SCHEMA, Predictions, read_predictions, write_predictions
from src.record.results import METRICS

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
    declared = load_yaml(root / METRICS, MetricsConfig)
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
    path = folder / "predictions.parquet"
    predictions = None
    if any(task.base for task in found.tasks):
        results["predictions"] = write_predictions(path, _table([task for task in found.tasks if task.base]))
        predictions = read_predictions(path)
    for key, (metric, stated) in metrics.items():
        values = stated if stated is not None else _computed(predictions, metric, results["tasks"])
        results["base_model"]["metrics"][key], results["finetuned_model"]["metrics"][key] = values
    write_json(folder / "evaluation_results.json", results)
    texts[config_path] = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    for target, text in texts.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
    answers = sum(len(task.base) for task in found.tasks)
    return [
        f"results/{name}: {answers:,} questions of {len(found.tasks):,} tasks, {len(metrics):,} metrics",
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
            if metric.exact and _candidates(task):
                for measure_name, what in (("balanced_accuracy", "balanced accuracy"), ("kappa", "Cohen's kappa")):
                    more = fields | {
                        "label": f"{label}, {what}"[:120], "measure": measure_name,
                        "definition": f"{what.capitalize()} of the task {task.name}; a constant answer cannot win it.",
                        "unit": "number" if measure_name == "kappa" else "proportion",
                    }  # fmt: skip
                    found[safe_name(f"{task.name}_{measure_name}").lower()] = (MetricConfig(**more), None)
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


def _computed(predictions: Predictions | None, metric: MetricConfig, tasks: dict[str, Any]) -> tuple[float, float]:
    rows = (predictions or _none()).task(metric.task or "")
    if not available(rows, metric):
        raise InputError(
            "the predictions",
            key=metric.label,
            found="nothing",
            expected="one value per question",
            hint="Import again.",
        )
    candidates = tasks[metric.task or ""]["candidates"]
    return summary(rows, "base", metric, candidates), summary(rows, "finetuned", metric, candidates)


def _none() -> Predictions:
    return Predictions(Path(), pa.Table.from_pylist([], schema=SCHEMA))


def _table(tasks: list[Task]) -> pa.Table:
    """Put the answers of all tasks into columns."""
    identifiers: list[str] = []
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    rows = sum(len(task.base) for task in tasks)
    own: dict[str, list[Any]] = {}
    done = 0
    for task in tasks:
        identifiers += _ids(task, set(identifiers))
        columns["task"] += [task.name] * len(task.base)
        columns["prompt"] += [answer.prompt for answer in task.base]
        columns["reference"] += [answer.references[0] for answer in task.base]
        columns["references"] += [list(a.references) if len(a.references) > 1 else None for a in task.base]
        for model, answers in (("base", task.base), ("finetuned", task.tuned)):
            columns[f"{model}_answer"] += [answer.answer for answer in answers]
            columns[f"{model}_correct"] += [answer.correct for answer in answers]
            columns[f"{model}_prompt"] += [answer.own_prompt for answer in answers]
            columns[f"{model}_score"] += [answer.score for answer in answers]
            columns[f"{model}_scores"] += [answer.scores for answer in answers]
            for name in {name: None for answer in answers for name in answer.values}:
                column = own.setdefault(f"{model}_{safe_name(name).lower()}", [None] * rows)
                column[done : done + len(answers)] = [answer.values.get(name) for answer in answers]
        for name, values in _fields(task.base).items():
            if name in own or len(own) < MOST:
                own.setdefault(name, [None] * rows)[done : done + len(values)] = values
        done += len(task.base)
    columns["id"] = identifiers
    arrays = {name: pa.array(columns[name] or [None] * rows, SCHEMA.field(name).type) for name in SCHEMA.names}
    return pa.table(arrays | {name: _array(values) for name, values in own.items()})


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
        if column in SCHEMA.names or VALUE.fullmatch(column) or not NAME.fullmatch(column) or column in found:
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
    text = read_text(path, "Restore it.")
    if not new:
        return text
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
