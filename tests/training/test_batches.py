"""Batches of an epoch: every row once, and those of like length together where it saves work."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.training.batches import WORTH, batches


def computed(pieces, lengths):
    return sum(int(lengths[piece.numpy()].max()) * len(piece) for piece in pieces)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=90), st.integers(1, 20))
def test_every_row_comes_once_but_a_last_one_alone(lengths, batch):
    rows = len(lengths)
    torch.manual_seed(0)
    pieces = batches(torch.randperm(rows), batch, np.array(lengths))
    taken = torch.cat(pieces).tolist()
    alone = rows > 1 and rows % batch == 1 and batch > 1
    assert len(set(taken)) == len(taken) == rows - alone
    sizes = [len(piece) for piece in pieces]
    assert set(sizes[:-1]) <= {batch} and sizes[-1] <= batch


def test_rows_of_like_length_come_together_where_they_differ_much():
    random = np.random.default_rng(0)
    lengths = np.where(random.random(400) < 0.1, 300, random.integers(10, 20, 400))
    torch.manual_seed(0)
    shuffled = torch.randperm(400)
    together, apart = batches(shuffled, 16, lengths), batches(shuffled, 16)
    assert computed(apart, lengths) > WORTH * lengths.sum()
    assert computed(together, lengths) < 1.5 * lengths.sum()
    first = [int(lengths[piece.numpy()].max()) for piece in together]
    assert first != sorted(first, reverse=True)  # in random order
    again = batches(shuffled, 16, lengths)
    assert not all(torch.equal(a, b) for a, b in zip(together, again, strict=True))


def test_rows_of_about_one_length_are_dealt_at_random():
    shuffled = torch.randperm(50)
    found = batches(shuffled, 16, np.full(50, 7))
    assert all(torch.equal(a, b) for a, b in zip(found, shuffled.split(16), strict=True))
