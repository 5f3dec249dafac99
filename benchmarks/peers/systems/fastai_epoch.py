"""fastai: epochs with all but the last stages frozen, timed."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from fastai.callback.core import Callback
from fastai.vision.all import set_seed, vision_learner

from peers.systems.fastai import loaded


class Timed(Callback):
    """Notes when epochs begin and end."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def before_epoch(self) -> None:
        """Note the beginning."""
        self.began = time.perf_counter()

    def after_epoch(self) -> None:
        """Note the seconds."""
        self.seconds.append(time.perf_counter() - self.began)


def main() -> None:
    """Train as the first argument asks, and write the seconds of each epoch."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    set_seed(0)
    loaders = loaded(Path(asked["train"]), asked["batch"])
    learner = vision_learner(loaders, f"local-dir:{asked['weights']}")
    learner.freeze()  # the head trains, and of the body what is named below
    trained = []
    for name, parameter in learner.model[0].named_parameters():
        if any(f".{stage}." in f".{name}" for stage in asked["stages"]):
            parameter.requires_grad_(True)
            trained.append(name)
    timed = Timed()
    with learner.no_bar(), learner.no_logging():
        learner.fit(asked["epochs"], 1e-3, cbs=timed)
    content = {"epochs": timed.seconds, "trained": len(trained), "first": trained[:1]}
    Path(asked["out"]).write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    main()
