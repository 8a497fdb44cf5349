"""Metadata of the Hub's cards: model, dataset and base model."""

from __future__ import annotations

import re
from typing import Any

from src.record.config import MetricConfig, ProjectConfig

from .context import Context
from .demo import Demo
from .formatting import plain


def model_card_metadata(context: Context) -> str:
    """Write the model card's metadata, as YAML."""
    from huggingface_hub import ModelCardData

    record = context.record
    model = record.model
    data = ModelCardData(
        language=record.project.language,
        **_license(record.project),
        library_name=model.library,
        pipeline_tag=record.pipeline_tag,
        base_model=context.names.base,
        datasets=[context.names.dataset] if record.splits else None,
        metrics=list(dict.fromkeys(_hub_metric(context, m.key, m.config) for m in context.analysis.main)),
        tags=list(dict.fromkeys([*(["lora"] if model.is_lora else []), *record.project.tags])),
        model_name=context.names.model.rsplit("/", 1)[-1],
        eval_results=_eval_results(context),
        widget=_widget(context),
    )
    return str(data.to_yaml())


def _license(project: ProjectConfig) -> dict[str, Any]:
    """Name the license as the Hub wants it: one of its own, or `other` with a name and a link."""
    if project.license != "other":
        return {"license": project.license}
    name = re.sub(r"[^a-z0-9.]+", "-", project.license_name.lower()).strip("-")
    return {"license": "other", "license_name": name or "custom", "license_link": project.license_link or "LICENSE"}


def _widget(context: Context) -> list[dict[str, Any]] | None:
    """Give the Hub's widget a question of each kind that is on record as it was answered, with its solved example.

    Of a spelling only the letters are on record, so it is left out.
    """
    if not isinstance(context.demo, Demo):
        return None
    as_written = {question.task for question in context.demo.questions.values() if question.candidates}
    first = {row["task"]: row for row in reversed(context.demo.examples) if row["task"] in as_written}
    answers = {task: f" {plain(row['finetuned_answer'])}" for task, row in first.items()}
    return [
        {"example_title": row["question"], "text": row["prompt"], "output": {"text": answers[task]}}
        for task, row in first.items()
    ]


def _hub_metric(context: Context, key: str, metric: MetricConfig) -> str:
    """Name a metric as the Hub does where it knows it: right answers are `accuracy`, and `exact_match` where they are written freely."""
    if metric.measure != "exact_match":
        return key
    written = metric.task in context.record.results.tasks and not context.record.results.candidates(metric.task)
    return "exact_match" if written and key.endswith(("exact_match", "_em")) else "accuracy"


def _dataset_of(context: Context, metric: MetricConfig) -> str:
    """Return the id of the dataset that is published with the model, or else the name of the task."""
    return context.names.dataset if context.record.splits else metric.task or "unknown"


def _eval_results(context: Context) -> list[Any]:
    """List the metrics for the Hub, which wants a task and a dataset for each; a metric does not become one for lack of it."""
    from huggingface_hub import EvalResult

    tag = context.record.pipeline_tag
    return [
        EvalResult(
            task_type=tag or (m.config.task or "other").replace("_", "-"),
            task_name=(m.config.task or m.config.label).replace("_", " "),
            dataset_type=_dataset_of(context, m.config),
            dataset_name=_dataset_of(context, m.config).rsplit("/", 1)[-1],
            dataset_config=(config := _questions_of(context, m.config)),
            dataset_split="test" if config else None,
            metric_type=_hub_metric(context, m.key, m.config),
            metric_name=m.config.label,
            metric_value=m.finetuned.value,
        )
        for m in context.analysis.main
    ]


def _questions_of(context: Context, metric: MetricConfig) -> str | None:
    """Return the config of the published dataset whose test questions a metric is about.

    A task that asks them under another condition has the config's name at the beginning of its own.
    """
    with_test = [split.config for split in context.record.splits if split.name == "test"]
    found = [name for name in with_test if metric.task == name or (metric.task or "").startswith(f"{name}_")]
    return max(found, key=len, default=None)


def dataset_card_metadata(context: Context) -> str:
    """Write the dataset card's metadata, as YAML; its configs are what `datasets.load_dataset` reads."""
    from huggingface_hub import DatasetCardData

    splits = context.record.published_splits
    configs: dict[str, list[dict[str, str]]] = {}
    for split in splits:
        configs.setdefault(split.config, []).append(
            {"split": split.name, "path": f"{split.config}/{split.name}.parquet"}
        )
    data = DatasetCardData(
        language=context.record.project.language,
        **_license(context.record.project),
        pretty_name=context.names.dataset.rsplit("/", 1)[-1].replace("-", " ").capitalize(),
        task_categories=["text-generation", "question-answering"],
        size_categories=[_size_category(sum(split.rows for split in splits))],
        tags=context.record.project.tags,
        configs=[{"config_name": name, "data_files": files} for name, files in configs.items()],
    )
    return str(data.to_yaml())


def _size_category(rows: int) -> str:
    """Name the Hub's size category of a number of rows."""
    names = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M")
    return next((name for power, name in enumerate(names, start=3) if rows < 10**power), "10M<n<100M")


def base_card_metadata(context: Context) -> str:
    """Write the metadata of the card of a base model that this repository pretrained, as YAML."""
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        language=context.record.project.language,
        **_license(context.record.project),
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["gpt2", "pretrained-from-scratch"],
    )
    return str(data.to_yaml())
