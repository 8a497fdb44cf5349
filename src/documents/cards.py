"""The cards of the Hub: model, dataset and base model, with their metadata."""

from __future__ import annotations

from typing import Any

from src.record.publication import Role

from .compose import Section, compose
from .context import Context, Renderer

MODEL_CARD = (
    Section("Results at a glance", "headline"),
    Section(
        "Model Details",
        parts=(Section("Model Description", "model_description"), Section("Model Sources", "model_sources")),
    ),
    Section(
        "Uses",
        parts=(
            Section("Direct Use", "uses_direct"),
            Section("Downstream Use", "uses_downstream"),
            Section("Out-of-Scope Use", "uses_out_of_scope"),
        ),
    ),
    Section("Bias, Risks, and Limitations", "limitations", (Section("Recommendations", "recommendations"),)),
    Section("How to Get Started with the Model", "snippet"),
    Section(
        "Training Details",
        parts=(
            Section("Training Data", "training_data"),
            Section(
                "Training Procedure",
                parts=(
                    Section("Preprocessing", "preprocessing"),
                    Section("Training Hyperparameters", "hyperparameters"),
                    Section("Speeds, Sizes, Times", "speeds"),
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
                    Section("Testing Data", "testing_data"),
                    Section("Factors", "factors"),
                    Section("Metrics", "metrics"),
                    Section("Protocol and postprocessing", "protocol"),
                ),
            ),
            Section("Results", "results_table", (Section("Summary", "summary"),)),
        ),
    ),
    Section("Model Examination", "examination"),
    Section("Environmental Impact", "environment_impact"),
    Section(
        "Technical Specifications",
        parts=(
            Section("Model Architecture and Objective", "architecture"),
            Section(
                "Compute Infrastructure",
                parts=(Section("Hardware", "hardware"), Section("Software", "software")),
            ),
        ),
    ),
    Section("Citation", "citation"),
    Section("Glossary", "glossary"),
    Section("More Information", "more_information"),
    Section("Model Card Authors", "card_authors"),
    Section("Model Card Contact", "card_contact"),
)
"""The Hub's annotated model card template, section by section."""

DATASET_CARD = (
    Section(
        "Dataset Details",
        parts=(Section("Dataset Description", "dataset_description"), Section("Dataset Sources", "model_sources")),
    ),
    Section("Uses", parts=(Section("Direct Use", "dataset_uses"), Section("Out-of-Scope Use", "dataset_out_of_scope"))),
    Section("Dataset Structure", "dataset_structure"),
    Section(
        "Dataset Creation",
        parts=(
            Section("Curation Rationale", "dataset_rationale"),
            Section(
                "Source Data",
                parts=(
                    Section("Data Collection and Processing", "dataset_processing"),
                    Section("Who are the source data producers?", "dataset_producers"),
                ),
            ),
            Section("Annotations", "dataset_annotations"),
            Section("Personal and Sensitive Information", "dataset_personal"),
        ),
    ),
    Section("Bias, Risks, and Limitations", "dataset_limitations"),
    Section("Citation", "citation"),
    Section("Glossary", "glossary"),
    Section("More Information", "dataset_more"),
    Section("Dataset Card Authors", "card_authors"),
    Section("Dataset Card Contact", "card_contact"),
)
"""The Hub's annotated dataset card template, section by section."""

BASE_CARD = (
    Section("Model Details", "base_details"),
    Section("Uses", "base_uses"),
    Section("Bias, Risks, and Limitations", "base_limitations"),
    Section("How to Get Started with the Model", "base_snippet"),
    Section("Training Details", "base_training"),
    Section("Evaluation", "base_evaluation"),
    Section("Environmental Impact", "base_environment"),
    Section("Citation", "citation"),
)
"""The card of a base model that this repository pretrained."""


def model_card_body(renderer: Renderer) -> str:
    """Write the model card without its metadata, for the renderer's target."""
    intro = renderer.fragment("model_intro")
    return f"# {renderer.fragment('model_title')}\n\n{_receipt(renderer, 'model')}{intro}\n\n{compose(renderer, MODEL_CARD)}\n"


def _receipt(renderer: Renderer, role: Role) -> str:
    """Cite the last publication, on the site only: a card on the Hub cannot name the commit that it is part of."""
    text = renderer.fragment("receipt", role=role) if renderer.target == "site" else ""
    return f"{text}\n\n" if text else ""


def model_card(context: Context) -> str:
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
    )
    return f"---\n{data.to_yaml()}\n---\n\n{model_card_body(Renderer(context, 'hub'))}"


def _hub_metric(key: str, measure: str | None) -> str:
    """Name a metric as the Hub does where it knows it: an exact match on a choice is `accuracy`."""
    return "accuracy" if measure == "exact_match" else key


def _tags(context: Context) -> list[str]:
    record = context.record
    found = ["lora"] if record.adapter.get("peft_type") == "LORA" else []
    return list(dict.fromkeys([*found, *record.project.tags]))


def _eval_results(context: Context) -> list[Any]:
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="text-generation",
            task_name=(m.config.task or m.key).replace("_", " "),
            dataset_type=context.names.dataset,
            dataset_name=context.names.dataset.rsplit("/", 1)[-1],
            dataset_config=m.config.task,
            dataset_split="test" if m.config.task else None,
            metric_type=_hub_metric(m.key, m.config.measure),
            metric_name=m.config.label,
            metric_value=m.finetuned,
        )
        for m in context.analysis.metrics
    ]


def dataset_card_body(renderer: Renderer) -> str:
    """Write the dataset card without its metadata, for the renderer's target."""
    title = renderer.context.names.dataset.rsplit("/", 1)[-1]
    intro = renderer.fragment("dataset_intro")
    return f"# Dataset card: {title}\n\n{_receipt(renderer, 'dataset')}{intro}\n\n{compose(renderer, DATASET_CARD)}\n"


def dataset_card(context: Context) -> str:
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
    return f"---\n{data.to_yaml()}\n---\n\n{dataset_card_body(Renderer(context, 'hub'))}"


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
    renderer = Renderer(context, "hub")
    data = ModelCardData(
        language=context.record.project.language,
        license=context.record.project.licence,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["gpt2", "pretrained-from-scratch"],
    )
    title = context.names.base.rsplit("/", 1)[-1]
    return f"---\n{data.to_yaml()}\n---\n\n# {title}\n\n{renderer.fragment('base_intro')}\n\n{compose(renderer, BASE_CARD)}\n"
