"""Tune the whole network at a small learning rate, from near the probe's head."""

from headstart.recipes import BY_ROWS, Phase, register, tuning, writing

register(
    "full",
    [
        tuning(
            "full",
            modality,
            50,
            None,
            (phase,),
            **{"patience": 4, **more},
            gain=0.15,
            doubt=0.3,
        )
        for modality, phase, more in (
            ("image", Phase(epochs=8, rate=2e-3, body=0.2), {}),
            ("text", Phase(epochs=12, rate=1e-3, body=0.06), BY_ROWS),
            ("audio", Phase(epochs=5, rate=3e-4, body=0.2), {}),
        )
    ]
    + [writing("full", "audio", 50, None, (Phase(epochs=20, rate=1e-4, body=0.5),), gain=0.3)],
)
