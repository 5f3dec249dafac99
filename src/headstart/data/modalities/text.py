"""Texts: from a table's cell or a file, tokenized with what the source brings."""

from __future__ import annotations

import functools
import html
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.data.dataset import Cell
from headstart.data.encodings import decode
from headstart.data.modalities import Preprocessing, View, modalities
from headstart.digest import digest_bytes
from headstart.errors import Unreadable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SUFFIXES = frozenset({".txt", ".text", ".md", ".rst"})
LONGEST = 10_000_000
"""Bytes beyond which a text file is refused."""
WINDOW = 40
"""Characters a token at most: what lies beyond `max_length * WINDOW` cannot reach the model."""


def load(cell: Cell) -> str:
    """Return the text of a cell or a file in Unicode's NFC, without surrounding white space.

    A file is read as UTF-8, as UTF-16 where its byte order mark says so, else as Windows-1252.

    Raises
    ------
    Unreadable
        If it is empty, missing, binary, or longer than `LONGEST` bytes.
    """
    if isinstance(cell, Path):
        try:
            if cell.stat().st_size > LONGEST:
                raise Unreadable(f"a text file of over {LONGEST // 1_000_000} MB; split it")
            content = cell.read_bytes()
        except OSError as error:
            raise Unreadable(error.strerror or "cannot be read") from None
        try:
            text, _ = decode(content)
        except ValueError:
            raise Unreadable("not a text file") from None
    elif isinstance(cell, bytes):
        raise Unreadable("bytes that are no text")
    else:
        assert isinstance(cell, str)
        text = cell.encode("utf-8", "replace").decode()  # half a surrogate pair becomes "?"
    text = unicodedata.normalize("NFC", text.strip())
    if not text:
        raise Unreadable("an empty text")
    return text


@functools.lru_cache(maxsize=4)
def _tokenizer(definition: str, max_length: int) -> Tokenizer:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(definition)
    tokenizer.enable_truncation(max_length)
    tokenizer.no_padding()
    return tokenizer


class TextModality:
    """Texts from cells or files."""

    name = "text"
    noun = "text"

    def recognises(self, cell: Cell) -> bool:
        """Say whether `cell` is a string, or the path of a text file."""
        if isinstance(cell, Path):
            return cell.suffix.lower() in SUFFIXES
        return isinstance(cell, str) and not modalities.get("image").recognises(cell)

    def check(self, cell: Cell) -> str:
        """Return the digest of the text."""
        return digest_bytes(load(cell).encode())

    def collate(
        self,
        cells: Sequence[Cell],
        digests: Sequence[str],
        preprocessing: Preprocessing,
        view: View,
    ) -> dict[str, np.ndarray]:
        """Return ``input_ids`` and ``attention_mask``, both (rows, longest) int64, padded right."""
        length = int(preprocessing.settings["max_length"])
        tokenizer = _tokenizer(preprocessing.files["tokenizer.json"], length)
        encoded = tokenizer.encode_batch([load(cell)[: length * WINDOW] for cell in cells])
        longest = max(len(row.ids) for row in encoded)
        ids = np.full((len(cells), longest), int(preprocessing.settings["pad"]), np.int64)
        mask = np.zeros((len(cells), longest), np.int64)
        for i, row in enumerate(encoded):
            ids[i, : len(row.ids)] = row.ids
            mask[i, : len(row.ids)] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def sizes(self, cells: Sequence[Cell]) -> list[int]:
        """Return the length of each text in characters (of a file: in bytes)."""
        return [c.stat().st_size if isinstance(c, Path) else len(c) for c in cells]

    def order(self, cells: Sequence[Cell]) -> list[int]:
        """Return the rows by length, longest first, so that a batch needs little padding."""
        sizes = self.sizes(cells)
        return sorted(range(len(cells)), key=lambda i: -sizes[i])

    def render(self, cell: Cell) -> str:
        """Return the beginning of the text, escaped."""
        text = load(cell)
        return html.escape(text[:200] + ("…" if len(text) > 200 else ""))


modalities.register("text", TextModality())
