"""The task's small model, taught by another: it learns to give that one's outputs.

Outputs are matched by their squared distance (Ba and Caruana, Do Deep Nets Really Need to be Deep?,
NeurIPS 2014; the limit of Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network,
2015, at high temperatures). Worth trying where answers have to come fast or the model has to be
small, best on many rows, which need no labels. It takes part in no race.
"""

from headstart.recipes import Phase, Recipe, register

register(
    "distil",
    [
        *(
            Recipe(
                "distil",
                modality,
                "teacher",
                "small-cnn",
                rank=0,
                phases=(Phase(epochs=60, rate=3e-3),),
                augmentation="shift",
                norm="adapting",
                patience=10,
                most_seen=120_000,
                fewest_epochs=12,
                output="pooled",
            )
            for modality in ("image", "audio")
        ),
        Recipe("distil", "text", "teacher", "words", rank=0, output="pooled"),
        Recipe("distil", "image+text", "teacher", "fused", rank=0, output="pooled"),
    ],
)
