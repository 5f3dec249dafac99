"""Matrices of features, in memory and on disk, and what centres and scales them."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.tasks import matrix
from headstart.tasks.matrix import Array, Chosen, Scaled, add_products, decompose, pareto


@pytest.fixture
def values(monkeypatch):
    """Three chunks of several pieces each, of channels at unequal scale and place."""
    monkeypatch.setattr(matrix, "ROWS", 300)
    monkeypatch.setattr(matrix, "PIECE", 64 * 5)
    random = np.random.default_rng(0)
    found = random.normal(size=(700, 5)) * [1e-3, 1, 1, 50, 1] + [0, 1e3, -3, 7, 1]
    found[:, 4] = 0.1
    return found.astype(np.float32)


@pytest.fixture(params=("array", "mapped", "half"))
def stored(request, values, tmp_path):
    """The values as an array, in a file, and in a file in half precision."""
    if request.param == "array":
        return Array(values), values
    values = values.astype(np.float16) if request.param == "half" else values
    np.save(tmp_path / "values.npy", values)
    return Array(np.load(tmp_path / "values.npy", mmap_mode="r")), values.astype(np.float32)


def test_rows_come_in_the_order_asked_for_and_chunks_in_order(stored):
    found, values = stored
    assert found.shape == values.shape
    rows = np.array([5, 699, 5, 0])
    np.testing.assert_array_equal(found.take(rows), values[rows])
    chunks = list(found.chunks())
    assert [len(chunk) for chunk in chunks] == [300, 300, 100]
    np.testing.assert_array_equal(np.concatenate(chunks), values)
    assert {chunk.dtype for chunk in chunks} == {found.take(rows).dtype} == {np.dtype(np.float32)}


def test_moments_are_those_of_double_precision(stored):
    found, values = stored
    scaled, exact = Scaled.of(found), values.astype(np.float64)
    np.testing.assert_allclose(scaled.mean, exact.mean(0), rtol=1e-12, atol=1e-12)
    deviation = exact.std(0)[:4]  # the last channel is constant
    usual = np.median(deviation)
    np.testing.assert_allclose(scaled.scale[:4], np.sqrt(deviation * usual), rtol=1e-10)
    assert scaled.scale[4] == pytest.approx(usual)


def test_all_channels_at_another_scale_are_divided_by_as_much_more():
    deviation = np.array([0.1, 0.0, 2.0, 3.0])
    np.testing.assert_allclose(pareto(5 * deviation), 5 * pareto(deviation))
    assert (pareto(np.zeros(3)) == 1).all()


def test_pieces_are_the_rows_scaled_or_centred(values):
    scaled = Scaled.of(Array(values))
    exact = values.astype(np.float64)
    expected = (exact - exact.mean(0)) / scaled.scale
    np.testing.assert_allclose(scaled.take(np.arange(700)), expected, atol=1e-9)
    seen = np.zeros(700, int)
    for rows, piece in scaled.pieces():
        np.testing.assert_allclose(piece, expected[rows], atol=1e-9)
        seen[rows] += 1
    assert (seen == 1).all()
    mean = scaled.mean.astype(np.float32)
    for rows, piece in scaled.centred():
        np.testing.assert_array_equal(piece, values[rows] - mean)
        seen[rows] += 1
    assert (seen == 2).all()


def test_products_are_added_in_place():
    pieces = np.random.default_rng(0).normal(size=(3, 20, 4))
    gram = np.zeros((4, 4), order="F")
    for piece in pieces:
        add_products(gram, piece)
    whole = pieces.reshape(-1, 4)
    np.testing.assert_allclose(np.triu(gram), np.triu(whole.T @ whole), rtol=1e-12)


def test_some_rows_of_a_matrix_are_a_matrix():
    values = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
    some = Chosen(Array(values), np.array([5, 3, 9]))
    assert some.shape == (3, 6)
    np.testing.assert_array_equal(some.take(np.array([2, 0])), values[[9, 5]])
    np.testing.assert_array_equal(np.concatenate(list(some.chunks())), values[[5, 3, 9]])


@pytest.mark.parametrize("shape", [(30, 7), (7, 30), (12, 12)])
def test_rows_are_decomposed_as_by_numpy(shape):
    rows = np.random.default_rng(0).standard_normal(shape)
    rows[:, 3] = rows[:, 1]  # says nothing of its own
    rows -= rows.mean(0)
    squares, left = decompose(rows)
    expected, values, _ = np.linalg.svd(rows, full_matrices=False)
    there = values > 1e-6
    np.testing.assert_allclose(squares[::-1], values[there] ** 2, rtol=1e-9)
    np.testing.assert_allclose(left @ left.T, expected[:, there] @ expected[:, there].T, atol=1e-9)
