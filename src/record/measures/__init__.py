"""Measures: how a metric's value is computed from each answer. One module per measure; adding a file here adds a measure.

A module defines `MEASURE`. A metric of `configs/metrics.yaml` names it by the module's name.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from src.record.answers import Answered
from src.record.config import MetricConfig
from src.record.tables import FloatArray


@dataclass(frozen=True)
class Measure:
    """One way to compute a value from each answer.

    Attributes:
        about: What the value of one answer is, in a sentence that documents print.
        needs: Columns of questions or answers that it is computed from.
        values: Computes it: a value per question, of shape (questions,).
        right_or_wrong: Whether each value is 1 for right or 0 for wrong. Such values get Wilson's interval and McNemar's test, all others
            a bootstrap and a permutation test.
        compares: Whether it compares the answer with the right one, so that controls and shortcuts apply.
        weights: Weight of each question, of shape (questions,) and with the mean 1; all 1 where there are none.
    """

    about: str
    needs: tuple[str, ...]
    values: Callable[[Answered, MetricConfig], FloatArray]
    right_or_wrong: bool = False
    compares: bool = False
    weights: Callable[[Answered], FloatArray] | None = None


@cache
def measures() -> dict[str, Measure]:
    """Return every measure by its name."""
    return {
        module.name: import_module(f"{__name__}.{module.name}").MEASURE for module in pkgutil.iter_modules(__path__)
    }


def needed(metric: MetricConfig) -> tuple[str, ...]:
    """Return the columns that a metric is computed from; empty where it names no measure."""
    if metric.measure is None:
        return ()
    own = (metric.value,) if metric.value else ()
    limit = tuple(only.column for only in metric.only)
    return (*measures()[metric.measure].needs, *own, *limit)


def available(rows: Answered | None, metric: MetricConfig) -> bool:
    """Return whether the record has what a metric is computed from."""
    return rows is not None and metric.measure is not None and all(map(rows.has, needed(metric)))


def per_question(rows: Answered, metric: MetricConfig) -> FloatArray:
    """Compute a metric for each question that it is about, which `metric.only` may limit."""
    return measures()[metric.measure or ""].values(rows.only(metric.only), metric)
