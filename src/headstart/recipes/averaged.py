"""A running average of the weights (Polyak and Juditsky, 1992; Izmailov et al., UAI 2018).

Worth trying where scores jump up and down from epoch to epoch.
"""

from headstart.recipes import register, usual

register("averaged", usual("averaged", 78, average=0.98))
