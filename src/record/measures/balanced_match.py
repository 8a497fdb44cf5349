"""Whether an answer is right, with each right answer counting equally often, however many questions it has."""

import numpy as np

from src.record.answers import Answered
from src.record.config import MetricConfig
from src.record.tables import FloatArray

from . import Measure


def _weights(rows: Answered) -> FloatArray:
    """Return for each question its share of the mean over right answers, times the number of questions."""
    _, codes, counts = np.unique(rows.texts("reference").astype(str), return_inverse=True, return_counts=True)
    return np.asarray(len(rows) / (len(counts) * counts[codes]), dtype=np.float64)


def _values(rows: Answered, _: MetricConfig) -> FloatArray:
    return rows.column("correct").astype(np.float64) * _weights(rows)


MEASURE = Measure(
    about="1 if the answer is right, otherwise 0, averaged for each right answer and then over these",
    needs=("correct", "reference"),
    values=_values,
    compares=True,
    weights=_weights,
)
