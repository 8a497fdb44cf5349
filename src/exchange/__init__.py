"""Results of lm-evaluation-harness and of the Trainer in; the questions as a benchmark of the Hub out."""
