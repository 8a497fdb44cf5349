"""Write another tool's results as a record: questions, answers, results, config, and the metrics that are not declared yet."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from src.record.answers import MODELS, read_answers, write_answers
from src.record.answers import SCHEMA as ANSWERS
from src.record.columns import NAME
from src.record.config import ExperimentConfig, MetricConfig, MetricsConfig
from src.record.errors import InputError
from src.record.files import atomic, read_text, sha256_file, write_json
from src.record.load import PROJECT
from src.record.measures import available, per_question
from src.record.model import read_model
from src.record.model_name import parse_model_name, shown_in
from src.record.questions import SCHEMA, read_questions, write_questions
from src.record.results import METRICS, answered, declared_metrics
from src.record.schemas import Task as TaskEntry
from src.record.tables import table_of

from .answers import TOLERANCE, UNNAMED, Answer, Import, Metric, Task
from .reading import safe_name

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
    if not metrics:
        raise InputError(
            found.tool, found="no metric of the questions that both models answered", expected="one at least",
            hint="Evaluate both models on the same questions.",
        )  # fmt: skip
    new = {key: metric for key, (metric, _) in metrics.items() if key not in declared.metrics}
    texts = {root / METRICS: _with_metrics(root / METRICS, new), root / PROJECT: _showing(root / PROJECT, name)}
    texts[config_path] = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)

    with_answers = [task for task in found.tasks if task.base]
    groups = {t.name: list(t.members) for t in found.tasks if _pooled(t, found.tasks)}
    results: dict[str, Any] = {
        "experiment_name": name,
        "base_model": {"name": config["base_model"], "metrics": {}},
        "finetuned_model": {"name": shown_in(root, found.adapter or found.tuned_model), "metrics": {}},
        "tasks": {t.name: _described(t) for t in with_answers},
        "groups": groups,
        "source": {
            "tool": found.tool,
            "files": _hashes(found.files),
            "settings": found.settings,
            "left_out": found.said,
        },
    }
    for key, (_, stated) in metrics.items():
        if stated is not None:
            for side, value, uncertainty in zip(
                ("base_model", "finetuned_model"), (stated.base, stated.tuned), stated.uncertainty, strict=True
            ):
                results[side]["metrics"][key] = value
                if uncertainty is not None:
                    noted = results[side].setdefault("uncertainty", {})
                    noted[key] = uncertainty.model_dump(exclude_none=True)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=folder, prefix="."
    ) as given:  # what cannot be written leaves the former record whole
        staging = Path(given)
        if with_answers:
            _add_answers(results, with_answers, metrics, staging)
        write_json(staging / "evaluation_results.json", results)
        for path in [path for path in staging.rglob("*") if path.is_file()]:
            (folder / path.relative_to(staging)).parent.mkdir(exist_ok=True)
            path.replace(folder / path.relative_to(staging))
    for target, text in texts.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
    questions = sum(len(task.base) for task in with_answers)
    of_groups = sum(1 for task in found.tasks if task.members)
    return [
        f"results/{name}: questions {questions:,}, tasks {len(found.tasks) - of_groups:,}, groups {of_groups:,}, metrics {len(metrics):,}",
        f"configs/experiments/{name}.yaml: what is known of the run; add how it was trained",
        f"{METRICS}: {len(new):,} metrics added",
        f"{PROJECT}: shows {name} from now on; describe it there",
    ]


def _hashes(files: tuple[list[Path], list[Path]]) -> dict[str, str]:
    """Return each file's hash, by side and name; the folders that it is in may be named after a path."""
    found: dict[str, str] = {}
    for side, paths in zip(("base", "finetuned"), files, strict=True):
        for path in paths:
            name, number = f"{side}/{path.name}", 1
            while name in found:
                number += 1
                name = f"{side}/{number}/{path.name}"
            found[name] = sha256_file(path)
    return found


def _experiment(found: Import, root: Path, name: str) -> dict[str, Any]:
    base = shown_in(root, found.base_model)
    config: dict[str, Any] = {"experiment_name": name, "base_model": base}
    revision = found.settings.get("base", {}).get("model_args", {}).get("revision")
    revision = parse_model_name(found.base_model).revision or revision
    if revision and base == parse_model_name(found.base_model).id:
        config["base_revision"] = revision
    adapter = shown_in(root, found.adapter) if found.adapter else ""
    config["checkpoint"] = adapter if (root / adapter / "adapter_config.json").is_file() else f"checkpoints/{name}"
    folder = root / config["checkpoint"]
    settings = read_model(folder).settings
    if settings is not None:
        config["lora_config"] = settings
    config["dataset_config"] = {"path": f"data/{name}"}
    config["note"] = f"The results were made with {found.tool}."
    return config


