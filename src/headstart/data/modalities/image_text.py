"""A picture and a text together: each is made ready as it would be alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headstart.data.dataset import TOGETHER, Cell, digest_of_part
from headstart.data.modalities import (
    Extent,
    Modality,
    Preprocessing,
    Trait,
    View,
    Window,
    at_length_one,
    modalities,
)

_PARTS = ("image", "text")


def _own(preprocessing: Preprocessing, name: str) -> Preprocessing:
    """Return how one of the parts is made ready."""
    return Preprocessing(preprocessing.settings[name], preprocessing.files)


class ImageTextModality(Modality):
    """Cells that are a tuple of a picture and a text."""

    name = TOGETHER.join(_PARTS)
    noun = "picture with text"
    long = ("truncate", "head-tail")

    def recognises(self, cell: Cell) -> bool:
        """Say whether `cell` is a pair of what the two modalities recognise."""
        return (
            isinstance(cell, tuple)
            and len(cell) == len(_PARTS)
            and all(modalities.get(n).recognises(c) for n, c in zip(_PARTS, cell, strict=True))
        )

    def check(self, cell: Cell) -> str:
        """Return the digests of both parts; raise `Unreadable` if one of them is bad."""
        assert isinstance(cell, tuple)
        digests = [modalities.get(n).check(c) for n, c in zip(_PARTS, cell, strict=True)]
        return TOGETHER.join(digests)

    def collate(
        self,
        cells: Sequence[Cell],
        digests: Sequence[str],
        preprocessing: Preprocessing,
        view: View,
    ) -> dict[str, np.ndarray]:
        """Return the arrays of both parts; `settings` holds those of each under its name."""
        batch: dict[str, np.ndarray] = {}
        for number, name in enumerate(_PARTS):
            batch |= modalities.get(name).collate(
                part(cells, number),
                [digest_of_part(digest, number) for digest in digests],
                _own(preprocessing, name),
                view,
            )
        return batch

    def extents(self, cells: Sequence[Cell], preprocessing: Preprocessing) -> list[Extent]:
        """Return how much of each text is read."""
        return modalities.get("text").extents(part(cells, 1), _own(preprocessing, "text"))

    def window(self, preprocessing: Preprocessing) -> Window | None:
        """Return how much of the text is read at once."""
        return modalities.get("text").window(_own(preprocessing, "text"))

    def sizes(self, cells: Sequence[Cell]) -> list[int]:
        """Return the length of each text."""
        return modalities.get("text").sizes(part(cells, 1))

    def order(self, cells: Sequence[Cell]) -> list[int]:
        """Return the rows by the length of their texts."""
        return modalities.get("text").order(part(cells, 1))

    def sketch(self, cells: Sequence[Cell]) -> np.ndarray:
        """Return the sketches of both parts beside each other; both have to be alike."""
        found = [modalities.get(name).sketch(part(cells, i)) for i, name in enumerate(_PARTS)]
        return at_length_one(np.concatenate(found, 1))

    def traits(self, cells: Sequence[Cell]) -> list[Trait]:
        """Return the traits of both parts."""
        return [
            replace(trait, name=f"{trait.name} of the {name}")
            for i, name in enumerate(_PARTS)
            for trait in modalities.get(name).traits(part(cells, i))
        ]

    def render(self, cell: Cell) -> str:
        """Return the picture above the beginning of the text."""
        assert isinstance(cell, tuple)
        shown = [modalities.get(n).render(c) for n, c in zip(_PARTS, cell, strict=True)]
        return "<br>".join(shown)


def part(cells: Sequence[Cell], number: int) -> list[Cell]:
    """Return one item of each cell."""
    return [cell[number] for cell in cells if isinstance(cell, tuple)]


modalities.register("image+text", ImageTextModality())
