"""What was run: configs, evaluation, predictions, training log and dataset, loaded and validated, read-only."""
