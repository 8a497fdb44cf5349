"""Which fragments, in which order, make which document."""
