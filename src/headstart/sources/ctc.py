"""A writer that says a letter, or none, at each position of a sequence (CTC).

Graves et al., Connectionist Temporal Classification, ICML 2006.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from headstart.data.letters import letters_of, normalised, texts_of
from headstart.sources.staged import Boundary
from headstart.sources.writing import Writer

NONE = 0
"""The output that stands for no letter; the others follow in the order of the letters."""


class Ctc(Writer):
    """A linear layer on each position; it writes the likeliest letter of each, repetitions once.

    Parameters
    ----------
    width
        Channels of the features.
    letters
        Those that it can write, normalised.
    """

    def __init__(self, width: int, letters: str) -> None:
        super().__init__()
        self.letters = letters
        self.linear = nn.Linear(width, 1 + len(letters))

    def taught(self, letters: str) -> Ctc:
        """Return one that writes other letters: what it knows of them, it goes on knowing.

        A letter that is new to it begins as the mean of those it knows.
        """
        found = Ctc(self.linear.in_features, letters)
        known = {letter: 1 + i for i, letter in enumerate(self.letters)}
        with torch.no_grad():
            for ours, theirs in (
                (found.linear.weight, self.linear.weight),
                (found.linear.bias, self.linear.bias),
            ):
                usual = theirs[1:].mean(0)
                rows = [theirs[known[c]] if c in known else usual for c in letters]
                ours.copy_(torch.stack([theirs[NONE], *rows]))
        return found

    def costs(self, value: Boundary, letters: Tensor) -> Tensor:
        """Return (rows,) how unexpected each text is, its mean over rows being that over letters.

        A text with more letters than there are positions costs nothing: it cannot be written.
        """
        texts = [normalised(text) for text in texts_of(letters)]
        wanted = [1 + self.letters.index(c) for text in texts for c in text if c in self.letters]
        lengths = torch.tensor([sum(c in self.letters for c in text) for text in texts])
        logs = self._logits(value).log_softmax(2).transpose(0, 1)
        there = value["attention_mask"].sum(1)
        costs = nn.functional.ctc_loss(
            logs, torch.tensor(wanted), there, lengths, NONE, reduction="none", zero_infinity=True
        )
        return costs * (len(texts) / max(1, len(wanted)))

    def forward(self, value: Boundary) -> Tensor:
        """Return what is written, (rows, letters)."""
        likeliest = self._logits(value).argmax(2).cpu().numpy()
        texts = []
        for said, mask in zip(likeliest, value["attention_mask"].cpu().numpy(), strict=True):
            own = said[mask > 0]
            new = own[np.flatnonzero(np.diff(own, prepend=-1))]
            texts.append("".join(self.letters[i - 1] for i in new.tolist() if i != NONE))
        return torch.from_numpy(letters_of([" ".join(text.split()) for text in texts])).float()

    def _logits(self, value: Boundary) -> Tensor:
        found: Tensor = self.linear(value["features"])
        return found
