"""Evidence before verdict: no answer that ignores its question is an improvement, and the statistics agree with libraries."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import binomtest, t
from statsmodels.stats.inter_rater import cohens_kappa, to_table
from statsmodels.stats.multitest import multipletests

from src.analysis.analyse import analyse
from src.analysis.evidence import Comparison, compare, judge, shortcuts
from src.analysis.statistics import (
    bootstrap_mean,
    holm,
    kappa,
    mcnemar,
    paired_permutation,
    poisson_binomial_tail,
    t_interval,
    wilson,
)
from src.analysis.study import analyse_study
from src.record.answers import SCHEMA as ANSWERS
from src.record.answers import Answered
from src.record.config import MetricConfig
from src.record.load import Record
from src.record.measures import per_question
from src.record.questions import SCHEMA as QUESTIONS
from src.record.schemas import Task

WORDS = [
    "strawberry", "banana", "letters", "reading", "kettle", "garden", "window", "silver", "purple", "dinner", "planet", "yellow",
    "cactus", "button", "little", "basket", "tunnel", "hammer", "bottle", "carrot",
]  # fmt: skip
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
METRIC = MetricConfig(
    label="Position", definition="…", direction="higher", unit="proportion", task="position", measure="exact_match"
)


def places() -> list[tuple[str, int]]:
    return [(word, place) for word in WORDS for place in range(len(word))]


def asked(count: bool) -> list[tuple[str, Counter[str]]]:
    """Return the right answer to every question, and those that would be right if it asked about another place or word."""
    if count:
        counts = {letter: Counter(str(w.count(letter)) for w in WORDS if letter in w) for letter in LETTERS}
        return [(str(word.count(letter)), counts[letter]) for word in WORDS for letter in sorted(set(word))]
    return [(word[place], Counter(word)) for word, place in places()]


def rows(answers: list[str], *, count: bool = False, answered: list[bool] | None = None) -> Answered:
    """Answer every position question of every word, or every count question."""
    questions = asked(count)
    table = pa.Table.from_pylist(
        [
            {
                "id": str(i),
                "task": "t",
                "reference": right,
                "references": None,
                "control": [{"answer": a, "share": n / others.total()} for a, n in others.items()],
                "shortcut": others.most_common(1)[0][0],
            }
            for i, (right, others) in enumerate(questions)
        ],
        schema=pa.schema([*QUESTIONS, ("shortcut", pa.string())]),
    )
    given = [
        {"id": str(i), "answer": a, "correct": a == right, "answered": True if answered is None else answered[i]}
        for i, (a, (right, _)) in enumerate(zip(answers, questions, strict=True))
    ]
    task = Task(
        questions=len(questions),
        method="choice",
        candidates=[str(n) for n in range(10)] if count else LETTERS,
        shortcuts={"a shortcut": "shortcut"},
    )
    return Answered("t", task, table, pa.Table.from_pylist(given, schema=ANSWERS))


def right() -> list[str]:
    return [word[place] for word, place in places()]


def judged(tuned: Answered, base: Answered | None = None) -> Comparison:
    """Judge answers against a base model's, by default against one that is never right."""
    base = base or rows(["z" for _ in places()])
    values = per_question(base, METRIC), per_question(tuned, METRIC)
    return judge(compare(tuned, METRIC, 0.05, values), 0.05)


DULL_POSITIONS = {
    "constant": lambda word: "e",
    "first letter": lambda word: word[0],
    "most frequent letter": lambda word: Counter(word).most_common(1)[0][0],
}


@pytest.mark.parametrize("name", DULL_POSITIONS)
def test_a_dull_model_gets_no_evidence_of_use_on_positions(name: str) -> None:
    """However bad the base model is, here one that is never right."""
    found = judged(rows([DULL_POSITIONS[name](word) for word, _ in places()]))
    assert found.p_value is not None and found.p_value < 0.05, "the paired test alone would call it an improvement"
    assert found.verdict == "no evidence of use"


@pytest.mark.parametrize("name", ["constant", "by letter"])
def test_a_dull_model_gets_no_evidence_of_use_on_counts(name: str) -> None:
    answers = ["1" if name == "constant" else others.most_common(1)[0][0] for _, others in asked(count=True)]
    dull = rows(answers, count=True)
    assert judged(dull, rows(["9"] * len(answers), count=True)).verdict == "no evidence of use"


def test_a_model_that_uses_the_position_improves() -> None:
    found = judged(rows([letter if i % 3 else "q" for i, letter in enumerate(right())]))
    assert found.above_control and found.above_shortcut
    assert found.verdict == "improved"


def test_a_model_that_writes_something_else_does_not_answer() -> None:
    tuned = rows(right(), answered=[i % 3 == 0 for i in range(len(right()))])
    assert judged(tuned).verdict == "does not answer"


def test_the_first_verdict_that_applies_is_the_verdict() -> None:
    """Answers that are off the list, not above their control, and worse than the base model's: all three are true of them."""
    dull = ["e" for _ in places()]
    silent = judged(rows(dull, answered=[False] * len(dull)), rows(right()))
    assert silent.above_control is False
    assert silent.p_value is not None and silent.p_value < 0.05 and not silent.better
    assert silent.verdict == "does not answer"
    assert judged(rows(dull), rows(right())).verdict == "no evidence of use"
    assert judge(replace(silent, p_value=None), 0.05).verdict == "not tested"


def test_worse_and_no_difference_need_use_first() -> None:
    half = rows([letter if i % 2 else "q" for i, letter in enumerate(right())])
    assert judged(half, rows(right())).verdict == "worse"
    assert judged(rows(right()), rows(right())).verdict == "no difference"


def test_the_tail_is_exact() -> None:
    """Against the sum over all outcomes, and against SciPy's binomial distribution."""
    chances = np.array([0.1, 0.5, 0.5, 0.9, 0.0, 1.0])
    for hits in range(7):
        brute = sum(
            float(np.prod([p if hit else 1 - p for p, hit in zip(chances, outcome, strict=True)]))
            for outcome in itertools.product([0, 1], repeat=6)
            if sum(outcome) >= hits
        )
        assert poisson_binomial_tail(chances, hits) == pytest.approx(brute, abs=1e-12)
    assert poisson_binomial_tail(np.full(2000, 0.3), 650) == pytest.approx(stats.binom.sf(649, 2000, 0.3), rel=1e-9)


def test_the_control_of_a_constant_answer_is_its_own_accuracy_on_average() -> None:
    """An answer that ignores the position is right as often as its control, whatever it is."""
    for letter in "eat":
        found = rows([letter for _ in places()])
        shares = found.control_shares()
        assert shares is not None
        assert shares.mean() == pytest.approx(found.column("correct").mean())


def test_the_best_shortcut_is_compared() -> None:
    named = {baseline.label: baseline.value for baseline, _ in shortcuts(rows(["z" for _ in places()]), METRIC)}
    assert set(named) == {"the most common answer", "a shortcut"}
    assert named["a shortcut"] > named["the most common answer"]


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


@pytest.mark.slow
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
