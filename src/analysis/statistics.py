"""The statistics that the analysis uses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy  # scipy.special and scipy.stats load when first used, which takes longer than all other imports

from src.record.tables import FloatArray

RESAMPLES = 4_999

SEED = 20_180_601
"""Seed of the resampling, so that the same record always gives the same intervals."""

_BATCH_ELEMENTS = 4_000_000


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def wilson(successes: int, n: int, level: float) -> Interval:
    """Compute Wilson's score interval for a proportion (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Here and below, `level` is one minus the confidence level, such as 0.05, and arrays have the shape (questions,).
    """
    z = float(scipy.special.ndtri(1 - level / 2))
    p, denominator = successes / n, 1 + z**2 / n
    center = (p + z**2 / (2 * n)) / denominator
    half = z / denominator * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == n else min(1.0, center + half)
    return Interval(low, high)


def bootstrap_mean(values: FloatArray, level: float) -> Interval | None:
    """Compute a percentile bootstrap interval for a mean (Efron 1979, doi:10.1214/aos/1176344552); None where all values are the same.

    For paired differences this is the paired bootstrap: questions are drawn, each with both models' answers. Drawing n of n values with
    replacement draws the counts of the distinct values from a multinomial distribution, which is what is done here.
    """
    n = len(values)
    distinct, counts = _distinct(values)
    if len(distinct) < 2:
        return None
    rng = np.random.default_rng(SEED)
    means = np.concatenate([rng.multinomial(n, counts / n, size=size) @ distinct / n for size in _batches(len(counts))])
    low, high = np.quantile(means, [level / 2, 1 - level / 2])
    return Interval(float(low), float(high))


def bootstrap_clusters(values: FloatArray, clusters: npt.NDArray[Any], level: float) -> list[Interval | None]:
    """Compute percentile bootstrap intervals of means, drawing whole clusters (Davison and Hinkley 1997, section 3.8).

    Values have the shape (means, questions), clusters (questions,). All intervals are from the same draws; None for fewer than two
    clusters.
    """
    _, codes = np.unique(clusters.astype(str), return_inverse=True)
    sizes = np.bincount(codes).astype(np.float64)
    if len(sizes) < 2:
        return [None] * len(values)
    sums = np.array([np.bincount(codes, weights=of_mean) for of_mean in values])
    rng = np.random.default_rng(SEED)
    drawn = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=RESAMPLES).astype(np.float64)
    bounds = np.quantile(drawn @ sums.T / (drawn @ sizes)[:, None], (level / 2, 1 - level / 2), axis=0)
    return [Interval(float(low), float(high)) for low, high in bounds.T]


def mcnemar(before: FloatArray, after: FloatArray) -> float:
    """Compute the two-sided p-value of the exact McNemar test for right (1) and wrong (0) (McNemar 1947, doi:10.1007/BF02295996)."""
    lost = int(((before == 1) & (after == 0)).sum())
    won = int(((before == 0) & (after == 1)).sum())
    return min(1.0, 2 * float(scipy.special.bdtr(min(lost, won), lost + won, 0.5)))


def paired_permutation(before: FloatArray, after: FloatArray) -> float:
    """Compute the two-sided p-value, at least 2 / (resamples + 1), of a paired permutation test of the mean difference (Fisher 1935).

    The signs of the differences are flipped at random.
    """
    sizes, counts = _distinct(np.abs(after - before))
    if not sizes.any():
        return 1.0
    observed = float(np.sum(after - before))
    rng = np.random.default_rng(SEED)
    # Of the c differences of one size, Binomial(c, 1/2) keep a positive sign.
    sums = np.concatenate(
        [(2 * rng.binomial(counts, 0.5, size=(size, len(counts))) - counts) @ sizes for size in _batches(len(counts))]
    )
    slack = 1e-9 * max(1.0, abs(observed))
    tails = [int((sums >= observed - slack).sum()), int((sums <= observed + slack).sum())]
    return min(1.0, 2 * (min(tails) + 1) / (RESAMPLES + 1))


def poisson_binomial_tail(chances: FloatArray, hits: int) -> float:
    """Compute the chance of at least so many hits, each question having its own chance of one (Poisson 1837).

    The distribution is the convolution of a binomial distribution for each distinct chance, exact up to rounding.
    """
    distribution = np.ones(1)
    for chance, count in zip(*_distinct(chances), strict=True):
        binomial = scipy.stats.binom.pmf(np.arange(count + 1), count, min(1.0, chance))
        distribution = scipy.signal.convolve(distribution, binomial)
    return float(np.clip(distribution[hits:].sum(), 0.0, 1.0))


def holm(p_values: list[float]) -> list[float]:
    """Adjust p-values for testing several at once, in their order (Holm 1979, https://www.jstor.org/stable/4615733)."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def t_interval(values: FloatArray, level: float) -> Interval | None:
    """Compute Student's t interval for the mean of three or more independent values (Student 1908, doi:10.1093/biomet/6.1.1)."""
    n = len(values)
    if n < 3:
        return None
    half = float(scipy.special.stdtrit(n - 1, 1 - level / 2)) * float(values.std(ddof=1)) / n**0.5
    return Interval(float(values.mean()) - half, float(values.mean()) + half)


def kappa(references: npt.NDArray[Any], answers: npt.NDArray[Any]) -> float:
    """Compute Cohen's kappa: 1 for right answers throughout, 0 for a constant answer (Cohen 1960, doi:10.1177/001316446002000104)."""
    labels, codes = np.unique(np.concatenate([references, answers]).astype(str), return_inverse=True)
    right, given = (
        np.bincount(part, minlength=len(labels)) / len(references) for part in np.split(codes, [len(references)])
    )
    expected = float(right @ given)
    observed = float((references == answers).mean())
    return (observed - expected) / (1 - expected) if expected < 1 else 0.0


def _distinct(values: FloatArray) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return the distinct values, in order, and the count of each; differences of rounding are ignored."""
    distinct, counts = np.unique(np.round(values, 12) + 0.0, return_counts=True)  # the sum makes -0.0 the same as 0.0
    return distinct, counts


def _batches(width: int) -> Iterator[int]:
    """Yield sizes that add up to the number of resamples, so that no batch of rows of that width is large."""
    size = max(1, min(RESAMPLES, _BATCH_ELEMENTS // width))
    for start in range(0, RESAMPLES, size):
        yield min(size, RESAMPLES - start)
