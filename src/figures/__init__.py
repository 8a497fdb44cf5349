"""Charts: one function a chart, data in, matplotlib Figure out; style, saving and caching in one place."""
