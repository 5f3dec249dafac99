"""Made-up worlds, in which it is known whether a head start helps."""
