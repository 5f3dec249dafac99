"""Tune the whole network at a small learning rate, from the probe's head."""

from headstart.recipes import Phase, Recipe, register

register(
    "full",
    [
        Recipe(
            "full",
            modality,
            "source",
            "tune",
            rank=50,
            stages=None,
            phases=(Phase(epochs=epochs, rate=rate, body=0.2),),
            solved=True,
            scale=scale,
            views=views,
            augmentation=augmentation,
            smoothing=0.1 if modality == "image" else 0.0,
            batch=batch,
            patience=4,
        )
        for modality, epochs, rate, scale, views, augmentation, batch in (
            ("image", 8, 2e-3, 0.71, 4, "light", 32),
            ("text", 5, 3e-4, 1.0, 0, "none", 16),
        )
    ],
)
