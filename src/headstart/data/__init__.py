"""Floor 1: reading the target, what an input is, fingerprints, splits."""
