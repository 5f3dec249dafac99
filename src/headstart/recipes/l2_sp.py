"""Decay towards the source in place of zero (Li et al., L2-SP, ICML 2018).

Worth trying where tuning is better than the probe on some seeds and worse on others.
"""

from headstart.recipes import register, usual

register("l2-sp", usual("l2-sp", 76, decay=1.0, towards="start"))
