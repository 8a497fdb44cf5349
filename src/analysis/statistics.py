"""The statistics that the analysis uses, each from SciPy or statsmodels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

RESAMPLES = 9_999
SEED = 20_180_601
"""Seed of the resampling, so that the same record always gives the same intervals."""
_BATCH_ELEMENTS = 4_000_000


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def _batch(n: int) -> int:
    return max(1, min(RESAMPLES, _BATCH_ELEMENTS // max(1, n)))


def wilson(successes: int, n: int, level: float) -> Interval:
    """Wilson's score interval for a proportion (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Args:
        successes: Right answers.
        n: Questions.
        level: One minus the confidence level, such as 0.05.
    """
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(successes, n, alpha=level, method="wilson")
    return Interval(float(low), float(high))


def bootstrap_mean(values: FloatArray, level: float) -> Interval | None:
    """Percentile bootstrap interval for a mean (Efron 1979, doi:10.1214/aos/1176344552).

    For paired differences this is the paired bootstrap: questions are drawn, each with both models' answers.

    Args:
        values: One value a question, of shape (questions,).
        level: One minus the confidence level.

    Returns:
        The interval, or None for fewer than two values.
    """
    from scipy import stats

    if len(values) < 2:
        return None
    if np.ptp(values) == 0:
        return Interval(float(values[0]), float(values[0]))
    result = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=1 - level,
        method="percentile",
        vectorized=True,
        batch=_batch(len(values)),
        rng=np.random.default_rng(SEED),
    )
    return Interval(float(result.confidence_interval.low), float(result.confidence_interval.high))


def mcnemar(base: FloatArray, finetuned: FloatArray) -> float:
    """Exact McNemar test for paired right and wrong answers (McNemar 1947, doi:10.1007/BF02295996).

    Args:
        base: 1 for right, 0 for wrong, of shape (questions,).
        finetuned: The same for the fine-tuned model.

    Returns:
        The two-sided p-value.
    """
    from statsmodels.stats.contingency_tables import mcnemar as exact

    table = [
        [int(((base == 1) & (finetuned == 1)).sum()), int(((base == 1) & (finetuned == 0)).sum())],
        [int(((base == 0) & (finetuned == 1)).sum()), int(((base == 0) & (finetuned == 0)).sum())],
    ]
    return float(exact(table, exact=True).pvalue)


def paired_permutation(base: FloatArray, finetuned: FloatArray) -> float:
    """Paired permutation test of the mean difference (Fisher 1935): signs of the differences are flipped at random.

    Returns:
        The two-sided p-value; at least 1 / (resamples + 1).
    """
    from scipy import stats

    if np.array_equal(base, finetuned):
        return 1.0
    result = stats.permutation_test(
        (base, finetuned),
        lambda x, y, axis: np.mean(y, axis=axis) - np.mean(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=_batch(len(base)),
        rng=np.random.default_rng(SEED),
    )
    return float(result.pvalue)


def holm(p_values: list[float], level: float) -> list[float]:
    """Adjust p-values for testing several at once (Holm 1979)."""
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(p_values, alpha=level, method="holm")[1]] if p_values else []
