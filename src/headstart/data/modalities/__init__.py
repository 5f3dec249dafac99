"""Modalities: what an input is. One file each; adding one touches nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from headstart.data.dataset import TOGETHER, Cell
from headstart.errors import DataError
from headstart.registry import Registry


@dataclass(frozen=True)
class Preprocessing:
    """How a source wants its inputs, as serialisable data.

    `settings` is plain JSON data that the modality understands (size, mean, length, …); `files`
    are texts that travel with the model, such as a tokenizer.
    """

    settings: Mapping[str, Any]
    files: Mapping[str, str]

    def resized(self, scale: float) -> Preprocessing:
        """Return the same preprocessing for inputs scaled by `scale` (pictures; multiple of 16).

        Inputs of a fixed size stay as they are.
        """
        if scale == 1.0 or "size" not in self.settings or self.settings.get("fixed"):
            return self
        size = max(32, round(self.settings["size"] * scale / 16) * 16)
        return Preprocessing({**self.settings, "size": size}, self.files)

    @property
    def divides(self) -> bool:
        """Say whether an input may become several rows of a batch (a long text, its chunks)."""
        return self.settings.get("long") == "chunks"


@dataclass(frozen=True)
class Window:
    """How much of an input a model reads at once: so many tokens of a text, say."""

    size: int
    unit: str
    of: str


@dataclass(frozen=True)
class Excerpt:
    """A part of an input, which is an input itself: from `begin` to `end`, in seconds."""

    cell: Cell
    begin: float
    end: float


@dataclass(frozen=True)
class Extent:
    """How much of an input reaches a model, in units of its own (of a text: tokens).

    `size` is all of it, `read` what lies in the model's window, and `unknown` what the model has no
    word piece for.
    """

    size: int
    read: int
    unknown: int


@dataclass(frozen=True)
class View:
    """One random view of every row: `index` 0 is the row as it is.

    The same seed, index, policy and row give the same view, on whichever machine and in whichever
    order rows are taken.
    """

    index: int = 0
    policy: str = "none"
    seed: int = 0

    def random(self, digest: str) -> np.random.Generator:
        """Return what is random of a row, by its digest."""
        return np.random.default_rng([self.seed, self.index, int(digest[:12], 16)])


@dataclass(frozen=True)
class Trait:
    """What rows are like apart from what they show or say: one number or name a row.

    `seen` says whether something of it reaches a model. It should not tell the label.
    """

    name: str
    values: tuple[float | str, ...]
    seen: bool


class Modality(Protocol):
    """What headstart must know of a kind of input; a modality derives from this."""

    name: str
    noun: str
    long: tuple[str, ...] = ()
    """How an input that is too long can be read, the usual way first; none where none is."""

    def recognises(self, cell: Cell) -> bool:
        """Say whether `cell` looks like this modality, cheaply and without decoding it."""

    def check(self, cell: Cell) -> str:
        """Return the content digest of `cell`; raise `Unreadable` with the reason if it is bad."""

    def collate(
        self,
        cells: Sequence[Cell],
        digests: Sequence[str],
        preprocessing: Preprocessing,
        view: View,
    ) -> dict[str, np.ndarray]:
        """Decode `cells` into one batch of named arrays whose first axis is the row.

        Each cell is one row, or as many in succession as `pieces` says.
        """

    def pieces(self, cells: Sequence[Cell], preprocessing: Preprocessing) -> list[int]:
        """Return how many rows each cell becomes: one, unless `preprocessing` divides inputs."""
        return [1] * len(cells)

    def at_once(self, cell: Cell, preprocessing: Preprocessing) -> int | None:
        """Return how many rows as large as `cell` fit into memory; None where any number do."""
        return None

    def extents(self, cells: Sequence[Cell], preprocessing: Preprocessing) -> list[Extent]:
        """Return how much of each cell is read; nothing where all of every input is."""
        return []

    def window(self, preprocessing: Preprocessing) -> Window | None:
        """Return how much of an input is read at once; None where it is all of it."""
        return None

    def excerpts(self, cell: Cell, preprocessing: Preprocessing) -> Iterator[Excerpt]:
        """Yield an input in parts, each of which is read at once; here it is its only part."""
        yield Excerpt(cell, 0.0, 0.0)

    def sizes(self, cells: Sequence[Cell]) -> list[int]:
        """Return the size of each cell as it is: pixels of the shorter side, or characters."""

    def order(self, cells: Sequence[Cell]) -> list[int]:
        """Return the order in which rows are best batched (texts: by length)."""

    def sketch(self, cells: Sequence[Cell]) -> np.ndarray:
        """Return (rows, d) float32 of length one: what each cell coarsely looks like or says.

        Cells that are nearly the same (saved again, resized, a word changed) lie close together. No
        columns where a modality has no such thing.
        """
        return np.zeros((len(cells), 0), np.float32)

    def traits(self, cells: Sequence[Cell]) -> list[Trait]:
        """Return what can be told of the cells without knowing what they show, cheaply."""
        return []

    def render(self, cell: Cell) -> str:
        """Return a small self-contained HTML fragment that shows `cell` in a report."""


def at_length_one(vectors: np.ndarray) -> np.ndarray:
    """Return rows (n, d) as float32 of length one; rows of zeros stay so."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


