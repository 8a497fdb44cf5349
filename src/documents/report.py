"""The final report as data, and the success criteria in words."""

from __future__ import annotations

import json
from typing import Any

from src.analysis.analyse import MetricResult
from src.analysis.criteria import Criterion
from src.analysis.statistics import Interval
from src.record.files import parse_json, read_text, sha256_file

from .context import Context
from .renderer import Renderer
from .templates import Target


def report_json(context: Context, criteria: tuple[Criterion, ...], finding: str) -> str:
    """Write the report as JSON: the keys of the requirements with all evidence, numbers to six significant digits.

    What is not known, such as an address on the Hub or a base model's value, is null.
    """
    record, names = context.record, context.names
    experiment, base = record.experiment, context.experiment.base_model
    if base != experiment.base_model:  # a path, which is named without its folders
        experiment = experiment.model_copy(update={"base_model": base})
    text = read_text(record.results_path, "Restore it.")
    data = {
        "project_name": record.project.title,
        "version": record.project.version,
        "finding": finding,
        "model_repository": names.url(names.model),
        "dataset_repository": names.url(names.dataset, "dataset") if record.splits else None,
        "configuration": experiment.model_dump(
            mode="json", exclude_none=True, exclude_unset=not record.settings_recorded
        ),
        "evaluation_results": parse_json(record.results_path, text),
        "evaluation_results_sha256": sha256_file(record.results_path),
        "conclusion": _conclusion(context, criteria),
    }
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _conclusion(context: Context, criteria: tuple[Criterion, ...]) -> dict[str, Any]:
    worded = statements(context, criteria)
    decided = {"met": True, "not met": False, "not decided yet": None}
    return {
        "success_criteria_met": {c.key: decided[c.outcome] for c in criteria},
        "criteria": {
            c.key: {
                "label": c.label,
                "outcome": c.outcome,
                "evidence": [
                    {"kind": e.kind, "outcome": e.outcome, "statement": statement, "facts": _rounded(e.facts)}
                    for e, statement in zip(c.evidence, worded[c.key], strict=True)
                ],
            }
            for c in criteria
        },
        "significance_level": context.analysis.level,
        "findings": {m.key: _rounded(_finding(m)) for m in context.analysis.metrics},
    }


def statements(context: Context, criteria: tuple[Criterion, ...], target: Target = "hub") -> dict[str, list[str]]:
    """Put each piece of evidence into words on one line, by criterion."""
    renderer = Renderer(context, target)
    return {
        c.key: [" ".join(renderer.render("parts/evidence.md", evidence=e).split()) for e in c.evidence]
        for c in criteria
    }


def _finding(m: MetricResult) -> dict[str, Any]:
    run = m.run
    return {
        "label": m.config.label,
        "primary": m.config.primary,
        "direction": m.config.direction,
        "base": m.base and m.base.value,
        "finetuned": m.finetuned.value,
        "change": run.change,
        "relative_change": run.relative,
        "questions": m.questions,
        "base_interval": m.base and m.base.interval,
        "finetuned_interval": m.finetuned.interval,
        "change_interval": run.change_interval,
        "test": run.test,
        "p_value": run.p_value,
        "p_adjusted": run.p_adjusted,
        "baselines": {b.label: b.value for b in m.baselines},
        "control": m.finetuned.control,
        "control_p": m.finetuned.control_p,
        "answered": m.finetuned.answered,
        "verdict": m.verdict,
    }


def _rounded(value: Any) -> Any:
    """Keep six significant digits of every fraction, so that another processor's last digit changes nothing."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Interval):
        return _rounded(value.low), _rounded(value.high)
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return value
