"""The cards of the Hub: model, dataset and base model, with their metadata."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from src.record.config import MetricConfig
from src.record.publication import Role

from .compose import Document, Section, completeness, compose
from .context import Context
from .demo import Demo
from .formatting import plain
from .renderer import Renderer

MODEL_CARD = (
    Section("Results at a glance", "shared/headline"),
    Section(
        "Model Details",
        parts=(Section("Model Description", "card/description"), Section("Model Sources", "card/sources")),
    ),
    Section(
        "Uses",
        parts=(
            Section("Direct Use", "card/uses_direct"),
            Section("Downstream Use", "card/uses_downstream"),
            Section("Out-of-Scope Use", "card/uses_out_of_scope"),
        ),
    ),
    Section(
        "Bias, Risks, and Limitations", "shared/limitations", (Section("Recommendations", "shared/recommendations"),)
    ),
    Section("How to Get Started with the Model", "shared/snippet"),
    Section(
        "Training Details",
        parts=(
            Section("Training Data", "author/training_data"),
            Section(
                "Training Procedure",
                parts=(
                    Section("Preprocessing", "author/preprocessing"),
                    Section("Training Hyperparameters", "shared/hyperparameters"),
                    Section("Speeds, Sizes, Times", "shared/speeds"),
                ),
            ),
        ),
    ),
    Section(
        "Evaluation",
        parts=(
            Section(
                "Testing Data, Factors & Metrics",
                parts=(
                    Section("Testing Data", "shared/testing_data"),
                    Section("Factors", "card/factors"),
                    Section("Metrics", "shared/metrics"),
                    Section("Protocol and postprocessing", "shared/protocol"),
                ),
            ),
            Section("Results", "shared/results_table", (Section("Summary", "shared/summary"),)),
        ),
    ),
    Section("Model Examination", "card/examination"),
    Section("Environmental Impact", "shared/environment_impact"),
    Section(
        "Technical Specifications",
        parts=(
            Section("Model Architecture and Objective", "card/architecture"),
            Section(
                "Compute Infrastructure",
                parts=(Section("Hardware", "report/hardware"), Section("Software", "report/software")),
            ),
        ),
    ),
    Section("Citation", "shared/citation"),
    Section("Glossary", "site/glossary"),
    Section("More Information", "card/more_information"),
    Section("Model Card Authors", "card/authors"),
    Section("Model Card Contact", "card/contact"),
)
"""The Hub's annotated model card template, section by section."""

DATASET_CARD = (
    Section(
        "Dataset Details",
        parts=(Section("Dataset Description", "dataset_card/description"), Section("Dataset Sources", "card/sources")),
    ),
    Section(
        "Uses",
        parts=(Section("Direct Use", "dataset_card/uses"), Section("Out-of-Scope Use", "author/dataset_out_of_scope")),
    ),
    Section("Dataset Structure", "dataset_card/structure"),
    Section(
        "Dataset Creation",
        parts=(
            Section("Curation Rationale", "author/dataset_rationale"),
            Section(
                "Source Data",
                parts=(
                    Section("Data Collection and Processing", "author/dataset_processing"),
                    Section("Who are the source data producers?", "author/dataset_producers"),
                ),
            ),
            Section("Annotations", "author/dataset_annotations"),
            Section("Personal and Sensitive Information", "author/dataset_personal"),
        ),
    ),
    Section("Bias, Risks, and Limitations", "author/dataset_limitations"),
    Section("Citation", "shared/citation"),
    Section("Glossary", "site/glossary"),
    Section("More Information", "dataset_card/more_information"),
    Section("Dataset Card Authors", "card/authors"),
    Section("Dataset Card Contact", "card/contact"),
)
"""The Hub's annotated dataset card template, section by section."""

BASE_CARD = (
    Section("Model Details", "author/base_details"),
    Section("Uses", "author/base_uses"),
    Section("Bias, Risks, and Limitations", "author/base_limitations"),
    Section("How to Get Started with the Model", "base_card/snippet"),
    Section("Training Details", "author/base_training"),
    Section("Evaluation", "base_card/evaluation"),
    Section("Environmental Impact", "base_card/environment"),
    Section("Citation", "shared/citation"),
)
"""The card of a base model that this repository pretrained."""


def model_card_body(renderer: Renderer) -> Document:
    """Write the model card without its metadata, for the renderer's target."""
    title, intro = renderer.fragment("card/title"), renderer.fragment("card/intro")
    text = f"# {title}\n\n{_receipt(renderer, 'model')}{intro}\n\n{compose(renderer, MODEL_CARD)}\n"
    return Document(text, completeness(renderer, MODEL_CARD))


def _receipt(renderer: Renderer, role: Role) -> str:
    """Cite the last publication, on the site only: a card on the Hub cannot name the commit that it is part of."""
    text = renderer.fragment("card/receipt", role=role) if renderer.target == "site" else ""
    return f"{text}\n\n" if text else ""


