"""Tune the whole network at a small learning rate, from the probe's head."""

from headstart.recipes import Phase, register, tuning, writing

register(
    "full",
    [
        tuning(
            "full",
            modality,
            50,
            None,
            (Phase(epochs=epochs, rate=rate, body=0.2),),
            patience=4,
            gain=0.15,
            doubt=0.3,
        )
        for modality, epochs, rate in (("image", 8, 2e-3), ("text", 5, 3e-4), ("audio", 5, 3e-4))
    ]
    + [writing("full", "audio", 50, None, (Phase(epochs=20, rate=1e-4, body=0.5),), gain=0.3)],
)
