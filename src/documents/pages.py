"""The pages of the site that are generated, and the README."""

from __future__ import annotations

from .cards import dataset_card_body, model_card_body
from .compose import Section, compose
from .context import Context, Renderer

METHODOLOGY = (
    Section("The problem", "problem"),
    Section("From books to answers", "pipeline"),
    Section("Data", "testing_data", (Section("Training data", "training_data"), Section("Templates", "templates"))),
    Section("Preprocessing", "preprocessing"),
    Section("The base model", "base_model"),
    Section("Training", "hyperparameters", (Section("Course of the training", "speeds"),)),
    Section("Evaluation protocol", "protocol", (Section("Metrics", "metrics"),)),
    Section("Statistics", "statistics"),
    Section("Threats to validity", "limitations"),
)
"""Sections of the methodology page."""

RESULTS = (
    Section("Every metric", "results_table", (Section("In words", "summary"),)),
    Section("Breakdowns", "breakdowns"),
    Section("What was answered", "confusion"),
    Section("Examples", "examples"),
    Section("Training", "training_results"),
    Section("Where the numbers come from", "provenance"),
)
"""Sections of the results page."""

WIDE = "---\nhide: [navigation]\n---\n\n"
"""Front matter of a page that needs the room for its tables and charts."""

NO_DATASET = "# Dataset card\n\nThe dataset does not lie beside this record, so there is no card for it.\n"


def methodology_page(context: Context) -> str:
    """Write the methodology page."""
    renderer = Renderer(context, "site")
    return f"{WIDE}# Methodology\n\n{renderer.fragment('site_methodology_intro')}\n\n{compose(renderer, METHODOLOGY)}\n"


def results_page(context: Context) -> str:
    """Write the results page."""
    renderer = Renderer(context, "site")
    return f"{WIDE}# Results\n\n{renderer.fragment('site_results_intro')}\n\n{compose(renderer, RESULTS)}\n"


def site_pages(context: Context) -> dict[str, str]:
    """Write every generated page of the site that comes from the record, by path inside docs/."""
    return {
        "methodology.md": methodology_page(context),
        "results.md": results_page(context),
        "model-card.md": model_card_body(context, "site"),
        "dataset-card.md": dataset_card_body(context, "site") if context.record.splits else NO_DATASET,
    }


def home_findings(context: Context) -> str:
    """Write the findings that the home page shows."""
    return Renderer(context, "site").fragment("headline")


def readme(context: Context) -> str:
    """Write README.md."""
    return Renderer(context, "hub").fragment("readme") + "\n"
