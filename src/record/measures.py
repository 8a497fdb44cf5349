"""How a metric follows from predictions: from each answer by itself, or from how often which answer was given."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .config import Measure, MetricConfig
from .predictions import MODELS, FloatArray, Predictions, as_numpy, calibrated

OF_COUNTS = frozenset({"balanced_accuracy", "kappa"})
"""Measures of a whole set of answers, which no single answer has a value of."""

OF_CHOICES = frozenset({"calibrated_accuracy"})
"""Measures that need the scores of all candidates."""


def available(predictions: Predictions, metric: MetricConfig) -> bool:
    """Tell whether the predictions hold what a metric is computed from."""
    needed: dict[str, list[str]] = {
        "score": [f"{model}_score" for model in MODELS],
        "value": [f"{model}_{metric.value}" for model in MODELS],
        "calibrated_accuracy": [calibrated(model) for model in MODELS],
    }
    return metric.measure is not None and all(map(predictions.has, needed.get(metric.measure, ())))


def right_or_wrong(metric: MetricConfig, *values: FloatArray) -> bool:
    """Tell whether a metric's values are right or wrong, and nothing between."""
    if metric.measure == "value":
        return all(bool(np.isin(v, (0.0, 1.0)).all()) for v in values)
    return metric.measure == "exact_match"


def per_question(
    predictions: Predictions, model: str, metric: MetricConfig, candidates: list[str] | tuple[str, ...] | None = None
) -> FloatArray:
    """Compute a metric for every question.

    Args:
        predictions: Rows of one task.
        model: `base` or `finetuned`.
        metric: Its declaration, whose measure says how. `exact_match`: 1 where the answer is the reference, or one of several, else 0. `character_accuracy`: share of positions at which answer and
            reference have the same character, of the longer one's length (Hamming similarity). `normalized_levenshtein`: edit distance
            (Levenshtein 1966), divided by the longer one's length. `calibrated_accuracy`: 1 where the reference is the candidate whose
            log-likelihood rises most over that for the question without what it is about (Zhao et al. 2021, arXiv 2102.09690; in the
            form of lm-evaluation-harness' `acc_mutual_info`). `score`: the score that the evaluation wrote; `value`: the metric's value that it wrote.
        candidates: The answers that were chosen from, for `calibrated_accuracy`.

    Returns:
        One value per question, of shape (questions,).
    """
    from rapidfuzz import process
    from rapidfuzz.distance import Hamming, Levenshtein

    how = metric.measure
    if how in ("score", "value"):
        return predictions.column(f"{model}_{metric.value or 'score'}").astype(np.float64)
    answers, references = predictions.table[f"{model}_answer"], predictions.table["reference"]
    if how == "exact_match":
        return predictions.column(f"{model}_correct").astype(np.float64)
    if how == "calibrated_accuracy":
        right = pc.index_in(references, value_set=pa.array(candidates or [], pa.string())).fill_null(-1)
        return np.asarray(predictions.column(calibrated(model)) == as_numpy(right), dtype=np.float64)
    scorer = Hamming.normalized_similarity if how == "character_accuracy" else Levenshtein.normalized_distance
    return np.asarray(
        process.cpdist(answers.to_pylist(), references.to_pylist(), scorer=scorer, dtype=np.float64), dtype=np.float64
    )


def answer_codes(columns: list[pa.ChunkedArray]) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Number references and answers.

    Args:
        columns: The references, and each model's answers.

    Returns:
        The labels, sorted, and codes into them of shape (columns, questions).
    """
    arrays = [column.combine_chunks() for column in columns]
    known = pa.concat_arrays(arrays).unique().sort()
    codes = [as_numpy(pc.index_in(array, value_set=known)).astype(np.int64) for array in arrays]
    return known.to_pylist(), np.stack(codes)


class AnswerCounts:
    """How often each answer is given to each reference, for several models and for any weights of the questions.

    Args:
        codes: Codes of the references and of each model's answers, of shape (1 + models, questions).
        labels: Number of labels.

    Attributes:
        columns: What is summed over questions, of shape (questions, counted): a column each for what occurs at all.
    """

    def __init__(self, codes: npt.NDArray[np.int64], labels: int) -> None:
        kinds = np.eye(labels, dtype=np.float32)  # sums of whole numbers are exact in it up to 2**24 questions
        references = kinds[codes[0]]
        per_model = (part for given in codes[1:] for part in (kinds[given], references * kinds[given]))
        every = np.concatenate([references, *per_model], axis=1)
        self._occurs = np.asarray(every.any(axis=0))
        self.columns = every[:, self._occurs]
        self._labels = labels

    def tables(self, summed: npt.NDArray[np.float32]) -> FloatArray:
        """Arrange sums.

        Args:
            summed: Sums of `columns` over weighted questions, of shape (samples, counted).

        Returns:
            Of shape (samples, 1 + 2 * models, labels): how often each label is the reference, then for each model how often it is the
            answer, and how often it is the right answer.
        """
        tables = np.zeros((len(summed), len(self._occurs)))
        tables[:, self._occurs] = summed
        return tables.reshape(len(summed), -1, self._labels)


def counted(codes: npt.NDArray[np.int64], labels: int) -> FloatArray:
    """Count every question once.

    Args:
        codes: Codes of the references and of each model's answers, of shape (1 + models, questions).
        labels: Number of labels.

    Returns:
        The one table that `AnswerCounts.tables` gives of weights that are all 1, of shape (1, 1 + 2 * models, labels).
    """
    references, *models = codes
    kept = [references, *(part for given in models for part in (given, given[given == references]))]
    return np.stack([np.bincount(part, minlength=labels) for part in kept]).astype(np.float64)[None]


def of_counts(tables: FloatArray, how: Measure) -> FloatArray:
    """Compute a measure of how often each answer was given to each reference.

    Args:
        tables: As `AnswerCounts.tables` counts, of shape (samples, 1 + 2 * models, labels).
        how: `balanced_accuracy`: the share that is right, averaged over the references that occur (Brodersen et al. 2010,
            doi:10.1109/ICPR.2010.764). `kappa`: agreement beyond the agreement by chance of raters with these frequencies, as a share
            of what is possible (Cohen 1960, doi:10.1177/001316446002000104); 0 where a rater with these frequencies could not disagree.
            An answer that is always the same has a balanced accuracy of one over the number of references, and a kappa of 0.

    Returns:
        Values of shape (samples, models).
    """
    references, answers, right = tables[:, :1], tables[:, 1::2], tables[:, 2::2]
    if how == "balanced_accuracy":
        occurs = references > 0
        shares = np.divide(right, references, out=np.zeros_like(right), where=np.broadcast_to(occurs, right.shape))
        return np.asarray(shares.sum(axis=2) / occurs.sum(axis=2))
    total = references.sum(axis=2)
    expected = (references * answers).sum(axis=2) / total**2
    possible = 1 - expected
    beyond = right.sum(axis=2) / total - expected
    return np.asarray(np.divide(beyond, possible, out=np.zeros_like(possible), where=possible > 1e-12))


def summary(
    predictions: Predictions, model: str, metric: MetricConfig, candidates: list[str] | tuple[str, ...] | None = None
) -> float:
    """Compute a metric of all questions of a task: the mean over questions, or the measure of their counts."""
    if metric.measure not in OF_COUNTS:
        return float(per_question(predictions, model, metric, candidates).mean())
    labels, codes = answer_codes([predictions.table[name] for name in ("reference", f"{model}_answer")])
    return float(of_counts(counted(codes, len(labels)), metric.measure)[0, 0])
