"""Tune some last stages over the cached prefix: head first, and slower below than in the head.

Worth trying from some hundred labels on.
"""

from headstart.recipes import Phase, register, tuning

_PICTURES = [
    tuning(
        "finetune",
        "image",
        rank,
        stages,
        (Phase(epochs=epochs, rate=3e-3, body=1 / 3),),
        patience=6,
    )
    for rank, stages, epochs in ((30, 2, 12), (40, 3, 10), (45, 4, 10))
]
_TEXTS = [
    tuning(
        "finetune",
        "text",
        rank,
        stages,
        (Phase(epochs=6, rate=5e-4, body=0.2),),
        decay=0.01,
        patience=3,
    )
    for rank, stages in ((30, 1), (40, 2), (45, 3))
]

register("finetune", _PICTURES + _TEXTS)
