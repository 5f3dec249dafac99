"""What a system is asked to do, and the files it is given."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One run of one system, handed over as a JSON file.

    Attributes
    ----------
    modality
        ``image`` or ``text``.
    train, test
        Folders with a sub-folder of files for each class.
    weights
        Folder of the pre-trained network, as its library wants it.
    out
        Folder for whatever the run writes.
    epochs
        Passes over the training rows, for systems that do not choose them.
    limit
        Seconds on the clock after which the run stops.
    budget
        Seconds given to a system that keeps a budget; None for all others.
    launched
        Value of ``time.time()`` when the process was started.
    """

    modality: str
    train: Path
    test: Path
    weights: Path
    out: Path
    epochs: int
    limit: float
    budget: float | None
    launched: float

    def write(self, path: Path) -> None:
        """Write the job as JSON."""
        path.write_text(json.dumps(asdict(self), default=str), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Job:
        """Return the job in a JSON file."""
        content = json.loads(path.read_text(encoding="utf-8"))
        folders = {name: Path(content[name]) for name in ("train", "test", "weights", "out")}
        return cls(**{**content, **folders})

    @property
    def classes(self) -> list[str]:
        """Return the names of the classes, sorted."""
        return sorted(folder.name for folder in self.train.iterdir())


def files(folder: Path) -> list[Path]:
    """Return the files in the classes' folders, sorted: the order of all rows everywhere."""
    return sorted(folder.glob("*/*"))


def labels(folder: Path) -> list[str]:
    """Return the class of each of `files`."""
    return [file.parent.name for file in files(folder)]


def texts(folder: Path) -> list[str]:
    """Return the content of each of `files`."""
    return [file.read_text(encoding="utf-8", errors="replace").strip() for file in files(folder)]
