"""Write another tool's results as a record: questions, answers, results; for a new experiment its config and metrics too."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from src.record.answers import SCHEMA as ANSWERS
from src.record.answers import read_answers, write_answers
from src.record.binding import refuse_weights
from src.record.checkpoint import checkpoint_files, hash_files
from src.record.config import METRICS, ExperimentConfig, MetricConfig, MetricsConfig, ProjectConfig
from src.record.errors import InputError
from src.record.files import atomic, load_json, load_yaml, parse_yaml, read_text, sha256_file, validate, write_json
from src.record.gaps import SAMPLE
from src.record.load import PROJECT
from src.record.model_name import parse_model_name, recorded_name
from src.record.questions import SCHEMA, read_questions, write_questions
from src.record.results import computed
from src.record.schemas import EvaluationResults, RunResults
from src.record.schemas import Task as TaskEntry
from src.record.tables import table_of

from .answers import Import, Metric, Task
from .reading import column_names, unique_names

PRIMARY_TASKS = 20
"""Most tasks whose metrics are declared as primary, and so corrected together and shown first; of more, none is."""

LABEL = 120
"""Characters of a metric's label."""

COLUMN_TEXT = 1_000
"""Characters of a question's field that are taken over."""

COLUMNS = 40
"""Most fields of a task's questions that are taken over."""

SECTIONS = {"base": "base_model", "finetuned": "finetuned_model"}
"""The models' parts of `evaluation_results.json`, by the name of their answers; further models have files of their own."""


Json = dict[str, Any]
Declared = dict[str, tuple[MetricConfig, Metric | None]]
"""Metrics by key: the declaration; and the metric, where its values are not computed from answers."""


def write_record(found: Import, root: Path, *, replace: bool = False, weights: str = "") -> tuple[list[str], list[str]]:
    """Write the results of the project's experiment. A new one also gets its config and its metrics declared.

    Files that exist are left as their author wrote them; what they would have to change is returned.
    Returns lines to print, and each value that changed.

    Args:
        found: The other tool's results.
        root: The repository.
        replace: Whether to replace results that were not imported.
        weights: Where the published weights came from, if they were copied.
    """
    config_path = root / load_yaml(root / PROJECT, ProjectConfig).experiment
    name = config_path.stem
    folder = root / "results" / name
    place = folder / "evaluation_results.json"
    before = load_json(place, EvaluationResults) if place.is_file() else None
    source = before.source if before is not None else None
    if before is not None and source is None and not replace:
        raise InputError(
            place, "these results were not imported. Create a project with `python -m src.new`, or pass --replace."
        )
    sample = source is not None and source.tool == SAMPLE
    former = _values(folder) if before is not None and not sample else {}
    lines: list[str] = []
    texts: dict[Path, str] = {}

    own = parse_yaml(config_path, read_text(config_path)) if config_path.is_file() else {}
    stated = _experiment(found, root, name)
    if sample or not own:
        own.pop("note", None)
        texts[config_path] = _as_yaml(stated | own)
    else:
        differ = [key for key in ("base_model", "base_revision") if key in stated and own.get(key) != stated[key]]
        shown = config_path.relative_to(root)
        lines += [
            f"{shown}: {key} is {own.get(key, 'not stated')}, and {stated[key]} in these results" for key in differ
        ]
    config = validate(config_path, stated | own, ExperimentConfig)
    former_name = before.finetuned_model.name if before is not None and not sample else None
    published = weights or former_name or own.get("checkpoint", "")
    hashes = _bind_weights(found, root, config, config_path, published)

    metrics = _metrics(found.tasks)
    if sample or not (root / METRICS).is_file():
        texts[root / METRICS] = _metrics_yaml(metrics)
    else:
        metrics, new = _declared(metrics, load_yaml(root / METRICS, MetricsConfig).metrics, root / METRICS)
        if new:
            block = _metrics_yaml(new).removeprefix("metrics:\n")
            add = f"To show them, add under `metrics`:\n{block}"
            lines.append(f"{METRICS}: not declared, so left out: {', '.join(new)}. {add}")
    if not metrics:
        raise InputError(found.tool, "\n".join(["no metric of these results is declared.", *lines]))

    models = _models(found, root, metrics)
    results = _results(found, name, models)
    if hashes:
        results["hashes"] = {"adapter": hashes, "data": {}}
    if before is not None and before.training_log is not None:
        if hashes and before.hashes and before.hashes.adapter != hashes:
            lines.append("training log left out, since it is of other weights")
        else:
            results["training_log"] = before.training_log.model_dump(mode="json", exclude_unset=True)
    lines += _write_files(found, results, models, metrics, texts, root)
    for run in {*SECTIONS, *before.runs} - models.keys() if before is not None else ():
        for stale in (folder / "runs" / f"{run}.json", folder / "answers" / f"{run}.parquet"):
            stale.unlink(missing_ok=True)
    return lines, _changes(former, _values(folder))


