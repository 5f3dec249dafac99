"""Tuned, and then back towards the source as far as validation likes it.

Wortsman et al., Robust fine-tuning of zero-shot models (WiSE-FT), CVPR 2022. Worth trying where
rows to come may differ from those of today: it is often better on both.
"""

from headstart.recipes import Phase, register, usual, writing

_WRITER = writing(
    "wise-ft", "audio", 77, None, (Phase(20, 1e-4, body=0.5),), blend=True, quality="best"
)

register("wise-ft", [*usual("wise-ft", 77, blend=True), _WRITER])
