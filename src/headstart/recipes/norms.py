"""Scale and shift of the normalisation layers alone, of the whole network.

Frankle, Schwab and Morcos, ICLR 2021; for transformers Zhao et al., ICLR 2024. Worth trying where
inputs differ from the source's in contrast, colour or style more than in what they show.
"""

from headstart.recipes import adapting, register

register("norms", adapting("norms", 82, 5e-3, "norms", gain=0.08))