def _write_files(
    found: Import, results: Json, models: dict[str, Json], metrics: Declared, texts: dict[Path, str], root: Path
) -> list[str]:
    """Write results, questions, answers and texts; return the files that changed. Until all are written, the former ones stay."""
    folder = root / "results" / results["experiment_name"]
    tasks = [task for task in found.tasks if task.answers]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as given:
        staging = Path(given)
        if tasks:
            _add_answers(tasks, results, models, metrics, staging)
        write_json(staging / "evaluation_results.json", results)
        for run in results["runs"]:
            write_json(staging / "runs" / f"{run}.json", {"run": run, **models[run]})
        changed = []
        for path in sorted(path for path in staging.rglob("*") if path.is_file()):
            target = folder / path.relative_to(staging)
            target.parent.mkdir(exist_ok=True)
            if not target.is_file() or target.read_bytes() != path.read_bytes():
                changed.append(target)
            path.replace(target)
    for target, text in texts.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return [f"written: {target.relative_to(root)}" for target in (*changed, *texts)]


def _bind_weights(found: Import, root: Path, config: ExperimentConfig, path: Path, published: str) -> dict[str, str]:
    """Return the hashes of the published weights, once they are known to be the evaluated ones; none without weights.

    Where the evaluated weights are a folder on this machine, contents are compared; otherwise their names are.
    """
    folder = root / config.checkpoint
    if not folder.is_dir():
        return {}
    model, adapter = found.models["finetuned"]
    evaluated, actual = Path(adapter or model), hash_files(checkpoint_files(folder))
    if evaluated.is_dir():
        theirs = hash_files(checkpoint_files(evaluated))
        same = all(theirs.get(file) == digest for file, digest in actual.items() if file.endswith(".safetensors"))
    else:
        same = not published or parse_model_name(published).names(str(evaluated))
    if not same:
        shown = recorded_name(root, published) if published else config.checkpoint
        refuse_weights(path.relative_to(root), recorded_name(root, str(evaluated)), shown)
    return actual


def _models(found: Import, root: Path, metrics: Declared) -> dict[str, Json]:
    """Return each model's results by the name of its run, without what is computed from answers."""
    models = {}
    for place, (run, (model, adapter)) in enumerate(found.models.items()):
        stated = {key: metric.values[place] for key, (_, metric) in metrics.items() if metric is not None}
        models[run] = {"name": recorded_name(root, adapter or model), "metrics": stated}
    return models


def _results(found: Import, name: str, models: dict[str, Json]) -> Json:
    """Return `evaluation_results.json` without what is computed from answers."""
    return {
        "experiment_name": name,
        **{section: models[run] for run, section in SECTIONS.items() if run in models},
        "runs": [run for run in models if run not in SECTIONS],
        "tasks": {task.name: _described(task) for task in found.tasks if task.answers},
        "groups": {group.name: list(group.members) for group in found.tasks if group.members},
        "source": {
            "tool": found.tool,  # a file by its name alone: the folders that it is in may be named after a path
            "files": {f"{run}/{path.name}": sha256_file(path) for run, paths in found.files.items() for path in paths},
            "settings": found.settings,
            "left_out": found.notes,
        },
    }


def _values(folder: Path) -> dict[str, float]:
    """Return every value of a record, by its metric and what readers call the model."""
    results = load_json(folder / "evaluation_results.json", EvaluationResults)
    models = {"base": results.base_model.metrics} if results.base_model is not None else {}
    models["fine-tuned"] = results.finetuned_model.metrics
    models |= {run: load_json(folder / "runs" / f"{run}.json", RunResults).metrics for run in results.runs}
    return {f"{key}, {model}": value for model, metrics in models.items() for key, value in metrics.items()}


def _changes(before: dict[str, float], after: dict[str, float]) -> list[str]:
    """List the old and the new value of whatever changed."""
    shown = [{key: f"{value:.6g}" for key, value in values.items()} for values in (before, after)]
    return [
        f"{key}: {' → '.join(values.get(key, 'none') for values in shown)}"
        for key in dict.fromkeys([*after, *before])
        if before.get(key) != after.get(key)
    ]


def _experiment(found: Import, root: Path, experiment: str) -> Json:
    """Return what the results say of an experiment, as its config states it."""
    config: Json = {"experiment_name": experiment}
    run, (model, adapter) = next(iter(found.models.items()))
    base = parse_model_name(model)
    name = recorded_name(root, model)
    known = not base.local or (root / name).is_dir()  # the name of a path elsewhere is not a Hub id
    if known and (run == "base" or adapter):
        config["base_model"] = name
        revision = base.revision or found.settings[run].get("revision")
        config |= {"base_revision": revision} if revision else {}
    config["note"] = f"The results were made with {found.tool}."
    return config


def _described(task: Task) -> Json:
    """Return a task's entry in the results; candidates where all questions have the same."""
    lists = {answer.candidates for answer in task.asked}
    return {
        "questions": len(task.asked), "method": task.method, "few_shot": task.few_shot, "template": "{prompt}",
        "fields": {"prompt": {"column": "prompt"}}, "judged": "tool", "prompts_differ": task.prompts_differ,
        "candidates": (lists.pop() or None) if len(lists) == 1 else None,
    }  # fmt: skip


