"""The questions as a benchmark of the Hub: `eval.yaml` in the dataset's repository."""

from __future__ import annotations

import pyarrow.parquet as pq
import yaml

from src.record.load import Record

BENCHMARK = "eval.yaml"
"""File by which the Hub knows a dataset as a benchmark."""


def benchmark_tasks(record: Record) -> list[str]:
    """List the tasks of the benchmark: those whose questions are a config of the dataset."""
    return [name for name in record.results.tasks if _in_dataset(record, name)]


def _in_dataset(record: Record, task: str) -> bool:
    path, asked = record.data / task / "test.parquet", record.answered(record.run_name, task)
    if asked is None or not path.is_file():
        return False
    table = pq.ParquetFile(path).read(["id"])
    return "id" in table.column_names and table["id"].to_pylist() == asked["id"].to_pylist()


def benchmark_file(record: Record) -> dict[str, bytes]:
    """Write the file that registers the questions as a benchmark, by its path; nothing where the dataset has no questions."""
    tasks = benchmark_tasks(record)
    if not tasks:
        return {}
    declared = {
        "name": record.project.title,
        "description": record.project.question,
        "tasks": [{"id": task, "config": task, "split": "test"} for task in tasks],
    }
    return {BENCHMARK: yaml.safe_dump(declared, sort_keys=False, allow_unicode=True, width=1000).encode()}