def _candidates(task: Task) -> list[str] | None:
    """Return the candidates, where all questions have the same."""
    kinds = {answer.candidates for answer in task.base}
    only = next(iter(kinds)) if len(kinds) == 1 else None
    return list(only) if only else None


def _described(task: Task) -> dict[str, Any]:
    return {
        "questions": len(task.base), "method": task.method, "candidates": _candidates(task), "few_shot": task.few_shot,
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
            if not measure and task.unpaired:
                continue  # it is of other questions than those that both models answered
            values = [answer.values.get(metric.name) for answer in (*task.base, *task.tuned)]
            share = metric.verdict or (measure and all(value is not None and 0 <= value <= 1 for value in values))
            label = task.name.replace("_", " ") + (f", {metric.name}" if metric.name != UNNAMED else "")
            of = f"the group {task.name} ({len(task.members)} tasks)" if task.members else f"the task {task.name}"
            fields = {
                "label": label[:120], "definition": f"{metric.name} of {of}, as its evaluation defines it.{metric.note}",
                "direction": metric.direction, "unit": metric.unit or ("proportion" if share else "number"),
                "primary": task.name in primary and metric is task.metrics[0],
                "task": task.name if measure or not task.members else None, **measure,
            }  # fmt: skip
            key = safe_name(f"{task.name}_{name}").lower()
            while key in found:
                key += "_2"
            found[key] = MetricConfig(**fields), None if measure else metric
    for key, (metric_config, _) in found.items():
        before = declared.metrics.get(key)
        if before is not None and (before.task, before.measure, before.value) != (
            metric_config.task, metric_config.measure, metric_config.value,
        ):  # fmt: skip
            raise InputError(
                path, key=f"metrics.{key}", found="that metric of another task or measure", expected="none of that name",
                hint="Remove the declared metric, or rename it.",
            )  # fmt: skip
    return {key: (declared.metrics.get(key, metric), stated) for key, (metric, stated) in found.items()}


def _primary(tasks: list[Task]) -> set[str]:
    """Name the tasks that the question is about: groups in place of their tasks; of too many, none."""
    members = {name for task in tasks for name in task.members}
    inner = {task.name for task in tasks if any(set(task.members) < set(other.members) for other in tasks)}
    shown = {task.name for task in tasks if task.name not in members}
    shown = shown if len(shown) <= PRIMARY_TASKS else shown - inner
    return shown if len(shown) <= PRIMARY_TASKS else set()


def _measure(task: Task, metric: Metric, tasks: list[Task]) -> dict[str, str]:
    """Return how a metric is computed from the answers; empty where it cannot be."""
    if task.members:
        return {"measure": "exact_match"} if _pooled(task, tasks) is metric else {}
    if metric.verdict:
        return {"measure": "exact_match"}
    for answers, stated in ((task.base, metric.base), (task.tuned, metric.tuned)):
        values = [answer.values.get(metric.name) for answer in answers]
        known = [value for value in values if value is not None]
        if not known or len(known) < len(values):
            return {}
        if not task.unpaired and abs(sum(known) / len(known) - stated) > TOLERANCE:
            return {}  # it is not the mean of its values
    return {"measure": "value", "value": _value_column(metric.name)}


def _value_column(metric: str) -> str:
    """Name the column of the answers that holds a metric's value for each question."""
    name = re.sub(r"[^a-z0-9_]+", "_", safe_name(metric).lower())[:44]
    return name if NAME.fullmatch(name) and name not in ANSWERS.names else f"value_{name}"


def _pooled(group: Task, tasks: list[Task]) -> Metric | None:
    """Return the metric of a group that is the share of right answers over all questions of its tasks."""
    inside = [task for task in tasks if task.name in group.members and task.base and not task.unpaired]
    if not group.members or len(inside) != len(group.members):
        return None
    for metric in group.metrics:
        if all(any(m.verdict and m.name == metric.name for m in task.metrics) for task in inside):
            answers = [[a.correct for t in inside for a in getattr(t, side)] for side in ("base", "tuned")]
            means = [sum(map(bool, side)) / len(side) for side in answers]
            if abs(means[0] - metric.base) < TOLERANCE and abs(means[1] - metric.tuned) < TOLERANCE:
                return metric
    return None


def _add_answers(results: dict[str, Any], tasks: list[Task], metrics: dict[str, Declared], folder: Path) -> None:
    """Write questions and answers, and compute the metrics that are computed from them."""
    columns = {(m.task, m.value): m for m, _ in metrics.values() if m.value}
    for task in tasks:
        for answer in (*task.base, *task.tuned):
            named = {_value_column(name): value for name, value in answer.values.items()}
            answer.values = {name: value for name, value in named.items() if (task.name, name) in columns}
    asked, *tables = _tables(tasks)
    path = folder / "questions.parquet"
    results["questions"] = write_questions(path, asked)
    questions = read_questions(path)
    results["answers"] = {}
    entries = {key: TaskEntry.model_validate(task) for key, task in results["tasks"].items()}
    for model, side, table in zip(MODELS, ("base_model", "finetuned_model"), tables, strict=True):
        place = folder / "answers" / f"{model}.parquet"
        results["answers"][model] = write_answers(place, table)
        answers = read_answers(place, questions, entries)
        for key, (metric, stated) in metrics.items():
            if stated is None:
                rows = answered(metric.task, questions, answers, entries, results["groups"])
                if rows is None or not available(rows, metric):
                    raise InputError(
                        place, key=key, found="no values", expected=f"one per question of {metric.task}",
                        hint="Remove or rename the declared metric in configs/metrics.yaml.",
                    )  # fmt: skip
                results[side]["metrics"][key] = float(per_question(rows, metric).mean())


def _tables(tasks: list[Task]) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Return the questions of all tasks, and both models' answers."""
    asked: list[dict[str, Any]] = []
    given: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    taken: set[str] = set()
    for task in tasks:
        ids, columns = _ids(task, taken), _columns(task.base)
        taken.update(ids)
        listed = _candidates(task) is not None
        for identity, answer in zip(ids, task.base, strict=True):
            own = {column: _bounded(answer.columns.get(name)) for column, name in columns.items()}
            known = list(answer.references)
            reference = {"reference": known[0] if known else None, "references": known if len(known) > 1 else None}
            asked.append({"id": identity, "task": task.name, "prompt": answer.prompt, **reference, **own})
        for rows, answers in zip(given, (task.base, task.tuned), strict=True):
            for identity, a in zip(ids, answers, strict=True):
                stored = listed and a.scores is not None and max(map(abs, a.scores)) < np.finfo(np.float16).max
                scores = np.array(a.scores, dtype=np.float16) if stored else None
                known_of = {"answer": a.answer, "correct": a.correct, "prompt": a.own_prompt, "score": a.score}
                rows.append({"id": identity, "scores": scores, **known_of, **a.values})
    return table_of(asked, SCHEMA), table_of(given[0], ANSWERS), table_of(given[1], ANSWERS)


def _ids(task: Task, taken: set[str]) -> list[str]:
    """Return each question's own id, or its key within the task where an id is missing or duplicated."""
    own = [answer.columns.get("id") for answer in task.base]
    named = [str(value) for value in own if isinstance(value, str | int) and str(value)]
    if len(named) == len(own) == len(set(named)) and not taken & set(named):
        return named
    return [f"{task.name}/{answer.key}" for answer in task.base]


def _columns(answers: list[Answer]) -> dict[str, str]:
    """Return the fields of the questions by the names of their columns."""
    found: dict[str, str] = {}
    for name in list(dict.fromkeys(name for answer in answers for name in answer.columns if name != "id"))[:COLUMNS]:
        column = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:50] or "field"
        if column in (*SCHEMA.names, *ANSWERS.names) or not NAME.fullmatch(column) or column in found:
            column = f"doc_{column}"
        found.setdefault(column, name)
    return found


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return value[:COLUMN_TEXT]
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return [part[:COLUMN_TEXT] for part in value[:100]]
    return json.dumps(value, ensure_ascii=False, default=str)[:COLUMN_TEXT]


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
