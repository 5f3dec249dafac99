"""Scale and shift of the normalisation layers alone, of the whole network.

Frankle, Schwab and Morcos, ICLR 2021; for transformers Zhao et al., ICLR 2024. Worth trying where
inputs differ from the source's in contrast, colour or style more than in what they show.
"""

from headstart.recipes import Phase, register, tuning

register(
    "norms",
    [
        tuning(
            "norms",
            modality,
            82,
            None,
            (Phase(epochs=8, rate=5e-3),),
            decay=0.0,
            adapter="norms",
            quality="best",
            gain=0.08,
            doubt=0.2,
        )
        for modality in ("image", "text")
    ],
)
