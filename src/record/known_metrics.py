"""Metrics that the field knows by name, for results that no config declares."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from .config import MetricConfig, MetricsConfig
from .files import parse_json, read_text, validate
from .schemas import EvaluationResults

HIGHER = (
    "acc", "accuracy", "auc", "auroc", "bertscore", "bleu", "chrf", "comet", "correlation", "em", "exact", "exact_match", "f1", "kappa", "map",
    "mc1", "mc2", "mcc", "mrr", "ndcg", "pass", "pearson", "precision", "r2", "recall", "reward", "rouge", "rouge1", "rouge2", "rougel",
    "rougelsum", "sacrebleu", "score", "similarity", "spearman", "success", "win",
)  # fmt: skip
LOWER = (
    "bits", "byte_perplexity", "cer", "distance", "ece", "edit", "error", "errors", "levenshtein", "loss", "mae", "mse", "nll", "perplexity",
    "ppl", "rmse", "ter", "toxicity", "wer",
)  # fmt: skip
"""Words of a metric's name that say which way is better."""

NO_SHARE = frozenset(
    ["bleu", "chrf", "comet", "correlation", "kappa", "mcc", "mrr", "ndcg", "pearson", "r2", "reward", "sacrebleu", "score", "similarity", "spearman"]
)  # fmt: skip
"""Those that are not a share of something, even between 0 and 1."""


def words_of(key: str) -> list[str]:
    """Return the words of a metric's name."""
    return re.split(r"[^a-z0-9]+", key.lower())


def in_percent(key: str, values: list[float]) -> bool:
    """Determine whether values look like a share in per cent, which a record holds from 0 to 1."""
    share = direction(key) == "higher" and not NO_SHARE & set(words_of(key))
    return share and any(value > 1 for value in values) and all(0 <= value <= 100 for value in values)


def direction(key: str) -> Literal["higher", "lower"] | None:
    """Return which way a metric is better, as far as its name says so."""
    words = words_of(key)
    if any(word in LOWER for word in words):
        return "lower"
    return "higher" if any(word in HIGHER for word in words) else None


def known_metric(key: str, values: list[float]) -> MetricConfig | None:
    """Declare a metric by its name and values; None where the name does not say which way is better."""
    better = direction(key)
    if better is None:
        return None
    share = all(0 <= value <= 1 for value in values) and not NO_SHARE & set(words_of(key))
    unit: Literal["proportion", "distance", "number"] = "number"
    if share:
        unit = "proportion" if better == "higher" else "distance" if "distance" in key.lower() else "number"
    label = re.sub(r"[_\W]+", " ", key).strip() or key
    return MetricConfig(
        label=label[:1].upper() + label[1:],
        definition=f"`{key}`, as the evaluation states it.",
        direction=better,
        unit=unit,
    )


def with_known(declared: MetricsConfig, results: Path) -> MetricsConfig:
    """Return the metrics that some results state, declared by name where no config does; the others are left out.

    Args:
        declared: The metrics of the project's config.
        results: `evaluation_results.json`.
    """
    hint = "See the file formats."
    found = validate(results, parse_json(results, read_text(results, hint)), EvaluationResults, hint)
    stated = found.base_model.metrics, found.finetuned_model.metrics
    metrics = {key: declared.metrics[key] for key in stated[0] if key in declared.metrics}
    for key in stated[0]:
        known = known_metric(key, [values[key] for values in stated if key in values])
        if key not in metrics and known is not None:
            metrics[key] = known
    return declared.model_copy(update={"metrics": metrics}) if metrics else declared
