"""Tune some last stages over the cached prefix: head first, and slower below than in the head.

Worth trying from some hundred labels on; of texts, from a few dozen.
"""

from headstart.recipes import BY_ROWS, Phase, register, tuning, writing

_PICTURES = [
    tuning(
        "finetune",
        "image",
        rank,
        stages,
        (Phase(epochs=epochs, rate=3e-3, body=1 / 3),),
        patience=6,
        gain=gain,
    )
    for rank, stages, epochs, gain in ((30, 2, 12, 0.12), (40, 3, 10, 0.15), (45, 4, 10, 0.16))
]
_SEQUENCES = [
    tuning("finetune", modality, rank, stages, (phase,), decay=0.01, **bounds, gain=gain)
    for modality, phase, bounds, gains in (
        ("text", Phase(epochs=20, rate=1e-3, body=0.1), BY_ROWS, (0.05, 0.25, 0.35)),
        ("audio", Phase(epochs=6, rate=5e-4, body=0.2), {"patience": 3}, (0.05, 0.08, 0.1)),
    )
    for rank, stages, gain in zip((30, 40, 45), (1, 2, 3), gains, strict=True)
]
_WRITERS = [writing("finetune", "audio", 30, 2, (Phase(20, 1e-4, body=0.5),), gain=0.05)]

register("finetune", _PICTURES + _SEQUENCES + _WRITERS)
