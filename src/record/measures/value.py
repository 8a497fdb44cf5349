"""A value that the evaluation stored for each question."""

import numpy as np

from . import Measure

MEASURE = Measure(
    about="the value that the evaluation stored",
    needs=(),
    values=lambda rows, metric: rows.column(metric.value or "").astype(np.float64),
)
