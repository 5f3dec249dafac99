"""Tuned, and then back towards the source as far as validation likes it.

Wortsman et al., Robust fine-tuning of zero-shot models (WiSE-FT), CVPR 2022. Worth trying where
rows to come may differ from those of today: it is often better on both.
"""

from headstart.recipes import Phase, register, tuning

register(
    "wise-ft",
    [
        tuning(
            "wise-ft",
            modality,
            77,
            stages,
            (Phase(epochs=epochs, rate=rate, body=body),),
            blend=True,
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
