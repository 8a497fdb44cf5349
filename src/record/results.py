"""Load what evaluation and training wrote, and check that the parts agree with each other and with what was run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

from .answers import Answered, Answers, read_answers
from .binding import check_settings, check_trained
from .checkpoint import adapter_config
from .config import METRICS, ExperimentConfig, MetricConfig, MetricsConfig
from .errors import InputError, did_you_mean, show
from .files import load_json, sha256_file
from .questions import Questions, question_text, read_questions, without_shared_end
from .schemas import (
    EvaluationResults,
    FileReference,
    Hashes,
    ModelResults,
    RunResults,
    Task,
    TrainingLog,
)
from .tables import frequencies

BASE = "base"
"""Name of the base model among the runs."""


@dataclass(frozen=True)
class Run:
    """A model that was evaluated: the base model, the published one, or any other.

    Attributes:
        name: `base`, the name of a study's run, or `finetuned` where there is no study.
        place: The file that states its metrics.
        hashes: What it was trained and evaluated on, as SHA-256, if that is on record.
        model: The model as it was named to the evaluation.
    """

    name: str
    place: Path
    metrics: dict[str, float]
    answers: Answers | None = None
    log: TrainingLog | None = None
    hashes: Hashes | None = None
    model: str | None = None


@dataclass(frozen=True)
class Results:
    """The results of one experiment, validated: what `evaluation_results.json` says, what was asked, and each model that was."""

    path: Path
    evaluation: EvaluationResults
    base: Run | None
    published: Run
    questions: Questions | None = None
    others: tuple[Run, ...] = ()

    def answered(self, run: Run, task: str | None) -> Answered | None:
        """Return a run's answers to the questions of one task, if they are on record."""
        if self.questions is None or run.answers is None:
            return None
        return answered(task, self.questions, run.answers, self.evaluation.tasks, self.evaluation.groups)

    def question_texts(self) -> list[str]:
        """Write every question, without the solved examples before it, in the order of the questions; empty without questions.

        Lines at the end that all questions of a task share are left out.
        """
        if self.questions is None:
            return []
        table, found = self.questions.table, [""] * len(self.questions)
        names = table["task"].to_pylist()
        for name, task in self.evaluation.tasks.items():
            places = [i for i, of in enumerate(names) if of == name]
            rows = table.select(self.questions.own).take(pa.array(places, pa.int64())).to_pylist()
            texts = [question_text(task, row) for row in rows]
            for i, text in zip(places, without_shared_end(texts), strict=True):
                found[i] = text
        return found

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks whose questions are on record, in the order of the file."""
        return [] if self.questions is None else self.questions.table["task"].unique().to_pylist()


def answered(
    task: str | None,
    questions: Questions,
    answers: Answers,
    tasks: dict[str, Task],
    groups: Mapping[str, list[str]] = MappingProxyType({}),
) -> Answered | None:
    """Return one model's answers to one task, or to all tasks of a group; None where no question is of that task."""
    members = groups.get(task or "", [task or ""])
    mask = pc.is_in(questions.table["task"], value_set=pa.array(members, pa.string()))
    rows = questions.table.filter(mask)
    return Answered(task, tasks.get(task), rows, answers.table.filter(mask)) if task and len(rows) else None


def load_results(
    path: Path,
    metrics: MetricsConfig,
    experiment: ExperimentConfig,
    config_path: Path,
    checkpoint: Path,
    name: str = "finetuned",
) -> Results:
    """Load the results of one experiment."""
    evaluation = load_json(path, EvaluationResults)
    tuned = evaluation.finetuned_model
    _check_stated(path, "finetuned_model", tuned.metrics, metrics)
    if evaluation.base_model is not None:
        _check_stated(path, "base_model", evaluation.base_model.metrics, metrics)
        alone = ", ".join(sorted(evaluation.base_model.metrics.keys() ^ tuned.metrics.keys()))
        if alone:
            raise InputError(path, f"metrics of one model only: {alone}. Evaluate both models on them.")
    questions = None
    if evaluation.questions is not None:
        questions = read_questions(referenced(path, evaluation.questions))
        asked = frequencies(questions.table["task"])
        for key, task in evaluation.tasks.items():
            if task.questions != asked.get(key, 0):
                raise InputError(
                    path, f"tasks.{key}.questions: {task.questions}, but {asked.get(key, 0)} are on record."
                )
        for label, column in [pair for task in evaluation.tasks.values() for pair in task.shortcuts.items()]:
            _check_column(path, f"shortcuts.{label}", column, questions)
    for key, metric in metrics.metrics.items():
        _check_metric(key, metric, evaluation, questions if key in tuned.metrics else None)
    log = None
    if evaluation.training_log is not None:
        log_path = referenced(path, evaluation.training_log)
        log = load_json(log_path, TrainingLog)
        check_trained(log_path, log, evaluation.hashes)
    adapter = adapter_config(checkpoint) if checkpoint.is_dir() else {}
    runs = {"the evaluation": evaluation.config, "the training": log.config if log else None}
    check_settings(config_path, experiment, path, runs, adapter)
    answers = evaluation.answers
    of_base, of_published = (answers.base, answers.finetuned) if answers else (None, None)
    base = None
    if evaluation.base_model is not None:
        base = _run(BASE, path, evaluation.base_model, of_base, metrics, questions, evaluation)
    published = _run(name, path, tuned, of_published, metrics, questions, evaluation)
    found = Results(path, evaluation, base, replace(published, log=log), questions)
    places = {run: path.parent / "runs" / f"{run}.json" for run in evaluation.runs}
    others = [further_run(found, run, place, load_json(place, RunResults), metrics) for run, place in places.items()]
    return replace(found, others=tuple(others))


