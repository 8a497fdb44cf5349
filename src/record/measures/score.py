"""Log-likelihood of the answer."""

import numpy as np

from . import Measure

MEASURE = Measure(
    about="the log-likelihood of the answer in nats",
    needs=("score",),
    values=lambda rows, _: rows.column("score").astype(np.float64),
)
