"""Floor 9: what the user keeps: saving, loading, predicting."""
