"""Benchmarks: ratios, each side by side in one run with the least that could be done."""
