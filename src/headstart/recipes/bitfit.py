"""The biases alone, of the whole network (Ben Zaken et al., BitFit, ACL 2022).

Worth trying with few labels and a large network: little of the source is forgotten.
"""

from headstart.recipes import Phase, register, tuning

register(
    "bitfit",
    [
        tuning(
            "bitfit",
            modality,
            80,
            None,
            (Phase(epochs=8, rate=5e-3),),
            decay=0.0,
            adapter="biases",
            quality="best",
            gain=0.08,
            doubt=0.2,
        )
        for modality in ("image", "text")
    ],
)
