"""The statistics, against known values and properties."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, t
from statsmodels.stats.inter_rater import cohens_kappa, to_table
from statsmodels.stats.multitest import multipletests

from src.analysis.analyse import analyse
from src.analysis.statistics import bootstrap_mean, holm, kappa, mcnemar, paired_permutation, t_interval, wilson
from src.analysis.study import analyse_study
from src.record.load import Record


def test_bootstrap_of_constants_and_of_too_little() -> None:
    assert bootstrap_mean(np.full(10, 0.25), 0.05) is None
    assert bootstrap_mean(np.array([1.0]), 0.05) is None


@given(n=st.integers(1, 5000), data=st.data(), level=st.sampled_from([0.01, 0.05, 0.2]))
def test_wilson_is_that_of_scipy(n: int, data: st.DataObject, level: float) -> None:
    k = data.draw(st.integers(0, n))
    expected = binomtest(k, n).proportion_ci(confidence_level=1 - level, method="wilson")
    assert wilson(k, n, level) == pytest.approx((expected.low, expected.high), rel=1e-14, abs=1e-15)


@given(lost=st.integers(0, 2000), won=st.integers(0, 2000), both=st.integers(0, 50), neither=st.integers(0, 50))
def test_mcnemar_is_the_binomial_test_of_scipy(lost: int, won: int, both: int, neither: int) -> None:
    base = np.array([1.0] * (lost + both) + [0.0] * (won + neither))
    tuned = np.array([0.0] * lost + [1.0] * (both + won) + [0.0] * neither)
    expected = binomtest(won, lost + won, 0.5).pvalue if lost + won else 1.0
    assert mcnemar(base, tuned) == pytest.approx(expected, rel=1e-11, abs=1e-250)


@settings(max_examples=20)  # statsmodels collects garbage each time
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], rel=1e-15, abs=1e-15)


def test_resampling_of_counts_agrees_with_scipys_of_questions() -> None:
    from scipy import stats

    rng = np.random.default_rng(11)
    base = rng.integers(0, 5, 300) / 4
    tuned = np.clip(base + rng.integers(-1, 2, 300) / 4, 0, 1)
    ours = bootstrap_mean(tuned - base, 0.05)
    theirs = stats.bootstrap((tuned - base,), np.mean, n_resamples=9_999, method="percentile", rng=rng)
    assert ours == pytest.approx(theirs.confidence_interval, abs=0.004)
    assert paired_permutation(base, base) == 1.0
    for shift in (0.0, 0.01, 0.02, 0.2):
        theirs_p = stats.permutation_test(
            (base, tuned + shift),
            lambda x, y, axis: np.mean(y - x, axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=9_999,
            rng=rng,
        ).pvalue
        assert paired_permutation(base, tuned + shift) == pytest.approx(theirs_p, abs=0.06)


def test_a_run_of_one_arm_changes_no_number_of_another(record: Record) -> None:
    assert record.study is not None
    measured = record.metrics.metrics
    arms = {run.name: run.arm for run in record.study.study.runs}
    left_out = next(name for name in record.study.runs if arms[name] != record.study.config.main)
    fewer = replace(record.study, runs={k: v for k, v in record.study.runs.items() if k != left_out})
    published = {m.key: m.run for m in analyse(record).metrics}
    whole, part = (analyse_study(replace(record), study, measured, published) for study in (record.study, fewer))
    assert whole.arm(record.study.config.main) == part.arm(record.study.config.main)
    other = arms[left_out] or ""
    assert len(part.arm(other).seeds) == len(whole.arm(other).seeds) - 1


def test_an_interval_over_runs_needs_three_of_them() -> None:
    assert t_interval(np.array([0.1, 0.2]), 0.05) is None
    bounds = t_interval(np.array([0.1, 0.2, 0.3]), 0.05)
    assert bounds is not None
    assert bounds == pytest.approx(t.interval(0.95, 2, 0.2, 0.1 / 3**0.5))


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=30), st.data())
def test_kappa_is_that_of_statsmodels(references: list[str], data: st.DataObject) -> None:
    answers = data.draw(st.lists(st.sampled_from("abc"), min_size=len(references), max_size=len(references)))
    found = kappa(np.array(references, dtype=object), np.array(answers, dtype=object))
    if len({*references, *answers}) == 1:
        assert found == 0.0
        return
    codes = ["abc".index(letter) for letter in references], ["abc".index(letter) for letter in answers]
    expected = cohens_kappa(to_table(np.transpose(codes))[0], return_results=False)
    assert found == pytest.approx(expected, abs=1e-12)
