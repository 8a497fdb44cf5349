"""Whether a program could count the letter right in what the model wrote before it was asked."""

import numpy as np

from src.record.answers import Answered
from src.record.config import MetricConfig
from src.record.tables import FloatArray

from . import Measure


def _values(rows: Answered, _: MetricConfig) -> FloatArray:
    counts = zip(rows["own_words"].to_pylist(), rows["letter"].to_pylist(), rows["reference"].to_pylist(), strict=True)
    return np.array([str(text.count(letter)) == count for text, letter, count in counts], dtype=np.float64)


MEASURE = Measure(
    about="1 if the word, as the model itself spelled it, has the letter the right number of times, otherwise 0",
    needs=("own_words", "letter", "reference"),
    values=_values,
    right_or_wrong=True,
)
