"""What was run: configs, evaluation, answers, training log and dataset, loaded and validated, read-only."""
