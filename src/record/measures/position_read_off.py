"""Whether a program finds the right letter in the model's own spelling."""

import numpy as np

from src.record.answers import Answered
from src.record.config import MetricConfig
from src.record.tables import FloatArray

from . import Measure


def _values(rows: Answered, _: MetricConfig) -> FloatArray:
    places = zip(
        rows["own_words"].to_pylist(), rows["position"].to_pylist(), rows["reference"].to_pylist(), strict=True
    )
    return np.array([text[at - 1 : at] == letter for text, at, letter in places], dtype=np.float64)


MEASURE = Measure(
    about="1 if the character at the position asked for, in the word as the model itself spelled it, is the right one, otherwise 0",
    needs=("own_words", "position", "reference"),
    values=_values,
    right_or_wrong=True,
)
