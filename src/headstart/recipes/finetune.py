"""Tune some last stages over the cached prefix: head first, and slower below than in the head.

The head starts from its optimum on the frozen features, so that a random head does not tear up
what the source knows (Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform
Out-of-Distribution, ICLR 2022). Worth trying from some hundred labels on.
"""

from headstart.recipes import Phase, Recipe, register

_PICTURES = [
    Recipe(
        "finetune",
        "image",
        "source",
        "tune",
        rank=rank,
        stages=stages,
        phases=(Phase(epochs=epochs, rate=3e-3, body=1 / 3),),
        solved=True,
        scale=0.71,
        views=views,
        augmentation="light",
        smoothing=0.1,
        patience=6,
    )
    for rank, stages, epochs, views in ((30, 2, 12, 4), (40, 3, 10, 4), (45, 4, 10, 4))
]
_TEXTS = [
    Recipe(
        "finetune",
        "text",
        "source",
        "tune",
        rank=rank,
        stages=stages,
        phases=(Phase(epochs=6, rate=5e-4, body=0.2),),
        solved=True,
        batch=16,
        decay=0.01,
        patience=3,
    )
    for rank, stages in ((30, 1), (40, 2), (45, 3))
]

register("finetune", _PICTURES + _TEXTS)
