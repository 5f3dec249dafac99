"""A linear head that reads the middle stages beside the last: still nothing is tuned.

What a source learnt last answers its own question; for a target far from it the middle stages
often know more (Evci et al., Head2Toe: Utilizing Intermediate Representations for Better Transfer
Learning, ICML 2022). Costs one pass, the same that the probe needs.
"""

from headstart.recipes import Recipe, register

register(
    "layers",
    [
        Recipe(
            "layers",
            "any",
            "source",
            "probe",
            rank=15,
            solved=True,
            head="layers",
            output="pooled",
            quality="fast",
            gain=0.1,
        )
    ],
)
