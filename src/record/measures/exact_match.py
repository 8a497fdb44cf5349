"""Right or wrong."""

import numpy as np

from . import Measure

MEASURE = Measure(
    about="1 if the answer is right, otherwise 0",
    needs=("correct",),
    values=lambda rows, _: rows.column("correct").astype(np.float64),
    right_or_wrong=True,
    compares=True,
)
