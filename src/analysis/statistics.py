"""The statistics that the analysis uses: closed forms on SciPy's special functions, and resampling that counts distinct values.

A resampled mean depends only on how often each distinct value was drawn, and answers to questions have few distinct values.
So a resample of many questions is one draw of counts, exactly as likely as the draw of the questions one by one, and a
million questions cost no more than a thousand. Few questions are drawn one by one, which is then quicker.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy  # loads scipy.special when it is first used, which takes longer than all the rest of a start

from src.record.predictions import as_numpy

FloatArray = npt.NDArray[np.float64]

RESAMPLES = 9_999

COUNT_RESAMPLES = 1_999
"""Resamples for measures of counts and for studies, where each resample costs much more."""

SEED = 20_180_601
"""Seed of the resampling, so that the same record always gives the same intervals."""
_BATCH_ELEMENTS = 4_000_000
_CACHED_ELEMENTS = 200_000
_FEW = 10
"""So many questions a distinct value cost as much to draw one by one as the value's count does."""


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def wilson(successes: int, n: int, level: float) -> Interval:
    """Wilson's score interval for a proportion (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Args:
        successes: Right answers.
        n: Questions.
        level: One minus the confidence level, such as 0.05.
    """
    z = float(scipy.special.ndtri(1 - level / 2))
    p, denominator = successes / n, 1 + z**2 / n
    center = (p + z**2 / (2 * n)) / denominator
    half = z / denominator * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == n else min(1.0, center + half)
    return Interval(low, high)


def bootstrap_mean(values: FloatArray, level: float) -> Interval | None:
    """Percentile bootstrap interval for a mean (Efron 1979, doi:10.1214/aos/1176344552).

    For paired differences this is the paired bootstrap: questions are drawn, each with both models' answers.

    Args:
        values: One value per question, of shape (questions,).
        level: One minus the confidence level.

    Returns:
        The interval, or None for fewer than two values.
    """
    if len(values) < 2:
        return None
    distinct, counts = _distinct(values)
    if len(distinct) == 1:
        return Interval(float(distinct[0]), float(distinct[0]))
    n = len(values)
    rng = np.random.default_rng(SEED)
    if n < _FEW * len(distinct):
        draws = (rng.integers(0, n, size=(size, n), dtype=np.uint32) for size in _batches(n, _CACHED_ELEMENTS))
        means = np.concatenate([values[drawn].mean(axis=1) for drawn in draws])
    else:  # drawing n of n with replacement draws the counts of the distinct values from a multinomial distribution
        means = np.concatenate(
            [rng.multinomial(n, counts / n, size=size) @ distinct / n for size in _batches(len(distinct))]
        )
    return percentile_interval(means, level)


def resample_counts(counts: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.float32]]:
    """Draw questions with replacement, as how often each kind of question comes.

    Args:
        counts: How often each kind comes among the questions, of shape (kinds,).

    Yields:
        Batches of resamples, of shape (samples, kinds).
    """
    rng = np.random.default_rng(SEED)
    n = counts.sum()
    for size in _batches(len(counts), total=COUNT_RESAMPLES):
        yield rng.multinomial(n, counts / n, size=size).astype(np.float32)


def percentile_interval(values: FloatArray, level: float) -> Interval:
    """Return the interval that holds the middle of resampled values."""
    low, high = np.quantile(values, [level / 2, 1 - level / 2])
    return Interval(float(low), float(high))


def _distinct(values: FloatArray) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return the distinct values and how often each comes; differences of rounding are no differences."""
    return distinct_counts(np.round(values, 12) + 0.0)  # the sum makes -0.0 the same as 0.0


def distinct_counts(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Find the distinct values by their hashes; `numpy.unique` sorts all values for it.

    Args:
        values: Numbers, of shape (values,).

    Returns:
        The distinct values in order, and how often each comes, both of shape (distinct,).
    """
    found = pa.array(values).value_counts()
    distinct, counts = as_numpy(found.field("values")), as_numpy(found.field("counts"))
    order = np.argsort(distinct)
    return distinct[order], counts[order]


def _batches(width: int, elements: int = _BATCH_ELEMENTS, total: int = RESAMPLES) -> list[int]:
    """Split the resamples so that a batch of rows of that width has at most so many elements."""
    size = max(1, min(total, elements // width))
    return [min(size, total - start) for start in range(0, total, size)]


def mcnemar(base: FloatArray, finetuned: FloatArray) -> float:
    """Exact McNemar test for paired right and wrong answers (McNemar 1947, doi:10.1007/BF02295996).

    Args:
        base: 1 for right, 0 for wrong, of shape (questions,).
        finetuned: The same for the fine-tuned model.

    Returns:
        The two-sided p-value.
    """
    lost = int(((base == 1) & (finetuned == 0)).sum())
    won = int(((base == 0) & (finetuned == 1)).sum())
    return min(1.0, 2 * float(scipy.special.bdtr(min(lost, won), lost + won, 0.5)))


def paired_permutation(base: FloatArray, finetuned: FloatArray) -> float:
    """Paired permutation test of the mean difference (Fisher 1935): signs of the differences are flipped at random.

    Returns:
        The two-sided p-value; at least 2 / (resamples + 1).
    """
    sizes, counts = _distinct(np.abs(finetuned - base))
    if not sizes.any():
        return 1.0
    observed = float(np.sum(finetuned - base))
    rng = np.random.default_rng(SEED)
    # Of the c differences of one size, Binomial(c, 1/2) keep a positive sign.
    sums = np.concatenate(
        [(2 * rng.binomial(counts, 0.5, size=(size, len(counts))) - counts) @ sizes for size in _batches(len(counts))]
    )
    slack = 1e-9 * max(1.0, abs(observed))
    tails = [int((sums >= observed - slack).sum()), int((sums <= observed + slack).sum())]
    return min(1.0, 2 * (min(tails) + 1) / (RESAMPLES + 1))


def holm(p_values: list[float]) -> list[float]:
    """Adjust p-values for testing several at once (Holm 1979, https://www.jstor.org/stable/4615733).

    Returns:
        The adjusted p-values, in the order of the given ones.
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def t_interval(values: FloatArray, level: float) -> Interval | None:
    """Student's t interval for the mean of a few independent values, such as one per seed (Student 1908, doi:10.1093/biomet/6.1.1).

    Returns:
        The interval, or None for fewer than two values.
    """
    n = len(values)
    if n < 2:
        return None
    half = float(scipy.special.stdtrit(n - 1, 1 - level / 2)) * float(values.std(ddof=1)) / n**0.5
    return Interval(float(values.mean()) - half, float(values.mean()) + half)