def model_card(context: Context) -> Document:
    """Write the model card as it goes to the Hub, metadata and all."""
    from huggingface_hub import ModelCardData

    record = context.record
    data = ModelCardData(
        language=record.project.language,
        license=record.project.licence,
        library_name="peft",
        pipeline_tag="text-generation",
        base_model=context.names.base,
        datasets=[context.names.dataset] if record.splits else None,
        metrics=list(dict.fromkeys(_hub_metric(m.key, m.config.measure) for m in context.analysis.metrics)),
        tags=_tags(context),
        model_name=context.names.model.rsplit("/", 1)[-1],
        eval_results=_eval_results(context),
        widget=_widget(context),
    )
    body = model_card_body(Renderer(context, "hub"))
    return replace(body, text=f"---\n{data.to_yaml()}\n---\n\n{body.text}")


def _widget(context: Context) -> list[dict[str, Any]] | None:
    """Give the Hub's widget a question of each kind, with its solved example and what the model answered."""
    if not isinstance(context.demo, Demo):
        return None
    first = {row["task"]: row for row in reversed(context.demo.examples)}
    return [
        {
            "example_title": row["question"],
            "text": row["prompt"],
            "output": {"text": f" {plain(row['finetuned_answer'])}"},
        }
        for row in first.values()
    ]


def _hub_metric(key: str, measure: str | None) -> str:
    """Name a metric as the Hub does where it knows it: an exact match on a choice is `accuracy`."""
    return "accuracy" if measure == "exact_match" else key


def _tags(context: Context) -> list[str]:
    record = context.record
    found = ["lora"] if record.adapter.get("peft_type") == "LORA" else []
    return list(dict.fromkeys([*found, *record.project.tags]))


def _eval_results(context: Context) -> list[Any]:
    from huggingface_hub import EvalResult

    published = context.record.splits
    return [
        EvalResult(
            task_type="text-generation",
            task_name=(m.config.task or m.key).replace("_", " "),
            dataset_type=context.names.dataset if published else m.config.task or m.key,
            dataset_name=context.names.dataset.rsplit("/", 1)[-1] if published else m.config.task or m.key,
            dataset_config=(config := _questions_of(context, m.config)),
            dataset_split="test" if config else None,
            metric_type=_hub_metric(m.key, m.config.measure),
            metric_name=m.config.label,
            metric_value=m.finetuned,
        )
        for m in context.analysis.metrics
    ]


def _questions_of(context: Context, metric: MetricConfig | None) -> str | None:
    """Return the config of the published dataset whose test questions a metric is about; under another condition they are the same."""
    with_test = {split.config for split in context.record.splits if split.name == "test"}
    while metric is not None and metric.task not in with_test:
        metric = context.record.metrics.metrics.get(metric.variant_of or "")
    return metric.task if metric else None


def dataset_card_body(renderer: Renderer) -> Document:
    """Write the dataset card without its metadata, for the renderer's target."""
    title = renderer.context.names.dataset.rsplit("/", 1)[-1]
    intro = renderer.fragment("dataset_card/intro")
    body = compose(renderer, DATASET_CARD)
    text = f"# Dataset card: {title}\n\n{_receipt(renderer, 'dataset')}{intro}\n\n{body}\n"
    return Document(text, completeness(renderer, DATASET_CARD))


def dataset_card(context: Context) -> Document:
    """Write the dataset card as it goes to the Hub; its configs are what `datasets.load_dataset` reads."""
    from huggingface_hub import DatasetCardData

    splits = context.record.published_splits
    configs: dict[str, list[dict[str, str]]] = {}
    for split in splits:
        configs.setdefault(split.config, []).append(
            {"split": split.name, "path": f"{split.config}/{split.name}.parquet"}
        )
    data = DatasetCardData(
        language=context.record.project.language,
        license=context.record.project.licence,
        pretty_name=context.names.dataset.rsplit("/", 1)[-1].replace("-", " ").capitalize(),
        task_categories=["text-generation", "question-answering"],
        size_categories=[_size_category(sum(split.rows for split in splits))],
        tags=context.record.project.tags,
        configs=[{"config_name": name, "data_files": files} for name, files in configs.items()],
    )
    body = dataset_card_body(Renderer(context, "hub", role="dataset"))
    return replace(body, text=f"---\n{data.to_yaml()}\n---\n\n{body.text}")


def _size_category(rows: int) -> str:
    """Name the Hub's size category of a number of rows."""
    bounds = (
        (1_000, "n<1K"),
        (10_000, "1K<n<10K"),
        (100_000, "10K<n<100K"),
        (1_000_000, "100K<n<1M"),
        (10_000_000, "1M<n<10M"),
    )
    return next((name for bound, name in bounds if rows < bound), "10M<n<100M")


def base_card(context: Context) -> str:
    """Write the card of the base model that this repository pretrained.

    Raises:
        ValueError: The record's base model was not pretrained here.
    """
    from huggingface_hub import ModelCardData

    if context.record.base_training is None or context.names.base is None:
        raise ValueError("the base model was not pretrained by this repository")
    renderer = Renderer(context, "hub", role="base")
    data = ModelCardData(
        language=context.record.project.language,
        license=context.record.project.licence,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["gpt2", "pretrained-from-scratch"],
    )
    title = context.names.base.rsplit("/", 1)[-1]
    return f"---\n{data.to_yaml()}\n---\n\n# {title}\n\n{renderer.fragment('base_card/intro')}\n\n{compose(renderer, BASE_CARD)}\n"
