"""The pages of the site that come from the record."""

from __future__ import annotations

from html import escape

import yaml

from src.exchange.lm_eval_tasks import harness_tasks

from .build import Documents
from .cards import dataset_card_body, model_card_body
from .compose import Section, compose
from .context import Context
from .demo import Demo
from .downloads import downloadable
from .explorer import ROWS as EXPLORER_ROWS
from .formatting import unbroken
from .renderer import Renderer

METHODOLOGY = (
    Section("The problem", "site/problem"),
    Section("From data to answers", "author/pipeline"),
    Section(
        "Data",
        "shared/testing_data",
        (Section("Training data", "author/training_data"), Section("Templates", "author/templates")),
    ),
    Section("Preprocessing", "author/preprocessing"),
    Section("The base model", "author/base_model"),
    Section("Training", "shared/hyperparameters"),
    Section("Evaluation protocol", "shared/protocol", (Section("Metrics", "shared/metrics"),)),
    Section("Statistics", "shared/statistics"),
    Section("Threats to validity", "shared/limitations"),
    Section("References", "shared/references"),
)
"""Sections of the methodology page."""

RESULTS = (Section("Every metric", "shared/results_table", (Section("In words", "shared/summary"),)),)
"""Sections of the overview of the results."""

BREAKDOWNS = (Section("By kind of question", "shared/breakdowns"), Section("What was answered", "shared/confusion"))
"""Sections of the breakdowns page."""

TRAINING = (
    Section("Course, time and energy", "site/training_results"),
    Section("Where the numbers come from", "shared/provenance"),
)
"""Sections of the training page."""

RUNS = (
    Section("What the runs show", "study/findings"),
    Section("Arms side by side", "study/metrics"),
    Section("Where it breaks", "study/conditions"),
    Section("Every run", "study/runs", (Section("Course of the training", "study/course"),)),
    Section("Arm against arm", "study/tests"),
)
"""Sections of the page of a study's runs."""

NO_STUDY = "# Runs\n\nThe record is one run, and no study of several.\n"

NO_DATASET = "# Dataset card\n\nThe dataset does not lie beside this record, so there is no card for it.\n"

DESCRIPTIONS = {
    "index.md": "{question} Method, results with their uncertainty, model and dataset.",
    "results/index.md": "Every metric of the base and the fine-tuned model, with intervals, tests and baselines.",
    "results/breakdowns.md": "The results by kind of question, and what was answered instead.",
    "results/runs.md": "Every run of the study: seeds, controls, and what they show together.",
    "results/training.md": "Course of the training, time, energy, and the hashes behind the results.",
    "examples.md": "Every test question with both models' answers, to search and to filter.",
    "try-it.md": "Ask both models about a word, in the browser: how it is spelled, how many of a letter, which letter stands where.",
    "methodology.md": "Data, templates, training, evaluation protocol, statistics and threats to validity.",
    "report.md": "The final report: question, method, results, criteria, limitations and deployment in one document.",
    "model-card.md": "The model card, as it goes to the Hugging Face Hub.",
    "dataset-card.md": "The dataset card, as it goes to the Hugging Face Hub.",
    "guides/statistics.md": "How to read intervals, p-values and verdicts, with their formulas.",
    "guides/glossary.md": "The words of this site, each in a sentence.",
    "about/limitations.md": "What this work cannot say, what could harm, and what to do about it.",
    "about/cite.md": "How to cite this work, and the works that it builds on.",
    "about/changelog.md": "What changed, by version.",
    "about/licence.md": "Under which terms model, data and code may be used.",
}
"""What search engines and link previews say of each page."""

WIDE = ("results/", "examples.md", "try-it.md", "index.md", "methodology.md", "report.md")
"""Pages that need the room of the navigation for their tables and charts."""


def site_pages(documents: Documents, *, pdf: bool) -> dict[str, str]:
    """Write every generated page of the site that comes from the record, by path inside docs/.

    Args:
        documents: All that is made from the record.
        pdf: Whether the report as PDF lies beside them.
    """
    context = documents.context
    top = Renderer(context, "site", lists="none")
    below = Renderer(context, "site", root="../", lists="none")
    methodology = Renderer(context, "site")
    record = context.record
    rows = len(record.predictions) if record.predictions is not None else 0
    changelog, licence = record.root / "CHANGELOG.md", record.root / "LICENSE"
    texts = {
        "index.md": top.fragment("site/home", tokens=context.example_tokens),
        "results/index.md": f"# Results\n\n{below.fragment('site/results_intro')}\n\n{compose(below, RESULTS)}",
        "results/breakdowns.md": f"# Breakdowns\n\n{compose(below, BREAKDOWNS)}",
        "results/runs.md": f"# Runs\n\n{compose(below, RUNS)}" if context.analysis.study else NO_STUDY,
        "results/training.md": f"# Training\n\n{compose(below, TRAINING)}",
        "examples.md": "# Examples\n\n"
        + top.fragment(
            "site/explorer",
            explorer_every=-(-rows // EXPLORER_ROWS),
            downloads=record.predictions is not None and downloadable(record.predictions),
            harness=bool(harness_tasks(record)[0]),
        ),
        "methodology.md": f"# Methodology\n\n{methodology.fragment('site/methodology_intro')}\n\n{compose(methodology, METHODOLOGY)}",
        "report.md": f"# {context.project.title}\n\n{top.fragment('report/front', pdf=pdf)}\n\n{documents.site_report}",
        "model-card.md": model_card_body(Renderer(context, "site")).text,
        "dataset-card.md": dataset_card_body(Renderer(context, "site", role="dataset")).text
        if record.splits
        else NO_DATASET,
        "guides/statistics.md": f"# Read the statistics\n\n{below.fragment('site/guide_statistics')}",
        "guides/glossary.md": f"# Glossary\n\n{below.fragment('site/glossary')}",
        "about/limitations.md": f"# Limitations and ethics\n\n{below.fragment('site/ethics')}",
        "about/cite.md": f"# How to cite\n\n{Renderer(context, 'site', root='../', lists='all').fragment('shared/citation')}",
        "about/changelog.md": changelog.read_text(encoding="utf-8") if changelog.is_file() else "# Changelog\n\nEmpty.",
        "about/licence.md": "# Licence\n\n"
        + below.fragment("site/licence", licence_text=licence.read_text(encoding="utf-8") if licence.is_file() else ""),
    }
    if isinstance(context.demo, Demo):
        texts["try-it.md"] = f"# Try it\n\n{top.fragment('try_it/page')}"
    return {path: _front_matter(context, path) + unbroken(text).rstrip() + "\n" for path, text in texts.items()}


def _front_matter(context: Context, path: str) -> str:
    # The theme writes a description into attributes as it is, so it is made safe here.
    description = escape(DESCRIPTIONS[path].format(question=context.record.project.question))
    data: dict[str, object] = {"description": description}
    if path.startswith(WIDE):
        data["hide"] = ["navigation", "toc"] if path in ("index.md", "examples.md", "try-it.md") else ["navigation"]
    return f"---\n{yaml.safe_dump(data, allow_unicode=True, sort_keys=False)}---\n\n"
