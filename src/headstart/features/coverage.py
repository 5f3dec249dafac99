"""Coverage: how much of the rows a source reads, and knows, before anything is computed of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from headstart.data.dataset import Dataset
from headstart.data.modalities import Preprocessing, modalities

SAMPLE = 256
"""Rows, at even distances, that are looked at."""
MUCH = 0.05
"""Share of unknown word pieces from which on they are spoken of."""


_MORE = {
    "chunks": "--long chunks reads more",
    "head-tail": "--long head-tail reads the end, too",
}


@dataclass(frozen=True)
class Coverage:
    """What a source makes of the rows.

    Attributes
    ----------
    long
        How what is longer than the window is read.
    window
        How much is read at once, of `unit`.
    rows
        How many rows were looked at.
    longer
        Share of them of which not all is read.
    cut
        Share of all tokens, or seconds, that is not read.
    unknown
        Share of all tokens that the source has no word piece for.
    of
        What is read: a text, a recording.
    """

    long: str
    window: int
    rows: int
    longer: float
    cut: float
    unknown: float
    unit: str = "tokens"
    of: str = "text"

    def data(self) -> dict[str, Any]:
        """Return the coverage as JSON data."""
        return asdict(self)

    def notes(self, source: str) -> list[str]:
        """Return a sentence for each thing that the user should know."""
        notes = []
        if self.longer:
            some = f"{self.window} {self.unit} of a {self.of}"
            reads = {
                "truncate": f"the first {some}",
                "head-tail": f"{some}, of its beginning and its end",
                "chunks": f"{some} at a time, a few times",
            }[self.long]
            modes = next(m.long for m in modalities if m.noun == self.of)
            others = modes[modes.index(self.long) + 1 :]
            more = [said for mode, said in _MORE.items() if mode in others]
            hint = f" ({', '.join(more)})" if more else ""
            notes.append(
                f"{source} reads {reads}: {_percent(self.longer)} of the rows are longer, "
                f"{_percent(self.cut)} of all {self.unit} are not read{hint}"
            )
        if self.unknown >= MUCH:
            notes.append(
                f"{source} does not know {_percent(self.unknown)} of the word pieces in these "
                "texts, or spells them letter by letter: an alphabet or a language that it was "
                "not trained on?"
            )
        return notes


def coverage(dataset: Dataset, preprocessing: Preprocessing) -> Coverage | None:
    """Return how much of `dataset` is read, from a sample of rows; None where all of it always is.

    In long texts the tokens are counted at the beginning and estimated for the rest.
    """
    size = min(SAMPLE, len(dataset))
    some = [dataset.inputs[i * len(dataset) // size] for i in range(size)]
    modality = modalities.get(dataset.modality)
    extents, window = modality.extents(some, preprocessing), modality.window(preprocessing)
    if not extents or window is None:
        return None
    total = max(1, sum(extent.size for extent in extents))
    settings = preprocessing.settings.get("text", preprocessing.settings)  # beside a picture
    return Coverage(
        long=settings.get("long", "truncate"),
        window=window.size,
        rows=len(extents),
        longer=round(sum(e.read < e.size for e in extents) / len(extents), 4),
        cut=round(sum(e.size - e.read for e in extents) / total, 4),
        unknown=round(sum(e.unknown for e in extents) / total, 4),
        unit=window.unit,
        of=window.of,
    )


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "under 1%"
