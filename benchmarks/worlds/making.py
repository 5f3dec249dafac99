"""Worlds of texts, and sources that know something of their words, nothing, or the wrong thing.

A text is a dozen words. Words belong to ten topics, topics to classes. A source that knows the
topics places words of one topic near to each other, so that a few rows say what all words mean; one
that is confused has its words in heaps of which each holds words of all topics, so that little of
the class is left in its features. A model from scratch sees which words are there, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

TOPICS = 10
WORDS = 600
LENGTH = 12
WIDTH = 32

KINDS = {
    "helps": ("knowing", 600, 0.45),
    "noise": ("knowing", 600, 0.0),
    "noise, confused": ("confused", 100, 0.0),
    "easy": ("knowing", 20, 1.0),
    "hurts": ("confused", 60, 0.45),
}
"""Of each kind of world the source, how many words are in use, and the share of a text's words that
its class decides."""
NO_GAIN = ("noise", "noise, confused", "easy")
"""Kinds in which no model can be better than the other: there is nothing to know, or nothing to
miss."""


@dataclass(frozen=True)
class World:
    """A made-up world; `flipped` is the share of labels that are drawn by lot."""

    kind: str
    rows: int
    classes: int
    flipped: float
    seed: int

    @property
    def source(self) -> str:
        """Return which source there is."""
        return KINDS[self.kind][0]

    def draw(self, rows: int, stream: int = 0) -> pd.DataFrame:
        """Return labelled texts; another `stream` gives other ones of the same world."""
        _, words, share = KINDS[self.kind]
        random = np.random.default_rng([self.seed, stream])
        label = np.arange(rows) % self.classes
        by_class = [
            np.flatnonzero(np.arange(words) % TOPICS % self.classes == c)
            for c in range(self.classes)
        ]
        texts = []
        for c in label.tolist():
            own = random.random(LENGTH) < share
            drawn = np.where(
                own, random.choice(by_class[c], LENGTH), random.integers(0, words, LENGTH)
            )
            texts.append(" ".join(f"w{w}" for w in drawn.tolist()))
        by_lot = random.random(rows) < self.flipped
        label = np.where(by_lot, random.integers(0, self.classes, rows), label)
        return pd.DataFrame({"text": texts, "label": [f"class {c}" for c in label.tolist()]})


def source(kind: str, folder: Path) -> Path:
    """Write a source, ``knowing`` or ``confused``, as transformers would, and return its folder."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = folder / kind
    torch.manual_seed(0)
    network = BertModel(
        BertConfig(
            vocab_size=WORDS + 2,
            hidden_size=WIDTH,
            num_hidden_layers=1,
            num_attention_heads=4,
            intermediate_size=WIDTH,
            max_position_embeddings=LENGTH,
        )
    )
    random = np.random.default_rng(0)
    heap = np.arange(WORDS) % TOPICS
    if kind == "confused":
        heap = np.arange(WORDS) // TOPICS % TOPICS  # ten words of each topic in turn
    centres = random.normal(size=(TOPICS, WIDTH))
    spread = 0.5 if kind == "knowing" else 0.02
    placed = centres[heap] + spread * random.normal(size=(WORDS, WIDTH))
    with torch.no_grad():
        for name, value in network.named_parameters():
            if "output.dense" in name or "position" in name or "token_type" in name:
                value.zero_()  # a word's meaning does not depend on those around it
        network.embeddings.word_embeddings.weight[2:] = torch.from_numpy(placed).float()
    network.eval().save_pretrained(folder)
    vocabulary = {"[PAD]": 0, "[UNK]": 1, **{f"w{i}": i + 2 for i in range(WORDS)}}
    made = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]").save_pretrained(folder)
    return folder
