"""Write another tool's results as a record: questions, answers, results; for a new experiment its config and metrics too."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
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
from src.record.model import read_model
from src.record.model_name import parse_model_name, recorded_name
from src.record.questions import SCHEMA, read_questions, write_questions
from src.record.results import computed
from src.record.schemas import EvaluationResults, RunResults
from src.record.schemas import Task as TaskEntry
from src.record.tables import table_of

from .answers import TOLERANCE, Import, Metric, Task
from .lm_eval import sides
from .reading import COLUMN, safe_name

PRIMARY_TASKS = 20
"""Most tasks whose metrics are declared as primary, and so corrected together and shown first."""

COLUMN_TEXT = 1_000
"""Characters of a question's field that are taken over."""

COLUMNS = 40
"""Most fields of a task's questions that are taken over."""

SECTIONS = {"base": "base_model", "finetuned": "finetuned_model"}
"""The models' parts of `evaluation_results.json`, by the name of their answers; further models have files of their own."""


@dataclass
class Written:
    """What an import did: lines to print, and each metric whose value changed; None where there was nothing before."""

    lines: list[str] = field(default_factory=list)
    changes: list[str] | None = None


def write_record(found: Import, root: Path, name: str, *, replace: bool = False, weights: str = "") -> Written:
    """Write the results of an experiment. A new one also gets its config and its metrics declared.

    Files that exist are left as their author wrote them; what they would have to change is returned.

    Args:
        found: The other tool's results.
        root: The repository.
        name: Name of the experiment.
        replace: Whether to replace results that were not imported.
        weights: Where the published weights came from, if they were copied.
    """
    folder, config_path = root / "results" / name, root / "configs/experiments" / f"{name}.yaml"
    _check_project(root, name)
    place = folder / "evaluation_results.json"
    before = load_json(place, EvaluationResults) if place.is_file() else None
    source = before.source if before is not None else None
    if before is not None and source is None and not replace:
        raise InputError(place, "these results were not imported. Choose another --name, or pass --replace.")
    sample = source is not None and source.tool == SAMPLE
    former = _values(folder) if before is not None and not sample and config_path.is_file() else None
    own = parse_yaml(config_path, read_text(config_path)) if config_path.is_file() else {}
    own = {key: value for key, value in own.items() if key != "note"} if sample else own
    stated = _experiment(found, root, name)
    config = stated | own
    validate(config_path, config, ExperimentConfig)
    published = before.finetuned_model.name if before is not None and former is not None else None
    hashes = _bind_weights(found, root, config, config_path, weights or published or "")
    declared = MetricsConfig.model_construct(metrics={})
    if (root / METRICS).is_file() and not sample:
        declared = load_yaml(root / METRICS, MetricsConfig)
    metrics = _metrics(found.tasks, declared, root / METRICS)
    new = {key: metric for key, (metric, _) in metrics.items() if key not in declared.metrics}
    written = Written()
    texts: dict[Path, str] = {}
    if config_path.is_file() and not sample:
        written.lines += _config_differences(own, stated, config_path.relative_to(root))
    else:
        texts[config_path] = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    if declared.metrics and new:
        metrics = {key: metric for key, metric in metrics.items() if key not in new}
        block = _metrics_yaml(new).removeprefix("metrics:\n")
        written.lines.append(
            f"{METRICS}: not declared, so left out: {', '.join(new)}. To show them, add under `metrics`:\n{block}"
        )
    elif new:
        texts[root / METRICS] = _metrics_yaml(new)
    if not metrics:
        why = "is declared" if new else "is of questions that every model answered"
        raise InputError(found.tool, "\n".join([f"no metric of these results {why}.", *written.lines]))
    models = _models(found, root, metrics)
    results = _results(found, name, models)
    if hashes:
        results["hashes"] = {"adapter": hashes, "data": {}}
    if before is not None:
        if hashes and before.hashes and before.hashes.adapter != hashes:
            written.lines.append("training log left out, since it is of other weights")
        else:
            kept = {"training_log", "resources", "environment"}
            results |= before.model_dump(mode="json", include=kept, exclude_unset=True)
        written.lines += [] if sample else _keep_own_values(results, before, declared)
    written.lines += _write_results(results, models, found, metrics, folder, root)
    for target, text in texts.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
        written.lines.append(f"written: {target.relative_to(root)}")
    for run in {*SECTIONS, *before.runs} - models.keys() if before is not None else ():
        for stale in (folder / "runs" / f"{run}.json", folder / "answers" / f"{run}.parquet"):
            stale.unlink(missing_ok=True)
    if former is not None:
        written.changes = _changes(former, _values(folder))
    return written


