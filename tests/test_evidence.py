"""Evidence before verdict: an answer that does not depend on the question is never an improvement."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from src.analysis.evidence import Comparison, compare, judge, shortcuts
from src.analysis.statistics import poisson_binomial_tail
from src.record.answers import SCHEMA as ANSWERS
from src.record.answers import Answered
from src.record.config import MetricConfig
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
