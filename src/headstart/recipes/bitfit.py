"""The biases alone, of the whole network (Ben Zaken et al., BitFit, ACL 2022).

Worth trying with few labels and a large network: little of the source is forgotten.
"""

from headstart.recipes import adapting, register

register("bitfit", adapting("bitfit", 80, 5e-3, "biases", gain=0.08))