def _metrics(tasks: list[Task]) -> Declared:
    """Declare each metric of each task and group; a value that cannot be computed from the answers is taken over as stated."""
    found: Declared = {}
    members = {name for task in tasks for name in task.members}
    shown = [task.name for task in tasks if task.name not in members]  # groups in place of their tasks
    given = [(task, metric) for task in tasks for metric in task.metrics]
    keys = unique_names(f"{task.name}_{metric.name}".lower() for task, metric in given)
    for key, (task, metric) in zip(keys, given, strict=True):
        label = f"{task.name.replace('_', ' ')}, {metric.name}"
        of = f"the group {task.name} ({len(task.members)} tasks)" if task.members else f"the task {task.name}"
        declared = MetricConfig(
            label=label if len(label) <= LABEL else key,
            definition=f"{metric.name} of {of}, as its evaluation defines it.",
            direction=metric.direction,
            unit="proportion" if metric.share else "number",
            primary=len(shown) <= PRIMARY_TASKS and task.name in shown and metric is task.metrics[0],
            task=task.name if metric.measure or not task.members else None,
            measure=metric.measure,
            value=metric.column if metric.measure == "value" else None,
        )
        found[key] = declared, None if metric.measure else metric
    return found


def _declared(metrics: Declared, own: dict[str, MetricConfig], path: Path) -> tuple[Declared, Declared]:
    """Split metrics into those that the author declares, with that declaration, and new ones."""
    for key in sorted(metrics.keys() & own.keys()):
        author, config = own[key], metrics[key][0]
        if (author.task, author.measure, author.value) != (config.task, config.measure, config.value):
            raise InputError(path, f"metrics.{key}: declared for another task or measure. Remove or rename it.")
    known = {key: (own[key], stated) for key, (_, stated) in metrics.items() if key in own}
    return known, {key: metric for key, metric in metrics.items() if key not in own}


def _add_answers(tasks: list[Task], results: Json, models: dict[str, Json], metrics: Declared, folder: Path) -> None:
    """Write questions and answers, and compute the metrics that are computed from them."""
    asked, *tables = _tables(tasks, {(m.task, m.value) for m, _ in metrics.values()}, results["source"]["left_out"])
    path = folder / "questions.parquet"
    results["questions"] = write_questions(path, asked)
    questions = read_questions(path)
    results["answers"] = {}
    entries = {key: TaskEntry.model_validate(task) for key, task in results["tasks"].items()}
    from_answers = {key: metric for key, (metric, stated) in metrics.items() if stated is None}
    declared = MetricsConfig.model_construct(metrics=from_answers)
    for (run, model), table in zip(models.items(), tables, strict=True):
        place = folder / "answers" / f"{run}.parquet"
        reference = write_answers(place, table)
        if run in SECTIONS:
            results["answers"][run] = reference
        else:
            model["answers"] = reference
        answers = read_answers(place, questions, entries)
        model["metrics"] |= computed(declared, questions, answers, entries, results["groups"])


def _tables(tasks: list[Task], kept: set[tuple[str | None, str | None]], notes: list[str]) -> list[pa.Table]:
    """Return the questions of all tasks, then each model's answers with the values that metrics are computed from."""
    asked: list[Json] = []
    given: list[list[Json]] = [[] for _ in tasks[0].answers]
    for task in tasks:
        ids, columns = [f"{task.name}/{answer.key}" for answer in task.asked], _columns(task, notes)
        for identity, answer in zip(ids, task.asked, strict=True):
            own = {column: _plain(answer.columns.get(name)) for column, name in columns.items()}
            known = list(answer.references)
            reference = {"reference": known[0] if known else None, "references": known if len(known) > 1 else None}
            asked.append({"id": identity, "task": task.name, "prompt": answer.prompt, **reference, **own})
        for rows, answers in zip(given, task.answers, strict=True):
            for identity, a in zip(ids, answers, strict=True):
                known_of = {"answer": a.answer, "correct": a.correct, "prompt": a.own_prompt}
                values = {column: value for column, value in a.values.items() if (task.name, column) in kept}
                rows.append({"id": identity, **known_of, **values})
    return [table_of(asked, SCHEMA), *(table_of(rows, ANSWERS) for rows in given)]


def _columns(task: Task, notes: list[str]) -> dict[str, str]:
    """Return the fields of the questions by the names of their columns."""
    names = list(dict.fromkeys(name for answer in task.asked for name in answer.columns))
    if len(names) > COLUMNS:
        notes.append(f"{task.name}: left out: {len(names) - COLUMNS} of {len(names)} fields of its questions")
    return dict(zip(column_names(names[:COLUMNS], "doc"), names[:COLUMNS], strict=True))


def _plain(value: Any) -> Any:
    """Return a field's value as a column can hold it, of bounded size."""
    return value if value is None or isinstance(value, bool | int | float) else str(value)[:COLUMN_TEXT]


def _metrics_yaml(metrics: Declared) -> str:
    return _as_yaml(
        {"metrics": {key: metric.model_dump(exclude_defaults=True) for key, (metric, _) in metrics.items()}}
    )


def _as_yaml(data: Json) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000)
