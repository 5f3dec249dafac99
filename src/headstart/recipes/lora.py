"""Low-rank updates of all linear layers (Hu et al., LoRA, ICLR 2022), for texts and for ViT.

Worth trying with a large network: a hundredth of the weights trains, and needs memory. A network
without linear layers has none; the race then leaves it out.
"""

from headstart.recipes import Phase, register, tuning

register(
    "lora",
    [
        tuning(
            "lora",
            modality,
            84,
            None,
            (Phase(epochs=8, rate=2e-3),),
            decay=0.0,
            adapter="lora",
            quality="best",
            gain=0.1,
            doubt=0.2,
        )
        for modality in ("image", "text")
    ],
)
