"""What the dataset's repository and the site hold for other tools: tasks, results in the shared form, and the benchmark's declaration."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Literal, Protocol

import yaml

from src.analysis.analyse import Analysis
from src.analysis.statistics import Interval
from src.record.errors import InputError
from src.record.files import parse_yaml
from src.record.load import Record

from .every_eval_ever_out import Source, Subject, every_eval_ever
from .lm_eval_tasks import harness_files, harness_tasks

Answers = Literal["all", "published", "none"]
"""Whose single answers are written: every run's, the published run's alone, or nobody's."""

BENCHMARK = "eval.yaml"
"""File by which the Hub knows a dataset as a benchmark."""


def declared_tasks(text: str) -> list[tuple[str, str, str]]:
    """Return id, config and split of each task that a text declares as `eval.yaml`; none where it is malformed."""
    try:
        data = parse_yaml(Path(BENCHMARK), text)
        return [(str(task["id"]), str(task["config"]), str(task["split"])) for task in data["tasks"]]
    except (InputError, KeyError, TypeError):
        return []


class Names(Protocol):
    """How the Hub's repositories are called."""

    @property
    def model(self) -> str:
        """The model's name."""

    @property
    def dataset(self) -> str:
        """The dataset's name."""

    @property
    def base(self) -> str | None:
        """The base model's name."""


def benchmark_tasks(record: Record) -> list[str]:
    """List the tasks of the benchmark: those whose questions are a config of the dataset."""
    return [task.task for task in harness_tasks(record)[0]]


def benchmark_file(record: Record) -> bytes | None:
    """Write `eval.yaml`, which registers the questions as a benchmark; None where the dataset holds no questions.

    It names no `evaluation_framework`: the Hub's list of them has none for lm-evaluation-harness.
    """
    tasks = benchmark_tasks(record)
    if not tasks:
        return None
    declared = {
        "name": record.project.title,
        "description": record.project.question,
        "tasks": [{"id": task, "config": task, "split": "test"} for task in tasks],
    }
    return yaml.safe_dump(declared, sort_keys=False, allow_unicode=True, width=1000).encode()


def shared_results(
    record: Record, analysis: Analysis, names: Names, *, answers: Answers = "published"
) -> dict[str, bytes]:
    """Write the results of the base model and of every run in the shared form, Every Eval Ever.

    Args:
        record: The record.
        analysis: What it means, for the intervals.
        names: How model, dataset and base model are called.
        answers: Whose single answers are written with the results.

    Returns:
        Content by path; empty where the record has no answers.
    """
    if not record.has_answers:
        return {}
    model, dataset = names.model, names.dataset
    name = record.study.config.published if record.study else record.experiment.experiment_name
    evaluation, loaded = record.results, record.loaded
    base, finetuned = evaluation.base_model.metrics, evaluation.finetuned_model.metrics
    subjects = [
        (Subject("base", names.base or "base-model", "base model"), base, loaded.base, evaluation.hashes),
        (Subject("finetuned", model, name), finetuned, loaded.finetuned, evaluation.hashes),
    ]
    for key, run in record.study.runs.items() if record.study else ():
        if key != name:
            subjects.append((Subject("run", f"{model}/runs/{key}", key), run.metrics, run.answers, run.hashes))
    files: dict[str, bytes] = {}
    organization = dataset.split("/")[0] if "/" in dataset else record.project.title
    for subject, values, given, hashes in subjects:
        intervals: dict[str, Interval] = {}
        if subject.model != "run":
            found = {m.key: (m.base if subject.model == "base" else m.finetuned).interval for m in analysis.metrics}
            intervals = {key: bounds for key, bounds in found.items() if bounds is not None}
        source = Source(dataset, organization, 1 - analysis.level)
        written = answers == "all" or (answers == "published" and subject.model != "run")
        files |= every_eval_ever(
            loaded, given if written else None, values, hashes, record.metrics, subject, source, intervals
        )
    return files


def exchange_files(record: Record, analysis: Analysis, names: Names, *, all_runs: bool = False) -> dict[str, bytes]:
    """Return all of it, as the dataset's repository holds it; see `shared_results`."""
    files = shared_results(record, analysis, names, answers="all" if all_runs else "published")
    files |= harness_files(record, names.dataset if "/" in names.dataset else None, names.base)
    benchmark = benchmark_file(record)
    return files if benchmark is None else files | {BENCHMARK: benchmark}


def zipped(files: dict[str, bytes]) -> bytes:
    """Pack files so that the same files always give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
