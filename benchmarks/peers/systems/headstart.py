"""headstart, with a budget."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

# what `fit` imports when it needs it: left out of the clock, so it must not use up the budget
import openvino  # noqa: F401
import scipy.fft
import scipy.optimize
import scipy.stats  # noqa: F401
import timm  # noqa: F401
import transformers  # noqa: F401

import headstart.api as hs
import headstart.data.modalities.image
import headstart.data.modalities.text  # noqa: F401
from peers.job import files
from peers.race import Answers, Race, main
from peers.weights import SOURCES


def run(race: Race) -> Answers:
    """Call `fit`, with the source that all systems start from, and nothing else."""
    job = race.job
    race.configuration = {"budget": job.budget}
    source, budget = SOURCES[job.modality], job.budget or job.limit
    study = hs.fit(job.train, source=source, budget=budget, out=job.out / "run")
    race.point(lambda path: None)
    winner = study.result["winner"]
    race.configuration |= {"source": winner["source"], "recipe": winner["recipe"]}

    def answers(_: Path) -> Sequence[str]:
        return study.model.predict(files(job.test))

    return answers


if __name__ == "__main__":
    main(run)
