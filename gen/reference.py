"""Reference pages that the code itself writes: the commands' help, and the keys of every file that is read."""

from __future__ import annotations

import importlib
import json
from functools import cache
from typing import Any

import typer
from pydantic import BaseModel
from typer.cli import get_docs_for_click

from src.cli import COMMANDS
from src.documents.formatting import text
from src.record import answers, questions
from src.record.config import (
    DatasetConfig,
    EvaluationConfig,
    ExperimentConfig,
    MetricsConfig,
    PretrainConfig,
    ProjectConfig,
)
from src.record.criteria import CriteriaConfig
from src.record.publication import Publication
from src.record.schemas import BaseTraining, EvaluationResults, TrainingLog
from src.record.study import StudyConfig

CONFIGS: dict[str, tuple[str, str, type[BaseModel]]] = {
    "project": ("configs/project.yaml", "What is published, and what people wrote about it.", ProjectConfig),
    "metrics": ("configs/metrics.yaml", "The metrics: nothing about one is built in.", MetricsConfig),
    "criteria": ("configs/criteria.yaml", "The success criteria, and the evidence that decides each.", CriteriaConfig),
    "experiment": ("configs/experiments/NAME.yaml", "One experiment: what was asked of a run.", ExperimentConfig),
    "study": ("configs/studies/NAME.yaml", "A study: runs of one experiment, by arm and seed.", StudyConfig),
}
"""Configs by the name of their schema: file, what it is, model."""

FORMATS: dict[str, tuple[str, str, type[BaseModel]]] = {
    "evaluation_results": (
        "results/NAME/evaluation_results.json",
        "The results. Only the two dictionaries of metrics are required; each further key adds something to the documents.",
        EvaluationResults,
    ),
    "training_log": ("results/NAME/training_log.json", "What the training wrote.", TrainingLog),
    "publication": ("results/NAME/publication.json", "The receipt of the last publication.", Publication),
}
"""Files of the record, the same way."""

MAKES_RECORDS = "train" in COMMANDS
"""Whether this project has the commands that make a record."""

ONLY_SHOWN: dict[str, set[str]] = {}
"""Of configs that only those commands read, the keys that documents read as well."""

if MAKES_RECORDS:
    CONFIGS["pretrain"] = ("configs/pretrain/NAME.yaml", "How the small base model is trained.", PretrainConfig)
    training = ("models/NAME/training.json", "How a base model of one's own was pretrained.", BaseTraining)
    FORMATS["base_training"] = training
else:
    ONLY_SHOWN |= {DatasetConfig.__name__: {"path"}, EvaluationConfig.__name__: set()}


@cache  # it follows from the code alone
def reference_pages() -> dict[str, str]:
    """Write the reference pages and the JSON Schemas, by path inside the site."""
    pages = {
        "reference/commands.md": _commands(),
        "reference/configuration.md": _page(
            "Configuration",
            "Every key of every config, from the code that reads them.",
            "Every config is YAML. An unknown key, a key written twice and a value that does not fit are answered with one line "
            "that names file and key. Editors complete and check the keys if the file's first line names its schema, as in:\n\n"
            "```yaml\n# yaml-language-server: $schema=experiment.schema.json\n```",
            CONFIGS,
        ),
        "reference/formats.md": _page(
            "File formats",
            "Every key of the record's files, from the code that reads them.",
            "The record is JSON and Parquet.",
            FORMATS,
        )
        + _row_files(),
    }
    for name, (_, _, model) in (CONFIGS | FORMATS).items():
        pages[f"assets/schemas/{name}.schema.json"] = json.dumps(_schema(model), indent=2) + "\n"
    return pages


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's JSON Schema, without keys that no command of this project reads."""
    schema = model.model_json_schema()
    for name in ONLY_SHOWN.keys() & schema.get("$defs", {}).keys():
        found = schema["$defs"][name]
        found["properties"] = {key: entry for key, entry in found["properties"].items() if key in ONLY_SHOWN[name]}
        found["additionalProperties"] = True
    return schema


