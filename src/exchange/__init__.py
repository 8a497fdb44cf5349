"""Other tools' results in, ours out: lm-evaluation-harness, Every Eval Ever, the Hub's own evaluation results."""
