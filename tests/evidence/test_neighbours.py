import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.evidence import neighbours as module
from headstart.evidence.neighbours import directed, neighbours
from headstart.tasks.matrix import Array


def at_length_one(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@given(st.integers(2, 40), st.integers(0, 5))
def test_they_are_those_of_all_distances(count, seed):
    rows = at_length_one(np.random.default_rng(seed).normal(size=(count, 5)))
    found = neighbours(rows)
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    nearest = np.sort(apart, axis=1)[:, : min(10, count - 1)]
    np.testing.assert_allclose(found.distances, nearest, atol=1e-5)
    assert (found.rows != np.arange(count)[:, None]).all()


def test_blocks_give_what_the_whole_gives(monkeypatch):
    rows = at_length_one(np.random.default_rng(0).normal(size=(50, 6)))
    whole = neighbours(rows)
    monkeypatch.setattr(module, "BLOCK", 150)
    in_blocks = neighbours(rows)
    np.testing.assert_array_equal(whole.rows, in_blocks.rows)
    np.testing.assert_allclose(whole.distances, in_blocks.distances, atol=1e-6)


def test_the_usual_distance_is_that_of_rows_drawn_at_random():
    rows = at_length_one(np.random.default_rng(0).normal(size=(500, 64)))
    assert neighbours(rows).usual == pytest.approx(np.sqrt(2), abs=0.02)


def test_few_directions_keep_the_distances_that_matter():
    random = np.random.default_rng(0)
    hidden = random.normal(size=(300, 20))
    rows = hidden @ random.normal(size=(20, 400)) + 0.01 * random.normal(size=(300, 400))
    found, true = directed(Array(rows.astype(np.float32))), at_length_one(rows)
    assert found.shape == (300, 128)
    assert np.linalg.norm(found[0] - found[1]) == pytest.approx(
        np.linalg.norm(true[0] - true[1]), abs=0.01
    )


def test_narrow_rows_are_only_scaled():
    rows = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    np.testing.assert_allclose(directed(Array(rows)), at_length_one(rows), atol=1e-6)


def test_cells_miss_no_near_duplicate_and_few_neighbours(monkeypatch):
    random = np.random.default_rng(0)
    rows = random.normal(size=(3000, 6))
    rows[2000:2100] = rows[:100] + 0.001 * random.normal(size=(100, 6))
    rows = at_length_one(rows)
    exact = neighbours(rows)
    monkeypatch.setattr(module, "EXACT", 1000)
    monkeypatch.setattr(module, "CELL", 64)
    found = neighbours(rows)
    np.testing.assert_array_equal(found.rows[:100, 0], np.arange(2000, 2100))
    same = [len(set(a) & set(b)) / 10 for a, b in zip(exact.rows, found.rows, strict=True)]
    assert np.mean(same) > 0.7
    assert np.isfinite(found.distances).all()


def test_rows_of_which_many_are_equal_have_neighbours_as_well(monkeypatch):
    monkeypatch.setattr(module, "EXACT", 500)
    rows = np.random.default_rng(0).normal(size=(3_000, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[:1_200] = 0
    found = neighbours(rows)
    assert (found.distances[:1_200] == 0).all()
    assert (found.rows != np.arange(3_000)[:, None])[np.isfinite(found.distances)].all()


def test_many_rows_lie_in_a_file(monkeypatch):
    monkeypatch.setattr(module, "HELD", 100)
    chunks = [np.full((4, 3), float(i), np.float32) for i in range(5)]
    found = module.gathered(iter(chunks), 20, 3)
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, np.concatenate(chunks))
