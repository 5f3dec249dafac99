"""Layer-wise decay of the learning rate: the whole network, every stage slower than the next one.

Clark et al., ELECTRA, ICLR 2020, and Bao et al., BEiT, ICLR 2022. Worth trying with some thousand
labels and time for the whole network: early stages hardly move, late ones as in tuning them alone.
"""

from headstart.recipes import Phase, register, tuning

register(
    "fading",
    [
        tuning(
            "fading",
            modality,
            72,
            None,
            (Phase(epochs=epochs, rate=rate, body=0.3, fading=0.75),),
            quality="best",
            gain=0.15,
            doubt=0.25,
        )
        for modality, epochs, rate in (("image", 8, 3e-3), ("text", 5, 5e-4), ("audio", 5, 5e-4))
    ],
)
