"""Load what one run's evaluation and training wrote, and check that its parts agree with each other and with what was run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from .binding import check_settings, check_trained
from .checkpoint import adapter_config
from .columns import check_grouping
from .config import ExperimentConfig, MetricsConfig
from .errors import InputError
from .files import parse_json, read_text, sha256_file, validate
from .measures import available, summary
from .predictions import MODELS, Predictions, read_predictions
from .schemas import EvaluationResults, FileReference, TrainingLog

METRICS = Path("configs/metrics.yaml")
TOLERANCE = 1e-6
"""How far a stated metric may be from the one that follows from the predictions (JSON may have been rounded)."""


@dataclass(frozen=True)
class Results:
    """The results of one run, validated.

    Attributes:
        path: Where `evaluation_results.json` lies.
        evaluation: What it says.
        predictions: Both models' answers, if they are on record.
        log: The training log, if it is on record.
    """

    path: Path
    evaluation: EvaluationResults
    predictions: Predictions | None
    log: TrainingLog | None


def load_results(
    path: Path, metrics: MetricsConfig, experiment: ExperimentConfig, config_path: Path, checkpoint: Path
) -> Results:
    """Load the results of one run.

    Args:
        path: `evaluation_results.json`.
        metrics: The declared metrics.
        experiment: What the config says was run.
        config_path: Where that config lies.
        checkpoint: The adapter's folder, which may be missing.

    Raises:
        InputError: A file is missing or malformed, or says something else than another one.
    """
    hint = "Run `python -m src.evaluate --config CONFIG`, or see the file formats."
    evaluation = validate(path, parse_json(path, read_text(path, hint)), EvaluationResults, hint)
    _check_metrics(path, evaluation, metrics)
    predictions = None
    if evaluation.predictions is not None:
        predictions = read_predictions(_referenced(path, evaluation.predictions))
        _check_predictions(path, evaluation, metrics, predictions)
    log = None
    if evaluation.training_log is not None:
        log_path = _referenced(path, evaluation.training_log)
        log = validate(
            log_path, parse_json(log_path, read_text(log_path, hint)), TrainingLog, "Run `python -m src.train` again."
        )
        check_trained(log_path, log, evaluation)
    adapter = adapter_config(checkpoint) if checkpoint.is_dir() else {}
    check_settings(config_path, experiment, path, evaluation, log, adapter)
    return Results(path, evaluation, predictions, log)


def _referenced(results: Path, reference: FileReference) -> Path:
    path = results.parent / reference.file
    found = sha256_file(path) if path.is_file() else None
    if found != reference.sha256:
        raise InputError(
            path,
            found=f"sha256 {found}" if found else "no such file",
            expected=f"sha256 {reference.sha256}, as {results.name} says",
            hint="Restore the file, or run `python -m src.evaluate` again.",
        )
    return path


def _check_metrics(path: Path, evaluation: EvaluationResults, config: MetricsConfig) -> None:
    base, finetuned = evaluation.base_model.metrics, evaluation.finetuned_model.metrics
    for section, metrics in (("base_model", base), ("finetuned_model", finetuned)):
        for key, value in metrics.items():
            where = f"{section}.metrics.{key}"
            if key not in config.metrics:
                raise InputError(
                    path,
                    key=where,
                    found="a metric that is not declared",
                    expected=f"one of {', '.join(sorted(config.metrics))}",
                    hint="Declare it in configs/metrics.yaml, or remove it.",
                )
            if config.metrics[key].bounded and not 0 <= value <= 1:
                raise InputError(
                    path,
                    key=where,
                    found=value,
                    expected="a number from 0 to 1",
                    hint="Give the value as a fraction, not in per cent.",
                )
            if not math.isfinite(value):
                raise InputError(path, key=where, found=value, expected="a finite number", hint="Leave the metric out.")
    for key in sorted(base.keys() ^ finetuned.keys()):
        section = "finetuned_model" if key in base else "base_model"
        raise InputError(
            path,
            key=f"{section}.metrics.{key}",
            found="nothing",
            expected="the metric of both models",
            hint="Evaluate both models on it.",
        )


def _check_predictions(
    path: Path, evaluation: EvaluationResults, config: MetricsConfig, predictions: Predictions
) -> None:
    stated_rows = evaluation.predictions.rows if evaluation.predictions else None
    if stated_rows is not None and stated_rows != len(predictions):
        raise InputError(
            path,
            key="predictions.rows",
            found=stated_rows,
            expected=f"{len(predictions)}, the rows of the file",
            hint="Evaluate again.",
        )
    for name, task in evaluation.tasks.items():
        rows = len(predictions.task(name))
        if rows != task.questions:
            raise InputError(
                path,
                key=f"tasks.{name}.questions",
                found=task.questions,
                expected=f"{rows}, the rows of the predictions",
                hint="Evaluate again.",
            )
    for key, stated in evaluation.base_model.metrics.items():
        metric = config.metrics[key]
        answers = predictions.tasks.get(metric.task or "")
        if answers is None:
            continue
        for i, by in enumerate(metric.breakdowns):
            check_grouping(METRICS, f"metrics.{key}.breakdowns[{i}]", by, answers.holding(by.column))
        if not available(answers, metric):
            continue
        candidates = evaluation.candidates(metric.task)
        for model, value in zip(MODELS, (stated, evaluation.finetuned_model.metrics[key]), strict=True):
            actual = summary(answers, model, metric, candidates)
            if abs(actual - value) > TOLERANCE:
                raise InputError(
                    path,
                    key=f"{model}_model.metrics.{key}",
                    found=value,
                    expected=f"{actual:.6f}, which follows from the predictions",
                    hint="Evaluate again, or correct the metric's task and measure in configs/metrics.yaml.",
                )
