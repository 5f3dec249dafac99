"""Floor 8: intervals, paired comparisons, and the verdict on a transfer."""
