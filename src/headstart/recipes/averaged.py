"""A running average of the weights (Polyak and Juditsky, 1992; Izmailov et al., UAI 2018).

Worth trying where scores jump up and down from epoch to epoch.
"""

from headstart.recipes import Phase, register, tuning

register(
    "averaged",
    [
        tuning(
            "averaged",
            modality,
            78,
            stages,
            (Phase(epochs=epochs, rate=rate, body=body),),
            average=0.98,
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
