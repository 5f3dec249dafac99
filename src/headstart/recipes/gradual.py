"""Gradual unfreezing: the last stage first, then one stage more at a time.

Howard and Ruder, Universal Language Model Fine-tuning for Text Classification, ACL 2018. Worth
trying where tuning several stages at once forgets what the source knows.
"""

from headstart.recipes import Phase, register, tuning

_THAWED = ((1, 3), (2, 3), (3, 6))
"""How many last stages train for how many epochs."""

register(
    "gradual",
    [
        tuning(
            "gradual",
            modality,
            70,
            3,
            tuple(Phase(epochs, rate, body=0.3, fading=1 / 2.6, last=n) for n, epochs in _THAWED),
            patience=6,
            quality="best",
            gain=0.12,
            doubt=0.2,
        )
        for modality, rate in (("image", 3e-3), ("text", 5e-4), ("audio", 5e-4))
    ],
)
