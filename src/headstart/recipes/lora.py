"""Low-rank updates of all linear layers (Hu et al., LoRA, ICLR 2022), for texts and for ViT.

Worth trying with a large network: a hundredth of the weights trains, and needs memory. A network
without linear layers has none; the race then leaves it out.
"""

from headstart.recipes import Phase, adapting, register, writing

_WRITER = writing("lora", "audio", 60, None, (Phase(20, 1e-3),), decay=0.0, adapter="lora")

register("lora", [*adapting("lora", 84, 2e-3, "lora", gain=0.1), _WRITER])
