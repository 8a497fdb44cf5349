"""The Hub's own evaluation results: `.eval_results/NAME.yaml` in the model's and the base model's repository."""

from __future__ import annotations

import huggingface_hub as hf
import yaml

from src.documents.context import Context
from src.exchange.benchmark import benchmark_tasks
from src.record.config import MetricConfig
from src.record.publication import Role

from .repository import Sources


def entries(context: Context, role: Role, revision: str | None) -> list[hf.EvalResultEntry]:
    """List a model's results, one for each task of the benchmark; a distance, where lower is better, is left out."""
    record, names = context.record, context.names
    results = record.results.base_model if role == "base" else record.results.finetuned_model
    page = names.url(names.dataset, "dataset")
    if page is None or results is None:
        return []
    found = []
    for task in benchmark_tasks(record):
        key = _metric(record.metrics.metrics, results.metrics, task)
        if key is None:
            continue
        asked = record.results.tasks[task]
        shots = [f"{asked.few_shot}-shot"] if asked.few_shot is not None else []
        how = "greedy generation" if asked.candidates is None else "log-likelihood choice"
        found.append(
            hf.EvalResultEntry(
                dataset_id=names.dataset,
                task_id=task,
                value=round(results.metrics[key], 6),
                dataset_revision=revision,
                date=record.results.finished.date().isoformat() if record.results.finished else None,
                source_url=record.project.site_url or page,
                source_name=record.project.title,
                notes=", ".join([*shots, how, record.metrics.metrics[key].label]),
            )
        )
    return found


def _metric(declared: dict[str, MetricConfig], measured: dict[str, float], task: str) -> str | None:
    """Return the metric that stands for a task: a primary one, or the first that is better when higher."""
    fitting = [k for k, m in declared.items() if m.task == task and k in measured and m.direction == "higher"]
    return next((k for k in fitting if declared[k].primary), next(iter(fitting), None))


def results_files(context: Context, role: Role, revision: str | None) -> Sources:
    """Return a model's file of results, one for the one benchmark, by its path; nothing where there is nothing to state."""
    found = entries(context, role, revision)
    if not found:
        return {}
    text = yaml.safe_dump(hf.eval_result_entries_to_yaml(found), sort_keys=False, allow_unicode=True, width=1000)
    return {f".eval_results/{context.record.project.dataset_repo}.yaml": text.encode()}
