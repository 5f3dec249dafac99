"""Texts to token numbers: a source's own separators, its window, and what of a text lies in it."""

from __future__ import annotations

import functools
import json
import math
import unicodedata
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from headstart.data.modalities import Extent

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

MODES = ("truncate", "head-tail", "chunks")
"""How a text that is longer than the window is read: its beginning; its beginning and its end (Sun
et al., How to Fine-Tune BERT for Text Classification?, CCL 2019); windows all over it."""
CHARACTERS = 40
"""Characters a token at most: of a text only so many for each token of a window are tokenized."""
CHUNKS = 8
"""Windows of a text at most; of a longer one they are chosen at even distances."""
OVERLAP = 8
"""Neighbouring windows share one part in so many, unless there are more than `CHUNKS` of them."""
LOOKED = 10_000
"""Characters from which the number of tokens in a longer text is estimated."""

Tokens = list[int]


class Reading:
    """How one source reads texts.

    Parameters
    ----------
    definition
        Content of its ``tokenizer.json``.
    length
        Tokens of its window, special ones included.
    mode
        One of `MODES`.
    """

    def __init__(self, definition: str, length: int, mode: str = "truncate") -> None:
        from tokenizers import Tokenizer

        self.length = length
        self.mode = mode
        self._tokenizer = Tokenizer.from_str(definition)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._unknown = _unknown_token(definition, self._tokenizer)
        word = self._some_word()
        self._single = self._special(word)
        self._several = self._special(word, word)

    def rows(self, cells: Sequence[tuple[str, ...]]) -> list[list[Tokens]]:
        """Return the rows of token numbers that each cell becomes, none longer than the window.

        A cell of several texts has the source's separators around each; where it is too long, the
        longest text is cut first. In the mode ``chunks`` a cell becomes several rows of one length,
        so that the mean over its rows is the mean weighted by tokens.
        """
        parts = [[self._parts(text) for text in cell] for cell in cells]
        encoded = iter(self._encoded(list(chain.from_iterable(chain.from_iterable(parts)))))
        rows = []
        for cell in parts:
            texts = [_joined([next(encoded).ids for _ in text], self.length) for text in cell]
            rows.append(self._assembled(texts))
        return rows

    def extents(self, cells: Sequence[tuple[str, ...]]) -> list[Extent]:
        """Return how many tokens each cell has, how many are read, and how many are unknown.

        Of texts longer than `LOOKED` characters the rest is taken to be like their beginning.
        """
        encoded = iter(self._encoded([text[:LOOKED] for cell in cells for text in cell]))
        found = []
        for cell in cells:
            sizes, unknown = [], 0.0
            for text in cell:
                encoding, scale = next(encoded), max(1.0, len(text) / LOOKED)
                sizes.append(round(scale * len(encoding.ids)))
                unknown += scale * _unknown(encoding, text, self._unknown)
            shares = self._shares(sizes)
            windows = self._windows(sizes, shares)
            read = sum(min(s, windows * n) for s, n in zip(sizes, shares, strict=True))
            found.append(Extent(sum(sizes), read, round(unknown)))
        return found

    def _encoded(self, texts: list[str]) -> list[Encoding]:
        found: list[Encoding] = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        return found

    def _some_word(self) -> str:
        """Return a word that becomes at least one token."""
        for word in chain(("a", "A", "1"), self._tokenizer.get_vocab()):
            if self._encoded([word])[0].ids:
                return word
        return ""

    def _special(self, text: str, pair: str | None = None) -> tuple[Tokens, Tokens, Tokens]:
        """Return the special tokens before, between and after two texts, or around one.

        They are read off what the tokenizer makes of them; a newline stands for none between.
        """
        encoding = self._tokenizer.encode(text, pair)
        where = encoding.sequence_ids
        own = [i for i, text in enumerate(where) if text is not None]
        if not own:
            return [], [], encoding.ids
        between = [i for i in range(own[0], own[-1]) if where[i] is None]
        newline = [] if pair is None else self._encoded(["\n"])[0].ids
        return (
            encoding.ids[: own[0]],
            [encoding.ids[i] for i in between] or newline,
            encoding.ids[own[-1] + 1 :],
        )

    def _parts(self, text: str) -> list[str]:
        """Return the stretches of a text that can reach the window."""
        reach = self.length * CHARACTERS
        count = {"truncate": 1, "head-tail": 2, "chunks": CHUNKS}[self.mode]
        if count == 1 or len(text) <= count * reach:
            return [text[: count * reach]]
        return [text[start : start + reach] for start in _starts(len(text), reach, count)]

    def _assembled(self, texts: list[Tokens]) -> list[Tokens]:
        """Put special tokens around texts that are cut to the window."""
        before, between, after = self._special_around(len(texts))
        sizes = [len(text) for text in texts]
        shares = self._shares(sizes)
        rows = []
        windows = self._windows(sizes, shares)
        for window in range(windows):
            row = list(before)
            for i, (text, share) in enumerate(zip(texts, shares, strict=True)):
                row += (between if i else []) + self._cut(text, share, window, windows)
            rows.append((row + after)[: self.length])
        return rows

    def _special_around(self, texts: int) -> tuple[Tokens, Tokens, Tokens]:
        return self._single if texts == 1 else self._several

    def _shares(self, sizes: list[int]) -> list[int]:
        """Return how many tokens of each text lie in one window."""
        before, between, after = self._special_around(len(sizes))
        special = len(before) + len(between) * (len(sizes) - 1) + len(after)
        return longest_first(sizes, max(0, self.length - special))

    def _windows(self, sizes: list[int], shares: list[int]) -> int:
        """Return how many windows are read."""
        if self.mode != "chunks":
            return 1
        return max(_needed(size, share) for size, share in zip(sizes, shares, strict=True))

    def _cut(self, text: Tokens, share: int, window: int, windows: int) -> Tokens:
        if self.mode == "head-tail" and len(text) > share:
            return text[: share - share // 2] + text[len(text) - share // 2 :]
        start = _starts(len(text), share, windows)[window]
        return text[start : start + share]


@functools.lru_cache(maxsize=4)
def reading(definition: str, length: int, mode: str = "truncate") -> Reading:
    """Return how a source reads texts; what was built last is kept."""
    return Reading(definition, length, mode)


def longest_first(sizes: Sequence[int], room: int) -> list[int]:
    """Return what is left of each size once the longest is cut, token by token, to fit `room`.

    What cannot be dealt evenly goes to the longest, as in the ``longest_first`` of tokenizers.
    """
    if sum(sizes) <= room:
        return list(sizes)
    level, fitting = 0, 0
    for longer, size in zip(range(len(sizes), 0, -1), sorted(sizes), strict=True):
        level = (room - fitting) // longer
        if size > level:
            break
        fitting += size
    left = [min(size, level) for size in sizes]
    longest = sorted(range(len(sizes)), key=lambda i: (sizes[i], i), reverse=True)
    for i in longest[: room - sum(left)]:
        left[i] += 1
    return left


def _starts(size: int, window: int, count: int) -> list[int]:
    """Return where `count` windows begin, at even distances from the beginning to the end."""
    last = max(0, size - window)
    return [round(i * last / max(1, count - 1)) for i in range(count)]


def _needed(size: int, window: int) -> int:
    if size <= window or not window:
        return 1
    step = window - window // OVERLAP
    return min(CHUNKS, 1 + math.ceil((size - window) / step))


def _joined(parts: list[Tokens], length: int) -> Tokens:
    """Return the tokens of all parts; each gives a window's worth, the last one its end."""
    if len(parts) == 1:
        return parts[0]
    *first, last = parts
    return [*chain.from_iterable(part[:length] for part in first), *last[-length:]]


def _unknown_token(definition: str, tokenizer: Tokenizer) -> int | None:
    """Return the number of the token for what is unknown, if the tokenizer has one."""
    model = json.loads(definition)["model"]
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    token = model.get("unk_token")
    return None if token is None else tokenizer.token_to_id(token)


def _unknown(encoding: Encoding, text: str, unknown: int | None) -> int:
    """Return how many tokens stand for something that the tokenizer does not know as a word piece.

    These are the token for what is unknown; tokens that are only part of a character (bytes); and
    the letters of words that are spelt out, as a tokenizer does with an alphabet whose words it
    never saw. In wide scripts (Chinese, Japanese, Korean) a token a character is usual.
    """
    spans = encoding.offsets
    pieces = [text[begin:end] for begin, end in spans]
    letters = [_is_letter(piece) for piece in pieces]
    count = 0
    for i, number in enumerate(encoding.ids):
        beside = [j for j in (i - 1, i + 1) if 0 <= j < len(spans)]
        part = not pieces[i].isascii() and any(spans[j] == spans[i] for j in beside)
        spelt = letters[i] and any(
            letters[j] and spans[max(i, j)][0] == spans[min(i, j)][1] for j in beside
        )
        count += number == unknown or part or spelt
    return count


def _is_letter(piece: str) -> bool:
    return len(piece) == 1 and piece.isalpha() and unicodedata.east_asian_width(piece) not in "WF"
