"""Tuning with strong augmentation: for pictures of many kinds and labels that survive much.

Each cached view is changed in one random way (Müller and Hutter, TrivialAugment, ICCV 2021), a part
of every second one is hidden (Zhong et al., Random Erasing, AAAI 2020), and it is mirrored where
that was measured to leave labels as they are; maps are mixed (Yun et al., CutMix, ICCV 2019).
Recordings are played faster or slower (Ko et al., Interspeech 2015), with noise behind them, and
stretches of time and of bands are left out (Park et al., SpecAugment, Interspeech 2019). Worth
trying where training fits its rows soon and validation stays behind.
"""

from headstart.recipes import Phase, register, tuning, writing

_SOUNDS = "speed+noise+masks"

register(
    "augmented",
    [
        tuning(
            "augmented",
            "image",
            79,
            3,
            (Phase(epochs=20, rate=3e-3, body=1 / 3),),
            views=8,
            augmentation="light+trivial+erase+mirror",
            perturbations=(("cutmix", 1.0),),
            quality="best",
            gain=0.15,
            doubt=0.25,
        ),
        *(
            tuning(
                "augmented",
                modality,
                79,
                2,
                (Phase(epochs=8, rate=5e-4, body=0.2),),
                **changed,
                quality="best",
                gain=0.15,
                doubt=0.25,
            )
            for modality, changed in (
                ("text", {"perturbations": (("word-dropout", 0.1), ("mixup", 0.2))}),
                ("audio", {"views": 4, "augmentation": _SOUNDS}),
            )
        ),
        writing(
            "augmented",
            "audio",
            79,
            2,
            (Phase(epochs=20, rate=1e-4, body=0.5),),
            views=3,
            augmentation=_SOUNDS,
            quality="best",
            gain=0.1,
        ),
    ],
)
