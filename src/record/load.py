"""Load a whole record and check that its parts agree."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .binding import check_settings, check_trained
from .checkpoint import adapter_config, base_files, check_hashes, checkpoint_files, hash_files
from .config import ExperimentConfig, MetricsConfig, ProjectConfig
from .criteria import CriteriaConfig, SignificantImprovement
from .dataset import Split, dataset_files, read_splits
from .deployment import Deployment
from .errors import InputError
from .evaluation import BaseTraining, EvaluationResults, FileReference, TrainingLog
from .files import Model, load_yaml, parse_json, read_text, sha256_file, validate
from .measures import available, summary
from .predictions import MODELS, Predictions, read_predictions
from .publication import Publication
from .references import BIBLIOGRAPHY, Work, read_references

TOLERANCE = 1e-6
"""How far a stated metric may be from the one that follows from the predictions (JSON may have been rounded)."""

PROJECT = Path("configs/project.yaml")
METRICS = Path("configs/metrics.yaml")
CRITERIA = Path("configs/criteria.yaml")


@dataclass(frozen=True)
class Record:
    """Everything that was run and declared, validated; read-only."""

    root: Path
    project: ProjectConfig
    metrics: MetricsConfig
    experiment: ExperimentConfig
    results: EvaluationResults
    results_path: Path
    predictions: Predictions | None
    training_log: TrainingLog | None
    publication: Publication | None = None
    criteria: CriteriaConfig = field(default_factory=CriteriaConfig)
    deployment: Deployment | None = None

    @property
    def deployment_is_current(self) -> bool:
        """Whether the benchmark that lies here measured the adapter that was evaluated, as far as the results say."""
        hashes = self.results.hashes
        return self.deployment is not None and (
            hashes is None or self.deployment.adapter_sha256 in hashes.adapter.values()
        )

    @property
    def report_path(self) -> Path:
        """Where the final report lies, or will lie."""
        return self.results_path.parent / "final_report.json"

    @property
    def bibliography(self) -> Path:
        """Where the bibliography lies, if there is one."""
        return self.root / BIBLIOGRAPHY

    @cached_property
    def references(self) -> dict[str, Work]:
        """The works of the bibliography, by key."""
        return read_references(self.bibliography)

    @property
    def publication_path(self) -> Path:
        """Where the receipt of the last publication lies, or will lie."""
        return self.results_path.parent / "publication.json"

    @property
    def publication_is_current(self) -> bool:
        """Whether the results that lie here are the ones that were published."""
        return self.publication is not None and self.publication.results_sha256 == sha256_file(self.results_path)

    @property
    def checkpoint(self) -> Path:
        """The adapter's folder."""
        return self.root / self.experiment.checkpoint

    @property
    def data(self) -> Path:
        """The dataset's folder."""
        return self.root / self.experiment.dataset_config.path

    @cached_property
    def splits(self) -> list[Split]:
        """The dataset's splits; empty if there is no dataset beside the record."""
        return read_splits(self.data)

    @cached_property
    def adapter(self) -> dict[str, object]:
        """The adapter's config; empty if there is no checkpoint beside the record."""
        return adapter_config(self.checkpoint) if self.checkpoint.is_dir() else {}

    @property
    def settings_recorded(self) -> bool:
        """Whether the settings that documents show are known to be those that were run."""
        return self.results.config is not None

    @property
    def checkpoint_has_tokenizer(self) -> bool:
        """Whether a tokenizer lies beside the adapter; a record without a checkpoint is taken to have one."""
        return not self.checkpoint.is_dir() or (self.checkpoint / "tokenizer_config.json").is_file()

    @cached_property
    def base_folder(self) -> Path | None:
        """The base model's folder, if it is a local one."""
        if self.experiment.base_model is None:
            return None
        folder = self.root / self.experiment.base_model
        return folder if folder.is_dir() else None

    @cached_property
    def base_training(self) -> BaseTraining | None:
        """How a local base model was pretrained, if its folder says so."""
        if self.base_folder is None or not (self.base_folder / "training.json").is_file():
            return None
        path = self.base_folder / "training.json"
        return validate(
            path, parse_json(path, read_text(path, "")), BaseTraining, "Run `python -m src.pretrain` again."
        )

    def check_evaluated(self) -> None:
        """Refuse weights and data that are not the ones that were evaluated.

        Raises:
            InputError: The record names hashes, and a file differs from them or is missing.
        """
        files = hash_files(checkpoint_files(self.checkpoint))
        if self.results.hashes is None:
            return
        check_hashes(files, self.results.hashes.adapter, self.checkpoint, "checkpoint")
        check_hashes(hash_files(dataset_files(self.data)), self.results.hashes.data, self.data, "dataset")
        if self.base_folder is not None:
            evaluated = self.results.hashes.base
            actual = hash_files(base_files(self.base_folder))
            if not evaluated and self.results.hashes.base_weights:
                evaluated = {"model.safetensors": self.results.hashes.base_weights}
                actual = {name: actual[name] for name in evaluated if name in actual}
            check_hashes(actual, evaluated, self.base_folder, "base model")


