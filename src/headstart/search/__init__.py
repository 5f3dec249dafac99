"""Floor 10: the race under a budget, its ledger, and the run from data to verdict."""
