"""Texts as rows of code points, and texts as error rates compare them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.letters import letters_of, normalised, texts_of

TEXTS = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))


@given(TEXTS)
def test_texts_come_back(texts):
    letters = letters_of(texts)
    assert letters.shape == (len(texts), max([1, *map(len, texts)]))
    assert texts_of(letters) == texts
    assert texts_of(torch.from_numpy(letters).float()) == texts  # as a model's outputs are


def test_what_is_no_letter_is_left_out():
    assert texts_of(np.array([[97, -3, 0, 98, 0xD800, 0x110000]])) == ["ab"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Una  RANA. ", "una rana"),
        ("¿Qué? ¡No!", "qué no"),
        ("it’s 'quoted'", "it's quoted"),
        ("e\u0301te\u0301", "été"),
        ("Straße", "strasse"),
        ("well-known, 3.5", "well known 3 5"),
        ("हिन्दी", "हिन्दी"),
        ("…", ""),
    ],
)
def test_texts_are_compared_without_what_is_not_said(text, expected):
    assert normalised(text) == expected


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    assert normalised(normalised(text)) == normalised(text)
