"""Whether the shortlist finds the sources that serve: sources, targets, and the truth of each."""