def _run(
    name: str,
    path: Path,
    stated: ModelResults | RunResults,
    reference: FileReference | None,
    metrics: MetricsConfig,
    questions: Questions | None,
    evaluation: EvaluationResults,
) -> Run:
    """Read a model's answers; values that follow from them are computed, the others are as stated."""
    answers = None
    if reference is not None and questions is not None:
        answers = read_answers(referenced(path, reference), questions, evaluation.tasks)
    values = computed(metrics, questions, answers, evaluation.tasks, evaluation.groups) | stated.metrics
    return Run(name, path, values, answers, None, evaluation.hashes, stated.name)


def further_run(results: Results, name: str, place: Path, stored: RunResults, metrics: MetricsConfig) -> Run:
    """Read the answers of a further run, whose own file is at `place`, to the questions of the results."""
    _check_stated(place, "run", stored.metrics, metrics)
    run = _run(name, results.path, stored, stored.answers, metrics, results.questions, results.evaluation)
    return replace(run, place=place, log=stored.training_log, hashes=stored.hashes)


def computed(
    metrics: MetricsConfig,
    questions: Questions | None,
    answers: Answers | None,
    tasks: dict[str, Task],
    groups: Mapping[str, list[str]] = MappingProxyType({}),
) -> dict[str, float]:
    """Compute every declared metric that a model's answers allow."""
    from .measures import available, per_question  # which need what this module and its imports define

    if questions is None or answers is None:
        return {}
    found = {}
    for key, metric in metrics.metrics.items():
        rows = answered(metric.task, questions, answers, tasks, groups)
        if rows is not None and available(rows, metric) and len(rows.only(metric.only)):
            found[key] = float(per_question(rows, metric).mean())
    return found


def referenced(results: Path, reference: FileReference) -> Path:
    """Return the path of a file that the results name."""
    path = results.parent / reference.file
    if sha256_file(path) != reference.sha256:
        raise InputError(path, f"another file than {results.name} names. Restore it, or evaluate again.")
    return path


def _check_stated(path: Path, section: str, values: dict[str, float], config: MetricsConfig) -> None:
    """Refuse metrics that are not declared, or outside their range."""
    for key, value in values.items():
        where = f"{section}.metrics.{key}"
        if key not in config.metrics:
            raise InputError(path, f"{where}: not declared. Declare it in {METRICS}, or remove it.")
        if config.metrics[key].bounded and not 0 <= value <= 1:
            raise InputError(path, f"{where}: {show(value)} is not from 0 to 1. Divide a percentage by 100.")


def _check_metric(key: str, metric: MetricConfig, evaluation: EvaluationResults, questions: Questions | None) -> None:
    """Refuse a metric of a measure, a task or a column that is not there."""
    from .measures import measures  # which needs what this module and its imports define

    if metric.measure is not None and metric.measure not in measures():
        meant = did_you_mean(metric.measure, measures())
        raise InputError(METRICS, f"metrics.{key}.measure: unknown measure {metric.measure}{meant}")
    if questions is None or metric.task is None or metric.measure is None:
        return
    if metric.task not in evaluation.groups and metric.task not in questions.table["task"].to_pylist():
        meant = did_you_mean(metric.task, evaluation.tasks)
        raise InputError(METRICS, f"metrics.{key}.task: no questions of {metric.task} are on record{meant}")
    for column in [only.column for only in metric.only] + [by.column for by in metric.breakdowns]:
        _check_column(METRICS, f"metrics.{key}", column, questions)


def _check_column(path: Path, where: str, column: str, questions: Questions) -> None:
    """Refuse to name a column that the questions do not have."""
    names = questions.table.column_names
    if column not in names:
        raise InputError(path, f"{where}: the questions have no column {column}{did_you_mean(column, names)}")
