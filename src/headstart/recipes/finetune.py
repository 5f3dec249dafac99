"""Tune some last stages over the cached prefix: head first, and slower below than in the head.

Worth trying from some hundred labels on; of texts, from a few dozen.
"""

from headstart.recipes import FEW, Phase, register, tuning, writing

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
_TEXTS = [
    tuning(
        "finetune",
        "text",
        rank,
        stages,
        (Phase(epochs=20, rate=1e-3, body=0.1),),
        decay=0.01,
        **FEW,
        gain=gain,
    )
    for rank, stages, gain in ((30, 1, 0.05), (40, 2, 0.25), (45, 3, 0.35))
]
_SOUNDS = [
    tuning(
        "finetune",
        "audio",
        rank,
        stages,
        (Phase(epochs=6, rate=5e-4, body=0.2),),
        decay=0.01,
        patience=3,
        gain=gain,
    )
    for rank, stages, gain in ((30, 1, 0.05), (40, 2, 0.08), (45, 3, 0.1))
]
_WRITERS = [writing("finetune", "audio", 30, 2, (Phase(20, 1e-4, body=0.5),), gain=0.05)]

register("finetune", _PICTURES + _TEXTS + _SOUNDS + _WRITERS)
