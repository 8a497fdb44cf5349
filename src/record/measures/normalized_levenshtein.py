"""Edit distance (Levenshtein 1966, "Binary codes capable of correcting deletions, insertions and reversals")."""

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from . import Measure

MEASURE = Measure(
    about="the number of single-character edits from answer to reference, divided by the longer one's length",
    needs=("answer", "reference"),
    values=lambda rows, _: process.cpdist(
        rows["answer"].to_pylist(),
        rows["reference"].to_pylist(),
        scorer=Levenshtein.normalized_distance,
        dtype=np.float64,
    ),
)
