"""Surgical tuning: only the first or the middle third of the stages, the others as they are.

Lee et al., Surgical Fine-Tuning Improves Adaptation to Distribution Shifts, ICLR 2023. Worth trying
where inputs look other than the source's own (noise, another camera, another style) while what they
show is alike: then it is the early stages that have to learn. The last ones are `finetune`.
"""

from headstart.recipes import Phase, register, tuning

register(
    "surgical",
    [
        tuning(
            "surgical",
            modality,
            place,
            stages,
            (Phase(epochs=8, rate=rate, body=0.2, sparing=sparing),),
            quality="best",
            gain=0.05,
            doubt=0.2,
        )
        for modality, rate in (("image", 2e-3), ("text", 5e-4), ("audio", 5e-4))
        for place, stages, sparing in ((74, 2 / 3, 0.5), (75, None, 2 / 3))
    ],
)