KEPT = 16
"""Frequencies of each direction that `low_frequencies` keeps."""


def low_frequencies(values: np.ndarray) -> np.ndarray:
    """Return the first coefficients of a map's cosine transform, without its mean (255,).

    They are as their square roots, so that the largest do not drown the others.
    """
    from scipy.fft import dctn

    found = dctn(values, norm="ortho")[:KEPT, :KEPT].ravel()[1:]
    return np.sign(found) * np.sqrt(np.abs(found))


def longest_first(sizes: Sequence[int]) -> list[int]:
    """Return the order of rows by size, so that a batch needs little padding."""
    return sorted(range(len(sizes)), key=lambda i: -sizes[i])


modalities: Registry[Modality] = Registry("modality", __name__)


def strange(path: Path) -> str:
    """Return why a file is set aside that no modality recognises."""
    if path.is_dir():
        return "a folder that may not be read"
    return f"no {_kinds()}, by its name" if _is_regular(path) else "no regular file"


def _is_regular(path: Path) -> bool:
    """Say whether `path` is no pipe, device or socket, which might be waited on for ever."""
    return path.is_file() or not path.exists()


def _kinds(ending: str = "") -> str:
    """Return what inputs can be, as words."""
    *first, last = [f"{m.noun}{ending}" for m in modalities if TOGETHER not in m.name]
    return f"{', '.join(first)} or {last}"


def recognised(cell: Cell) -> bool:
    """Say whether any modality recognises `cell`; a pipe is no file that can be read."""
    if isinstance(cell, Path) and not _is_regular(cell):
        return False
    return any(modality.recognises(cell) for modality in modalities)


def is_medium(cell: Cell) -> bool:
    """Say whether `cell` is, or is written like, a file of something other than text."""
    return any(
        modality.recognises(cell)
        for modality in modalities
        if modality.name != "text" and TOGETHER not in modality.name
    )


def sniff(cells: Sequence[Cell]) -> Modality | None:
    """Return the modality that recognises most of `cells` (over half), or None."""
    votes = {m.name: sum(map(m.recognises, cells)) for m in modalities}
    best = max(votes, key=lambda name: votes[name])
    return modalities.get(best) if 2 * votes[best] > len(cells) else None


def require(cells: Sequence[Cell], where: str) -> Modality:
    """Return the modality of `cells`, or raise `DataError` naming what can be read."""
    modality = sniff(cells)
    if modality is None:
        raise DataError(
            f"{where}: the inputs are no {_kinds('s')}. "
            f"Looked at {len(cells)} of them, the first being {str(cells[0])[:80]!r}."
            if cells
            else f"{where}: there are no inputs. Expected {_kinds('s')}."
        )
    return modality
