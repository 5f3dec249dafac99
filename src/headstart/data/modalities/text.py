"""Texts: from a table's cell or a file, tokenized with what the source brings."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from zlib import crc32

import numpy as np

from headstart.data.dataset import Cell
from headstart.data.encodings import decode, spelt
from headstart.data.modalities import (
    Extent,
    Modality,
    Preprocessing,
    Trait,
    View,
    Window,
    at_length_one,
    is_medium,
    longest_first,
    modalities,
)
from headstart.data.tokenizing import MODES, Reading, reading
from headstart.digest import digest_bytes, digest_data
from headstart.errors import Unreadable

SUFFIXES = frozenset({".txt", ".text", ".md", ".rst"})
_SKETCH = 512
"""Entries of a sketch."""
LONGEST = 10_000_000
"""Bytes beyond which a text file is refused."""


def load(cell: Cell) -> str:
    """Return the text of a cell or a file in Unicode's NFC, without surrounding white space.

    A file is read as UTF-8, as UTF-16 where its byte order mark says so, else as Windows-1252. Of a
    tuple it is all texts, below one another.

    Raises
    ------
    Unreadable
        If it is empty, missing, binary, or longer than `LONGEST` bytes.
    """
    text = _decoded(cell)
    if not text:
        raise Unreadable("an empty text")
    return text


def fields(cell: Cell) -> tuple[str, ...]:
    """Return the texts of a tuple, each as `load` does, or the one text of any other cell.

    Some of several texts may be empty.

    Raises
    ------
    Unreadable
        If all of them are empty, or one is missing, binary, or longer than `LONGEST` bytes.
    """
    if not isinstance(cell, tuple):
        return (load(cell),)
    texts = tuple(map(_decoded, cell))
    if not any(texts):
        raise Unreadable("an empty text")
    return texts


def _decoded(cell: Cell) -> str:
    if isinstance(cell, tuple):
        text = "\n".join(map(_decoded, cell))
    elif isinstance(cell, str):
        text = spelt(cell)
    else:
        try:
            text, _ = decode(cell if isinstance(cell, bytes) else _content(cell))
        except ValueError:
            raise Unreadable("not a text file") from None
    return unicodedata.normalize("NFC", text.strip())


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > LONGEST:
            raise Unreadable(f"a text file of over {LONGEST // 1_000_000} MB; split it")
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(error.strerror or "cannot be read") from None


def _reading(preprocessing: Preprocessing) -> Reading:
    settings = preprocessing.settings
    definition = preprocessing.files["tokenizer.json"]
    return reading(definition, int(settings["max_length"]), settings.get("long", "truncate"))


class TextModality(Modality):
    """Texts from cells or files, and tuples of them."""

    name = "text"
    noun = "text"
    long = MODES

    def recognises(self, cell: Cell) -> bool:
        """Say whether `cell` is a string, the path of a text file, or a tuple of these alone."""
        if isinstance(cell, tuple):
            return bool(cell) and all(map(self.recognises, cell))
        if isinstance(cell, Path):
            return cell.suffix.lower() in SUFFIXES
        return isinstance(cell, str) and not is_medium(cell)

    def check(self, cell: Cell) -> str:
        """Return the digest of the text, or of all texts of a tuple in their order."""
        texts = fields(cell)
        return digest_bytes(texts[0].encode()) if len(texts) == 1 else digest_data(texts)

    def collate(
        self,
        cells: Sequence[Cell],
        digests: Sequence[str],
        preprocessing: Preprocessing,
        view: View,
    ) -> dict[str, np.ndarray]:
        """Return ``input_ids`` and ``attention_mask``, both (rows, longest) int64, padded right."""
        rows = list(chain.from_iterable(_reading(preprocessing).rows([fields(c) for c in cells])))
        longest = max(map(len, rows))
        ids = np.full((len(rows), longest), int(preprocessing.settings["pad"]), np.int64)
        mask = np.zeros((len(rows), longest), np.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def pieces(self, cells: Sequence[Cell], preprocessing: Preprocessing) -> list[int]:
        """Return how many windows of each text are read: more than one only in chunks."""
        if not preprocessing.divides:
            return [1] * len(cells)
        return [len(rows) for rows in _reading(preprocessing).rows([fields(c) for c in cells])]

    def extents(self, cells: Sequence[Cell], preprocessing: Preprocessing) -> list[Extent]:
        """Return how many tokens of each text are read."""
        return _reading(preprocessing).extents([fields(cell) for cell in cells])

    def window(self, preprocessing: Preprocessing) -> Window:
        """Return how many tokens are read at once."""
        return Window(int(preprocessing.settings["max_length"]), "tokens", self.noun)

    def sizes(self, cells: Sequence[Cell]) -> list[int]:
        """Return the length of each text in characters (of a file: in bytes)."""
        return [_size(cell) for cell in cells]

    def order(self, cells: Sequence[Cell]) -> list[int]:
        """Return the rows by length, longest first, so that a batch needs little padding."""
        return longest_first(self.sizes(cells))

    def sketch(self, cells: Sequence[Cell]) -> np.ndarray:
        """Return how often each word occurs, hashed into (rows, 512); order and case do not count.

        Counts are as their square roots, so that frequent words do not drown the others.
        """
        counts = np.zeros((len(cells), _SKETCH), np.float32)
        for row, cell in enumerate(cells):
            text = _all_of(cell).lower()
            for word in re.findall(r"\w\w+", text) or text.split():
                place = crc32(word.encode())
                counts[row, place % _SKETCH] += 1 if place & 2**31 else -1
        return at_length_one(np.sign(counts) * np.sqrt(np.abs(counts)))

    def traits(self, cells: Sequence[Cell]) -> list[Trait]:
        """Return length, how words begin and end each text, and how it is written."""
        texts = [_all_of(cell) for cell in cells]
        words = [_worded(text) for text in texts]
        return [
            Trait("length", tuple(float(len(text)) for text in texts), True),
            Trait("first word", tuple(w[0] if w else "" for w in words), True),
            Trait("first two words", tuple(" ".join(w[:2]) for w in words), True),
            Trait("last word", tuple(w[-1] if w else "" for w in words), True),
            Trait("share of capitals", tuple(_share(text, str.isupper) for text in texts), True),
            Trait("share of digits", tuple(_share(text, str.isdigit) for text in texts), True),
            Trait("lines", tuple(float(text.count("\n")) for text in texts), True),
        ]

    def render(self, cell: Cell) -> str:
        """Return the beginning of each text, escaped, one a line."""
        return "<br>".join(
            html.escape(text[:200] + ("…" if len(text) > 200 else "")) for text in fields(cell)
        )


def _all_of(cell: Cell) -> str:
    return "\n".join(fields(cell))


def _worded(text: str) -> list[str]:
    """Return the words of a text in lower case, every digit in them as ``#``."""
    return re.sub(r"\d", "#", text.lower()).split()


def _share(text: str, kind: Callable[[str], bool]) -> float:
    return sum(map(kind, text)) / max(1, len(text))


def _size(cell: Cell) -> int:
    if isinstance(cell, tuple):
        return sum(map(_size, cell))
    return cell.stat().st_size if isinstance(cell, Path) else len(cell)


modalities.register("text", TextModality())