def _front(title: str, description: str) -> str:
    return f"---\ndescription: {description}\n---\n\n# {title}"


def _commands() -> str:
    parts = [_front("Commands", "Every command with its options, from its own help.")]
    parts.append("Each command explains itself with `--help`; this page is made from the same words.")
    for name in COMMANDS:
        app = typer.Typer(add_completion=False)
        app.command()(getattr(importlib.import_module(f"src.{name}"), name))
        command = typer.main.get_command(app)
        context = typer.Context(command)
        parts.append(get_docs_for_click(obj=command, ctx=context, indent=1, name=f"python -m src.{name}").strip())
    return "\n\n".join(parts) + "\n"


def _page(title: str, description: str, intro: str, files: dict[str, tuple[str, str, type[BaseModel]]]) -> str:
    parts = [_front(title, description), intro]
    for name, (path, what, model) in files.items():
        link = f"[JSON Schema](../assets/schemas/{name}.schema.json){{ download }}"
        schema = _schema(model)
        parts.append(f"## `{path}`\n\n{what} {link}\n\n{_table(schema)}")
        for inner, part in schema.get("$defs", {}).items():
            if part.get("properties"):
                parts.append(f"### {inner}\n\n{part.get('description', '').split(chr(10))[0]}\n\n{_table(part)}")
    return "\n\n".join(parts) + "\n"


def _table(schema: dict[str, Any]) -> str:
    """Write a table of an object's keys."""
    required = set(schema.get("required", ()))
    rows = ["| Key | Type | Default | What it says |", "| --- | --- | --- | --- |"]
    for key, entry in schema["properties"].items():
        default = "required" if key in required else f"`{json.dumps(entry['default'])}`" if "default" in entry else ""
        default = "" if default in ("`null`", '`""`', "`{}`", "`[]`") or len(default) >= 60 else default
        rows.append(f"| `{key}` | {_type(entry)} | {default} | {entry.get('description') or ''} |")
    return "\n".join(rows)


def _type(entry: dict[str, Any]) -> str:
    """Say a JSON Schema type in a few words."""
    if "$ref" in entry:
        return str(entry["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in entry:
        return " or ".join(dict.fromkeys(_type(e) for e in entry["anyOf"] if e.get("type") != "null"))
    if "enum" in entry:
        return " or ".join(f"`{value}`" for value in entry["enum"])
    kind = entry.get("type", "")
    if kind == "array":
        return f"list of {_type(entry.get('items', {}))}".removesuffix(" ")
    if kind == "object":
        inner = entry.get("additionalProperties")
        return f"mapping to {_type(inner)}" if isinstance(inner, dict) else "mapping"
    return {"string": "text", "integer": "whole number", "boolean": "true or false"}.get(kind, str(kind))


def _row_files() -> str:
    parts = []
    for name, module, about in (
        ("questions.parquet", questions, "What was asked, one row per question, without any model's answer."),
        ("answers/MODEL.parquet", answers, "What one model answered, in the order of the questions."),
    ):
        rows = "\n".join(
            f"| `{field.name}` | {text(field.type)} | {'yes' if field.name in module.OPTIONAL else ''} |"
            for field in module.SCHEMA
        )
        parts.append(
            f"\n## `results/NAME/{name}`\n\n{about} The results name the file with its SHA-256.\n\n"
            f"| Column | Type | May be missing |\n| --- | --- | --- |\n{rows}\n"
        )
    return "".join(parts) + (
        "\nAny further column of the questions is the project's own: text, integers, numbers, booleans or lists of text, under a name "
        "of letters, digits and `_`. Breakdowns in `configs/metrics.yaml` name it, and the examples page filters by it or shows it. A "
        "further column of numbers in the answers is a metric's value for each question (measure `value`).\n"
    )
