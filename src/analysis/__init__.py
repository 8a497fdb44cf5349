"""What the record means: changes, intervals, tests, baselines, breakdowns. Nothing here draws or writes."""
