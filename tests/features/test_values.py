"""Values: rows of many pieces in an order of their own."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.features.values import Values, assembled, below, concatenated


def piece(rows, tokens=3, start=0):
    """Rows that say their number, of so many tokens."""
    number = torch.arange(start, start + rows).float()
    return {
        "stage.0": number[:, None, None].expand(rows, tokens, 2).contiguous(),
        "mask": torch.ones(rows, tokens).long(),
        "number": number,
    }


def test_rows_are_taken_in_the_order_asked_for_and_may_be_asked_twice():
    found = Values.of(piece(5)).take([4, 0, 4])
    assert found["number"].tolist() == [4, 0, 4]
    assert found["stage.0"][:, 0, 0].tolist() == [4, 0, 4]


def test_rows_of_several_pieces_are_padded_to_the_longest_among_them():
    values = concatenated([Values.of(piece(2)), Values.of(piece(3, tokens=5, start=2))])
    assert len(values) == 5 and "mask" in values and "other" not in values
    found = values.take([3, 1])
    assert found["stage.0"].shape == (2, 5, 2) and found["number"].tolist() == [3, 1]
    assert found["mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert (found["stage.0"][1, 3:] == 0).all()
    assert values.take([0, 1])["stage.0"].shape == (2, 3, 2), "no longer than they need"


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 7), st.randoms())
def test_chunks_are_all_rows_in_order_however_they_lie(sizes, rows, random):
    starts = np.cumsum([0, *sizes])
    pieces = [piece(n, tokens=1 + n, start=s) for n, s in zip(sizes, starts, strict=False)]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    place = np.concatenate([np.arange(n) for n in sizes])
    order = list(range(len(owner)))
    random.shuffle(order)
    values = Values(pieces, owner[order], place[order])
    chunks = list(values.chunks(rows))
    assert torch.cat([chunk["number"] for chunk in chunks]).tolist() == order
    assert {len(chunk["number"]) for chunk in chunks[:-1]} <= {rows}
    assert values.whole()["number"].tolist() == order


def test_what_is_taken_is_a_copy():
    known = piece(3)
    Values.of(known).take([0, 1, 2])["number"].zero_()
    assert known["number"].tolist() == [0, 1, 2]


def test_concatenated_copies_nothing_and_counts_pieces_on():
    one, two = Values.of(piece(2)), Values.of(piece(1, start=2))
    assert concatenated([one]) is one
    nested = concatenated([concatenated([one, two]), two])
    assert nested.whole()["number"].tolist() == [0, 1, 2, 2]


def test_assembled_and_below_put_parts_where_they_belong():
    parts = [(np.array([2, 0]), piece(2)), (np.array([1]), piece(1, start=7))]
    assert assembled(parts)["number"].tolist() == [1, 7, 0]
    assert below([piece(2), piece(1, start=7)])["number"].tolist() == [0, 1, 7]