def _write_results(
    results: dict[str, Any],
    models: dict[str, dict[str, Any]],
    found: Import,
    metrics: dict[str, Declared],
    folder: Path,
    root: Path,
) -> list[str]:
    """Write results, questions and answers; return the files that changed. Until all are written, the former ones stay."""
    lines = []
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as given:
        staging = Path(given)
        if results["tasks"]:
            _add_answers(results, models, [task for task in found.tasks if task.answers], metrics, staging)
        write_json(staging / "evaluation_results.json", results)
        for run in results["runs"]:
            write_json(staging / "runs" / f"{run}.json", {"run": run, **models[run]})
        for path in sorted(path for path in staging.rglob("*") if path.is_file()):
            target = folder / path.relative_to(staging)
            target.parent.mkdir(exist_ok=True)
            changed = not target.is_file() or target.read_bytes() != path.read_bytes()
            path.replace(target)
            lines += [f"written: {target.relative_to(root)}"] if changed else []
    return lines


def _check_project(root: Path, name: str) -> None:
    """Refuse to import into a project that shows another record, which its words are about."""
    shown = Path(load_yaml(root / PROJECT, ProjectConfig).experiment)
    if shown.stem != name:
        create = f"Create one with `python -m src.new DIR --name {name}`."
        raise InputError(PROJECT, f"experiment: this project is about {shown.stem}. {create}")


def _bind_weights(
    found: Import, root: Path, config: dict[str, Any], config_path: Path, published: str
) -> dict[str, str] | None:
    """Return the hashes of the published weights, once they are known to be the evaluated ones; None without weights.

    Where the evaluated weights are a folder on this machine, contents are compared; otherwise their names are.
    """
    folder = root / config["checkpoint"]
    if not folder.is_dir():
        return None
    model, adapter = found.models[found.published]
    evaluated, actual = Path(adapter or model), hash_files(checkpoint_files(folder))
    if evaluated.is_dir():
        theirs = hash_files(checkpoint_files(evaluated))
        same = all(theirs.get(file) == digest for file, digest in actual.items() if file.endswith(".safetensors"))
    else:
        usual = config["checkpoint"] == f"checkpoints/{config['experiment_name']}"  # a name that says nothing
        own = published or ("" if usual else config["checkpoint"])
        same = not own or parse_model_name(own).names(str(evaluated))
    if not same:
        shown = recorded_name(root, published) if published else config["checkpoint"]
        refuse_weights(config_path.relative_to(root), recorded_name(root, str(evaluated)), shown)
    return actual


def _models(found: Import, root: Path, metrics: dict[str, Declared]) -> dict[str, dict[str, Any]]:
    """Return each model's results by the name of its run, without what is computed from answers."""
    models: dict[str, dict[str, Any]] = {}
    for place, (model, adapter) in enumerate(found.models):
        shown = recorded_name(root, adapter or model)
        run = sides(len(found.models))[place]
        if run not in SECTIONS:
            run = re.sub(r"[^A-Za-z0-9._-]+", "-", shown.rsplit("/", 1)[-1]).strip("-._")[:80] or run
            run += f"-{place + 1}" if run.lower() in {*SECTIONS, *map(str.lower, models)} else ""
        stated = {key: metric for key, (_, metric) in metrics.items() if metric is not None}
        models[run] = {"name": shown, "metrics": {key: metric.values[place] for key, metric in stated.items()}}
    return models


