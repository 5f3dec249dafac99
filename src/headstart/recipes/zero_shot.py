"""The source as it is, where it can answer without having seen a row of the target.

What others are compared with: tuning has to be better than this, too.
"""

from headstart.recipes import Recipe, register

register(
    "zero-shot",
    [
        Recipe(
            "zero-shot",
            "audio",
            "source",
            "zero-shot",
            rank=5,
            output="text",
            quality="fast",
        )
    ],
)
