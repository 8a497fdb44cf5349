"""Results of lm-evaluation-harness in; tasks for it, and the Hub's own evaluation results, out."""
