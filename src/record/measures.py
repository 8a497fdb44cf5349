"""How a metric follows from predictions: from each answer by itself, or from how often which answer was given."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .config import Measure
from .predictions import FloatArray, Predictions, as_numpy

OF_COUNTS = frozenset({"balanced_accuracy", "kappa"})
"""Measures of a whole set of answers, which no single answer has a value of."""

OF_CHOICES = frozenset({"calibrated_accuracy"})
"""Measures that need the scores of all candidates."""


def available(predictions: Predictions, how: Measure) -> bool:
    """Tell whether the predictions hold what a measure needs."""
    return how not in OF_CHOICES or all(
        predictions.has(f"{model}_{kind}") for model in ("base", "finetuned") for kind in ("scores", "neutral_scores")
    )


def per_question(
    predictions: Predictions, model: str, how: Measure, candidates: list[str] | tuple[str, ...] | None = None
) -> FloatArray:
    """Compute a metric for every question.

    Args:
        predictions: Rows of one task.
        model: `base` or `finetuned`.
        how: `exact_match`: 1 where the answer is the reference, else 0. `character_accuracy`: share of positions at which answer and
            reference have the same character, of the longer one's length (Hamming similarity). `normalized_levenshtein`: edit distance
            (Levenshtein 1966), divided by the longer one's length. `calibrated_accuracy`: 1 where the reference is the candidate whose
            log-likelihood rises most over that for the question without what it is about (Zhao et al. 2021, arXiv 2102.09690; in the
            form of lm-evaluation-harness' `acc_mutual_info`). `score`: the score that the evaluation wrote.
        candidates: The answers that were chosen from, for `calibrated_accuracy`.

    Returns:
        One value per question, of shape (questions,).
    """
    from rapidfuzz import process
    from rapidfuzz.distance import Hamming, Levenshtein

    if how == "score":
        return predictions.column(f"{model}_score").astype(np.float64)
    answers, references = predictions.table[f"{model}_answer"], predictions.table["reference"]
    if how == "exact_match":
        return as_numpy(pc.equal(answers, references)).astype(np.float64)
    if how == "calibrated_accuracy":
        gain = predictions.matrix(f"{model}_scores") - predictions.matrix(f"{model}_neutral_scores")
        right = pc.index_in(references, value_set=pa.array(candidates or [], pa.string())).fill_null(-1)
        return np.asarray(gain.argmax(axis=1) == as_numpy(right), dtype=np.float64)
    scorer = Hamming.normalized_similarity if how == "character_accuracy" else Levenshtein.normalized_distance
    return np.asarray(
        process.cpdist(answers.to_pylist(), references.to_pylist(), scorer=scorer, dtype=np.float64), dtype=np.float64
    )


def answer_codes(predictions: Predictions) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Number the references and answers of a task.

    Returns:
        The labels, sorted; and codes into them of shape (3, questions): of reference, base answer, and fine-tuned answer.
    """
    columns = [predictions.table[name].combine_chunks() for name in ("reference", "base_answer", "finetuned_answer")]
    labels = sorted(set(pa.concat_arrays(columns).unique().to_pylist()))
    known = pa.array(labels, pa.string())
    return labels, np.stack([as_numpy(pc.index_in(column, value_set=known)).astype(np.int64) for column in columns])


def tables(codes: npt.NDArray[np.int64], labels: int) -> npt.NDArray[np.float64]:
    """Count how often each answer was given to each reference.

    Args:
        codes: What `answer_codes` returns.
        labels: Number of labels.

    Returns:
        Counts of shape (2, labels, labels): by model (base, fine-tuned), reference and answer.
    """
    counted = [np.bincount(codes[0] * labels + answers, minlength=labels * labels) for answers in codes[1:]]
    return np.stack(counted).reshape(2, labels, labels).astype(np.float64)


def of_counts(table: npt.NDArray[Any], how: Measure) -> npt.NDArray[np.float64]:
    """Compute a measure of counts.

    Args:
        table: Counts of shape (…, references, answers).
        how: `balanced_accuracy`: the share that is right, averaged over the references that occur (Brodersen et al. 2010,
            doi:10.1109/ICPR.2010.764). `kappa`: agreement beyond the agreement by chance of raters with these frequencies, as a share
            of what is possible (Cohen 1960, doi:10.1177/001316446002000104); 0 where a rater with these frequencies could not disagree.

    Returns:
        Values of shape (…,). An answer that is always the same has a balanced accuracy of one over the number of references, and a
        kappa of 0.
    """
    right = np.diagonal(table, axis1=-2, axis2=-1)
    of_reference, total = table.sum(axis=-1), table.sum(axis=(-2, -1))
    if how == "balanced_accuracy":
        occurs = of_reference > 0
        shares = np.divide(right, of_reference, out=np.zeros_like(of_reference), where=occurs)
        return np.asarray(shares.sum(axis=-1) / occurs.sum(axis=-1))
    expected = (of_reference * table.sum(axis=-2)).sum(axis=-1) / total**2
    observed = right.sum(axis=-1) / total
    possible = 1 - expected
    return np.asarray(np.divide(observed - expected, possible, out=np.zeros_like(possible), where=possible > 1e-12))


def summary(
    predictions: Predictions, model: str, how: Measure, candidates: list[str] | tuple[str, ...] | None = None
) -> float:
    """Compute a metric of all questions of a task: the mean over questions, or the measure of their counts."""
    if how not in OF_COUNTS:
        return float(per_question(predictions, model, how, candidates).mean())
    labels, codes = answer_codes(predictions)
    return float(of_counts(tables(codes, len(labels)), how)[0 if model == "base" else 1])
