"""Texts as rows of numbers: the code points of their letters, padded with zeros on the right.

So what is to be written, and what was written, is the same for every source, whatever pieces of
words its own vocabulary has.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from torch import Tensor

PADDING = 0
_LARGEST = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)
_APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'"})


def letters_of(texts: Sequence[str]) -> np.ndarray:
    """Return texts as (texts, letters of the longest) int32; at least one column."""
    found = np.full((len(texts), max([1, *map(len, texts)])), PADDING, np.int32)
    for i, text in enumerate(texts):
        found[i, : len(text)] = [ord(letter) for letter in text]
    return found


def texts_of(letters: Tensor | np.ndarray) -> list[str]:
    """Return the texts that `letters_of` put down; what is no letter is left out."""
    return [
        "".join(chr(point) for point in map(int, row) if _is_letter(point))
        for row in np.asarray(letters)
    ]


def _is_letter(point: int) -> bool:
    return PADDING < point <= _LARGEST and point not in _SURROGATES


def normalised(text: str) -> str:
    """Return a text as error rates compare it: small letters and digits, words one space apart.

    Compatible characters are one (Unicode's NFKC), letters are case-folded, an apostrophe stays
    within a word, and all else that is no letter, mark or number is a space.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    folded = f" {folded.translate(_APOSTROPHES)} "
    kept = [
        letter
        if _is_said(letter) or (letter == "'" and _is_said(before) and _is_said(after))
        else " "
        for before, letter, after in zip(folded, folded[1:], folded[2:], strict=False)
    ]
    return " ".join("".join(kept).split())


def _is_said(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LMN"
