"""Values of any depth in eight bits."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.data.pictures.tones import eight_bits, stretched


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("u1", [0, 7, 255], [0, 7, 255]),
        ("?", [False, True], [0, 255]),
        ("<u2", [0, 257, 65535], [0, 1, 255]),
        (">u2", [0, 257, 65535], [0, 1, 255]),
        ("i4", [0, 77, 255], [0, 77, 255]),
        ("i4", [0, 256, 65535], [0, 1, 255]),
        ("i2", [-10, 0, 10], [0, 128, 255]),
        ("u4", [0, 2**31, 2**32 - 1], [0, 128, 255]),
        ("f4", [-2, 0, 2], [0, 128, 255]),
        ("f8", [0.0, np.nan, 1.0], [0, 0, 255]),
        ("f4", [3, 3], [0, 0]),
    ],
)
def test_values_become_eight_bits_by_their_depth(kind, values, expected):
    found = eight_bits(np.array(values, kind))
    assert found.dtype == np.uint8 and found.tolist() == expected


def test_what_lies_beyond_the_extremes_shows_like_them():
    assert stretched(np.array([-9.0, 0, 5, 10, 99]), 0, 10).tolist() == [0, 0, 128, 255, 255]