def load_record(
    root: Path,
    *,
    project: Path | None = None,
    experiment: Path | None = None,
    metrics: Path | None = None,
    results: Path | None = None,
    checkpoint: Path | None = None,
) -> Record:
    """Load a record and check it.

    Args:
        root: Folder that relative paths start from.
        project: Project config; `configs/project.yaml` by default.
        experiment: Experiment config; the one that the project names by default.
        metrics: Metrics config; `configs/metrics.yaml` by default.
        results: Evaluation results; `results/NAME/evaluation_results.json` by default.
        checkpoint: The adapter's folder; the one that the experiment names by default.

    Raises:
        InputError: A part is missing or malformed, or the parts do not agree.
    """
    project_config = load_yaml(root / (project or PROJECT), ProjectConfig)
    metrics_config = load_yaml(root / (metrics or METRICS), MetricsConfig)
    experiment_config = load_yaml(root / (experiment or Path(project_config.experiment)), ExperimentConfig)
    if checkpoint is not None:
        experiment_config = experiment_config.model_copy(update={"checkpoint": str(checkpoint)})
    path = root / (results or Path("results") / experiment_config.experiment_name / "evaluation_results.json")
    mend = "Run `python -m src.evaluate --config CONFIG`, or see the file formats."
    evaluation = validate(path, parse_json(path, read_text(path, mend)), EvaluationResults, mend)
    _check_metrics(path, evaluation, metrics_config)
    predictions = None
    if evaluation.predictions is not None:
        predictions = read_predictions(_referenced(path, evaluation.predictions))
        _check_predictions(path, evaluation, metrics_config, predictions)
    log = None
    if evaluation.training_log is not None:
        log_path = _referenced(path, evaluation.training_log)
        log = validate(
            log_path, parse_json(log_path, read_text(log_path, mend)), TrainingLog, "Run `python -m src.train` again."
        )
        check_trained(log_path, log, evaluation)
    folder = root / experiment_config.checkpoint
    check_settings(
        root / (experiment or Path(project_config.experiment)),
        experiment_config,
        path,
        evaluation,
        log,
        adapter_config(folder) if folder.is_dir() else {},
    )
    return Record(
        root,
        project_config,
        metrics_config,
        experiment_config,
        evaluation,
        path,
        predictions,
        log,
        _beside(path, "publication.json", Publication, "Restore the receipt, or publish again after removing it."),
        _criteria(root / CRITERIA, metrics_config),
        _beside(path, "deployment.json", Deployment, "Run `python -m src.benchmark` again, or remove it."),
    )


def _beside(results: Path, name: str, model: type[Model], mend: str) -> Model | None:
    """Read a file that may lie beside the results."""
    path = results.parent / name
    return validate(path, parse_json(path, read_text(path, mend)), model, mend) if path.is_file() else None


def _criteria(path: Path, metrics: MetricsConfig) -> CriteriaConfig:
    """Read the success criteria, if some are declared; each metric that they name must be a declared primary one."""
    if not path.is_file():
        return CriteriaConfig()
    config = load_yaml(path, CriteriaConfig)
    for key, criterion in config.criteria.items():
        for i, evidence in enumerate(criterion.evidence):
            if not isinstance(evidence, SignificantImprovement):
                continue
            metric = metrics.metrics.get(evidence.metric)
            if metric is None or not metric.primary:
                raise InputError(
                    path,
                    key=f"criteria.{key}.evidence[{i}].metric",
                    found=evidence.metric if metric is None else f"{evidence.metric}, which is not primary",
                    expected="a primary metric, since only their tests are corrected together: "
                    + (", ".join(k for k, m in metrics.metrics.items() if m.primary) or "none is declared"),
                    mend="Name one of them, declare the metric as primary in configs/metrics.yaml, or remove the criterion.",
                )
    return config


def _referenced(results: Path, reference: FileReference) -> Path:
    path = results.parent / reference.file
    found = sha256_file(path) if path.is_file() else None
    if found != reference.sha256:
        raise InputError(
            path,
            found=f"sha256 {found}" if found else "no such file",
            expected=f"sha256 {reference.sha256}, as {results.name} says",
            mend="Restore the file, or run `python -m src.evaluate` again.",
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
                    mend="Declare it in configs/metrics.yaml, or remove it.",
                )
            if config.metrics[key].bounded and not 0 <= value <= 1:
                raise InputError(
                    path,
                    key=where,
                    found=value,
                    expected="a number from 0 to 1",
                    mend="Give the value as a fraction, not in per cent.",
                )
            if not math.isfinite(value):
                raise InputError(path, key=where, found=value, expected="a finite number", mend="Leave the metric out.")
    for key in sorted(base.keys() ^ finetuned.keys()):
        section = "finetuned_model" if key in base else "base_model"
        raise InputError(
            path,
            key=f"{section}.metrics.{key}",
            found="nothing",
            expected="the metric of both models",
            mend="Evaluate both models on it.",
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
            mend="Evaluate again.",
        )
    by_task = {name: predictions.task(name) for name in sorted(set(predictions.table["task"].unique().to_pylist()))}
    for name, task in evaluation.tasks.items():
        rows = len(by_task[name]) if name in by_task else 0
        if rows != task.questions:
            raise InputError(
                path,
                key=f"tasks.{name}.questions",
                found=task.questions,
                expected=f"{rows}, the rows of the predictions",
                mend="Evaluate again.",
            )
    for key, stated in evaluation.base_model.metrics.items():
        metric = config.metrics[key]
        answers = by_task.get(metric.task or "")
        if answers is None or metric.measure is None or not available(answers, metric.measure):
            continue
        candidates = evaluation.candidates(metric.task)
        for model, value in zip(MODELS, (stated, evaluation.finetuned_model.metrics[key]), strict=True):
            actual = summary(answers, model, metric.measure, candidates)
            if abs(actual - value) > TOLERANCE:
                raise InputError(
                    path,
                    key=f"{model}_model.metrics.{key}",
                    found=value,
                    expected=f"{actual:.6f}, which follows from the predictions",
                    mend="Evaluate again, or mend the metric's task and measure in configs/metrics.yaml.",
                )
