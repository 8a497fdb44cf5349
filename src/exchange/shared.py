"""What the dataset's repository and the site offer other tools: tasks, and the benchmark's declaration."""

from __future__ import annotations

import io
import zipfile

import yaml

from src.record.load import Record

from .lm_eval_tasks import harness_files, harness_tasks

BENCHMARK = "eval.yaml"
"""File by which the Hub knows a dataset as a benchmark."""


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


def exchange_files(record: Record, dataset: str, base: str | None) -> dict[str, bytes]:
    """Return everything that the dataset's repository contains for other tools, by path."""
    files = harness_files(record, dataset, base)
    benchmark = benchmark_file(record)
    return files if benchmark is None else files | {BENCHMARK: benchmark}


def zipped(files: dict[str, bytes]) -> bytes:
    """Pack files so that the same files always give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
