"""Records that tests and benchmarks make out of the tiny one."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from src.record.config import MetricsConfig
from src.record.files import load_yaml
from src.record.measures import summary
from src.record.predictions import read_predictions, write_predictions


def without_study(root: Path) -> None:
    """Make a project's record one run by itself."""
    path = root / "configs/project.yaml"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("study:")))


def predictions_schema() -> pa.Schema:
    """The columns of the tiny record's predictions, the project's own among them."""
    return pq.read_schema(Path(__file__).parent / "tiny/results/tiny/predictions.parquet")


def rewrite_predictions(root: Path, table: pa.Table) -> None:
    """Put other predictions into a record of one run, and the metrics that follow from them."""
    without_study(root)
    folder = root / "results/tiny"
    results = json.loads((folder / "evaluation_results.json").read_text())
    results["predictions"] = write_predictions(folder / "predictions.parquet", table)
    predictions = read_predictions(folder / "predictions.parquet")
    for key, metric in load_yaml(root / "configs/metrics.yaml", MetricsConfig).metrics.items():
        rows = predictions.task(metric.task or "")
        if not len(rows):
            for section in ("base_model", "finetuned_model"):
                results[section]["metrics"].pop(key, None)
            continue
        for section, model in (("base_model", "base"), ("finetuned_model", "finetuned")):
            results[section]["metrics"][key] = summary(
                rows, model, metric, results["tasks"].get(metric.task, {}).get("candidates")
            )
    for task in results["tasks"]:
        results["tasks"][task]["questions"] = len(predictions.task(task))
    (folder / "evaluation_results.json").write_text(json.dumps(results))
