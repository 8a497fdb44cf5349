"""Characters in the right place."""

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Hamming

from . import Measure

MEASURE = Measure(
    about="the share of positions at which answer and reference have the same character, of the longer one's length (Hamming similarity)",
    needs=("answer", "reference"),
    values=lambda rows, _: process.cpdist(
        rows["answer"].to_pylist(),
        rows["reference"].to_pylist(),
        scorer=Hamming.normalized_similarity,
        dtype=np.float64,
    ),
)
