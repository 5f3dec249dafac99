"""No head start: right-sized small models, and the same architecture from random weights."""

from headstart.recipes import Phase, Recipe, register

register(
    "small-cnn",
    [
        Recipe(
            "small-cnn",
            modality,
            "small",
            "small-cnn",
            rank=rank,
            phases=(Phase(epochs=40, rate=rate_of_head),),
            scale=scale,
            augmentation="shift",
            batch=32,
            decay=0.05,
            smoothing=0.05,
            norm="adapting",
            patience=10,
            most_seen=24_000,
            shortest=12,
            output="pooled",
            quality="fast",
        )
        for modality, rank, rate_of_head, scale in (
            ("image", 20, 3e-3, 0.5),  # as good on some hundred rows, and four times sooner
            ("image", 35, 1e-3, 1.0),
            ("audio", 22, 3e-3, 1.0),
        )
    ],
)
register(
    "bands-linear",
    [Recipe("bands-linear", "audio", "small", "bands", rank=20, output="pooled", quality="fast")],
)
register(
    "tfidf-linear",
    [Recipe("tfidf-linear", "text", "small", "words", rank=20, output="pooled", quality="fast")],
)
register(
    "small-fused",
    [
        Recipe(
            "small-fused", "image+text", "small", "fused", rank=18, output="pooled", quality="fast"
        )
    ],
)
register(
    "small-recogniser",
    [
        Recipe(
            "small-recogniser",
            "audio",
            "small",
            "tune",
            rank=20,
            stages=None,
            phases=(Phase(epochs=60, rate=2e-3),),
            network="recogniser",
            batch=16,
            norm="adapting",
            patience=8,
            most_seen=20_000,
            fewest_epochs=12,
            shortest=12,
            output="text",
            quality="fast",
        )
    ],
)
register(
    "scratch-same-architecture",
    [
        Recipe(
            "scratch-same-architecture",
            modality,
            "random",
            "tune",
            rank=60,
            stages=None,
            phases=(Phase(epochs=60, rate=rate),),
            scale=scale,
            batch=32,
            decay=0.05,
            norm="adapting",
            patience=10,
        )
        for modality, rate, scale in (
            ("image", 2e-3, 0.5),
            ("text", 5e-4, 1.0),
            ("audio", 5e-4, 1.0),
        )
    ]
    + [
        Recipe(
            "scratch-same-architecture",
            "audio",
            "random",
            "tune",
            rank=65,
            stages=None,
            phases=(Phase(epochs=60, rate=3e-4),),
            batch=16,
            norm="adapting",
            patience=8,
            output="text",
        )
    ],
)
