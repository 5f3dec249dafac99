"""Floor 7: one loop, the freeze plan, early stopping; and the learners that carry out recipes."""
