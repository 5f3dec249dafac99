"""Decay towards the source in place of zero (Li et al., L2-SP, ICML 2018).

Worth trying where tuning is better than the probe on some seeds and worse on others.
"""

from headstart.recipes import Phase, register, tuning

register(
    "l2-sp",
    [
        tuning(
            "l2-sp",
            modality,
            76,
            stages,
            (Phase(epochs=epochs, rate=rate, body=body),),
            decay=1.0,
            towards="start",
            quality="best",
            gain=0.15,
            doubt=0.2,
        )
        for modality, stages, epochs, rate, body in (
            ("image", 3, 10, 3e-3, 1 / 3),
            ("text", 2, 6, 5e-4, 0.2),
        )
    ],
)
