"""Floor 11: what people look at: progress while a run goes on, the summary at its end."""
