"""Features shaped by contrast, then a head on them: for texts with few labels a class.

Tunstall et al., Efficient Few-Shot Learning Without Prompts (SetFit), 2022. Worth trying with 2 to
32 labels a class: pairs of rows are many even where rows are few.
"""

from headstart.recipes import Phase, register, tuning

register(
    "contrast",
    [
        tuning(
            "contrast",
            "text",
            25,
            3,
            (Phase(epochs=4, rate=3e-4),),
            objective="contrast",
            most_seen=1_600,
            fewest_epochs=2,
            patience=6,
            output="pooled",
            gain=0.4,
            doubt=0.35,
        )
    ],
)