def _results(found: Import, name: str, models: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return `evaluation_results.json` without what is computed from answers."""
    return {
        "experiment_name": name,
        **{section: models[run] for run, section in SECTIONS.items() if run in models},
        "runs": [run for run in models if run not in SECTIONS],
        "tasks": {t.name: _described(t) for t in found.tasks if t.answers},
        "groups": {t.name: list(t.members) for t in found.tasks if _pooled(t, found.tasks)},
        "source": {
            "tool": found.tool, "files": _hashes(found.files), "settings": found.settings, "left_out": found.notes,
            "stated": sorted({key for model in models.values() for key in model["metrics"]}),
        },
    }  # fmt: skip


def _keep_own_values(results: dict[str, Any], before: EvaluationResults, declared: MetricsConfig) -> list[str]:
    """Keep the values of metrics that the author declared and computes elsewhere; return a line that names them."""
    own = {key for key, metric in declared.metrics.items() if metric.task is None and not metric.measure}
    own -= set(before.source.stated if before.source is not None else ())
    kept: set[str] = set()
    for section, former in (("base_model", before.base_model), ("finetuned_model", before.finetuned_model)):
        if former is not None and section in results:
            metrics = results[section]["metrics"]
            missing = {key: value for key, value in former.metrics.items() if key in own - metrics.keys()}
            metrics |= missing
            kept |= missing.keys()
    return [f"kept as it was, since these results do not state it: {', '.join(sorted(kept))}"] if kept else []


def _values(folder: Path) -> dict[str, dict[str, float]]:
    """Return the metrics of every model of a record, by what readers call it."""
    results = load_json(folder / "evaluation_results.json", EvaluationResults)
    found = {"base": results.base_model.metrics} if results.base_model is not None else {}
    found["fine-tuned"] = results.finetuned_model.metrics
    return found | {run: load_json(folder / "runs" / f"{run}.json", RunResults).metrics for run in results.runs}


def _changes(before: dict[str, dict[str, float]], after: dict[str, dict[str, float]]) -> list[str]:
    """List each metric with the old and new values of every model, where one changed."""
    found = []
    models = {**after, **before}
    for key in dict.fromkeys(key for part in (*after.values(), *before.values()) for key in part):
        pairs = [[values.get(model, {}).get(key) for values in (before, after)] for model in models]
        if any(was != now for was, now in pairs):
            shown = [" → ".join("none" if value is None else f"{value:.6g}" for value in pair) for pair in pairs]
            found.append(f"{key}: {'; '.join(f'{model} {pair}' for model, pair in zip(models, shown, strict=True))}")
    return found


def _config_differences(config: dict[str, Any], stated: dict[str, Any], path: Path) -> list[str]:
    """Say what the config of an experiment would have to state for the results."""
    return [
        f"{path}: {key} is {config.get(key, 'not stated')}, and should be {stated[key]} for these results"
        for key in ("base_model", "base_revision")
        if key in stated and config.get(key) != stated[key]
    ]


def _hashes(files: list[list[Path]]) -> dict[str, str]:
    """Return each file's hash, by side and name; the folders that it is in may be named after a path."""
    named = zip(sides(len(files)), files, strict=True)
    return {f"{side}/{path.name}": sha256_file(path) for side, paths in named for path in paths}


def _experiment(found: Import, root: Path, name: str) -> dict[str, Any]:
    """Return what the results say of an experiment, as its config states it."""
    (given, _), (_, tuned_adapter) = found.models[0], found.models[found.published]
    base = recorded_name(root, given)
    config: dict[str, Any] = {"experiment_name": name}
    known = not parse_model_name(given).local or (root / base).is_dir()  # of a path elsewhere, the name is not a Hub id
    if known and (len(found.models) > 1 or tuned_adapter):  # otherwise the only model is the tuned one
        config["base_model"] = base
    revision = found.settings[sides(len(found.models))[0]].get("model_args", {}).get("revision")
    revision = parse_model_name(given).revision or revision
    if revision and config.get("base_model") == parse_model_name(given).id:
        config["base_revision"] = revision
    adapter = recorded_name(root, tuned_adapter) if tuned_adapter else ""
    config["checkpoint"] = adapter if (root / adapter / "adapter_config.json").is_file() else f"checkpoints/{name}"
    settings = read_model(root / config["checkpoint"]).settings
    if settings is not None:
        config["lora_config"] = settings
    config["note"] = f"The results were made with {found.tool}."
    return config


def _candidates(task: Task) -> list[str] | None:
    """Return the candidates, where all questions have the same."""
    kinds = {answer.candidates for answer in task.asked}
    only = next(iter(kinds)) if len(kinds) == 1 else None
    return list(only) if only else None


def _described(task: Task) -> dict[str, Any]:
    return {
        "questions": len(task.asked), "method": task.method, "candidates": _candidates(task), "few_shot": task.few_shot,
        "template": "{prompt}", "fields": {"prompt": {"column": "prompt"}}, "judged": "tool",
        "prompts_differ": task.prompts_differ,
    }  # fmt: skip


Declared = tuple[MetricConfig, Metric | None]
"""A metric's declaration; and the metric, where its values are not computed from answers."""


def _metrics(tasks: list[Task], declared: MetricsConfig, path: Path) -> dict[str, Declared]:
    """Declare each metric of each task and group; a value that cannot be computed from the answers is taken over as stated."""
    found: dict[str, Declared] = {}
    primary = _primary(tasks)
    columns: set[tuple[str, str | None]] = set()
    for task in tasks:
        for metric in task.metrics:
            name = safe_name(metric.name).lower()
            measure = _measure(task, metric, tasks)
            if (task.name, measure.get("value")) in columns:
                measure = {}  # another metric's values have that column
            columns.add((task.name, measure.get("value") or metric.name))
            inside = [m for one in tasks if one.name in task.members for m in one.metrics if m.name == metric.name]
            share = all(m.share for m in inside) if inside else metric.share
            of = f"the group {task.name} ({len(task.members)} tasks)" if task.members else f"the task {task.name}"
            fields = {
                "label": f"{task.name.replace('_', ' ')}, {metric.name}"[:120],
                "definition": f"{metric.name} of {of}, as its evaluation defines it.",
                "direction": metric.direction, "unit": "proportion" if share else "number",
                "primary": task.name in primary and metric is task.metrics[0],
                "task": task.name if measure or not task.members else None, **measure,
            }  # fmt: skip
            key = safe_name(f"{task.name}_{name}").lower()
            while key in found:
                key += "_2"
            if any(fields["label"] == other.label for other, _ in found.values()):
                fields["label"] = key  # two names may differ only after what a label has room for
            found[key] = MetricConfig(**fields), None if measure else metric
    for key, (metric_config, _) in found.items():
        before = declared.metrics.get(key)
        if before and any(getattr(before, k) != getattr(metric_config, k) for k in ("task", "measure", "value")):
            raise InputError(path, f"metrics.{key}: declared for another task or measure. Remove or rename it.")
    return {key: (declared.metrics.get(key, metric), stated) for key, (metric, stated) in found.items()}


def _primary(tasks: list[Task]) -> set[str]:
    """Name the tasks that the question is about: groups in place of their tasks; of too many, none."""
    members = {name for task in tasks for name in task.members}
    shown = {task.name for task in tasks if task.name not in members}
    return shown if len(shown) <= PRIMARY_TASKS else set()


def _measure(task: Task, metric: Metric, tasks: list[Task]) -> dict[str, str]:
    """Return how a metric is computed from the answers; empty where it cannot be."""
    if task.members:
        return {"measure": "exact_match"} if _pooled(task, tasks) is metric else {}
    if metric.judged:
        return {"measure": "exact_match"}
    for answers, stated in zip(task.answers, metric.values, strict=False):
        values = [answer.values[metric.name] for answer in answers if metric.name in answer.values]
        if len(values) < len(answers):
            return {}
        if abs(sum(values) / len(values) - stated) > TOLERANCE:
            return {}  # it is not the mean of its values
    return {"measure": "value", "value": _value_column(metric.name)} if task.answers else {}


def _value_column(metric: str) -> str:
    """Name the column of the answers that holds a metric's value for each question."""
    name = re.sub(r"[^a-z0-9_]+", "_", safe_name(metric).lower())[:44]
    return name if COLUMN.fullmatch(name) and name not in ANSWERS.names else f"value_{name}"


def _pooled(group: Task, tasks: list[Task]) -> Metric | None:
    """Return the metric of a group that is the share of right answers over all questions of its tasks."""
    inside = [task for task in tasks if task.name in group.members and task.answers]
    if not group.members or len(inside) != len(group.members):
        return None
    for metric in group.metrics:
        if all(any(m.judged and m.name == metric.name for m in task.metrics) for task in inside):
            judged = [[a.correct for t in inside for a in t.answers[place]] for place in range(len(metric.values))]
            means = [sum(map(bool, side)) / len(side) for side in judged]
            if all(abs(mean - stated) < TOLERANCE for mean, stated in zip(means, metric.values, strict=True)):
                return metric
    return None


def _add_answers(
    results: dict[str, Any],
    models: dict[str, dict[str, Any]],
    tasks: list[Task],
    metrics: dict[str, Declared],
    folder: Path,
) -> None:
    """Write questions and answers, and compute the metrics that are computed from them."""
    columns = {(m.task, m.value) for m, _ in metrics.values() if m.value}
    for task in tasks:
        for answer in (one for side in task.answers for one in side):
            named = {_value_column(name): value for name, value in answer.values.items()}
            answer.values = {name: value for name, value in named.items() if (task.name, name) in columns}
    asked, *tables = _tables(tasks, results["source"]["left_out"])
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


def _tables(tasks: list[Task], notes: list[str]) -> list[pa.Table]:
    """Return the questions of all tasks, then each model's answers."""
    asked: list[dict[str, Any]] = []
    given: list[list[dict[str, Any]]] = [[] for _ in tasks[0].answers]
    for task in tasks:
        ids, columns = [f"{task.name}/{answer.key}" for answer in task.asked], _columns(task, notes)
        listed = _candidates(task) is not None
        for identity, answer in zip(ids, task.asked, strict=True):
            own = {column: _bounded(answer.columns.get(name)) for column, name in columns.items()}
            known = list(answer.references)
            reference = {"reference": known[0] if known else None, "references": known if len(known) > 1 else None}
            asked.append({"id": identity, "task": task.name, "prompt": answer.prompt, **reference, **own})
        for rows, answers in zip(given, task.answers, strict=True):
            for identity, a in zip(ids, answers, strict=True):
                stored = listed and a.scores is not None and max(map(abs, a.scores)) < np.finfo(np.float16).max
                scores = np.array(a.scores, dtype=np.float16) if stored else None
                known_of = {"answer": a.answer, "correct": a.correct, "prompt": a.own_prompt, "score": a.score}
                rows.append({"id": identity, "scores": scores, **known_of, **a.values})
    return [table_of(asked, SCHEMA), *(table_of(rows, ANSWERS) for rows in given)]


def _columns(task: Task, notes: list[str]) -> dict[str, str]:
    """Return the fields of the questions by the names of their columns."""
    found: dict[str, str] = {}
    names = list(dict.fromkeys(name for answer in task.asked for name in answer.columns))
    if len(names) > COLUMNS:
        notes.append(f"{task.name}: left out: {len(names) - COLUMNS} of {len(names)} fields of its questions")
    for name in names[:COLUMNS]:
        column = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:50] or "field"
        if column in (*SCHEMA.names, *ANSWERS.names) or not COLUMN.fullmatch(column) or column in found:
            column = f"doc_{column}"
        found.setdefault(column, name)
    return found


def _bounded(value: Any) -> Any:
    """Return a field's value as a column can hold it, of bounded size."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return [part[:COLUMN_TEXT] for part in value[:100]]
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))[:COLUMN_TEXT]


def _metrics_yaml(metrics: dict[str, MetricConfig]) -> str:
    declared = {key: metric.model_dump(exclude_defaults=True) for key, metric in metrics.items()}
    return yaml.safe_dump({"metrics": declared}, sort_keys=False, allow_unicode=True, width=1000)
