"""Tests. As many of them run at once as there are cores, so that none of them needs threads of its own for its sums."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy or torch is imported
