"""Novelty: known geometry, a reference for the shrinkage, and p-values that keep their promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from headstart.evidence import novelty as module
from headstart.evidence.novelty import ENOUGH, LEVEL, Novelty, describe


def cloud(rows, seed=0, width=20, rank=3):
    """Return features around a direction, which vary along a few others much more than else."""
    random = np.random.default_rng(seed)
    basis = np.random.default_rng(99).normal(size=(rank, width))
    found = random.normal(size=(rank, rows)).T @ basis + 0.1 * random.normal(size=(rows, width))
    return torch.from_numpy(found + 10 * np.eye(width)[0]).float()


@pytest.fixture(scope="module")
def known():
    """Two hundred rows, described; four hundred others were held out."""
    return describe(cloud(200, 1), cloud(400, 2))


def test_distances_are_mahalanobis_s_of_the_shrunk_covariance(monkeypatch):
    """Where every direction has a variance of its own, against scikit-learn's."""
    from sklearn.covariance import ledoit_wolf

    monkeypatch.setattr(module, "_principal", whole)
    rows, new = cloud(40, 1), cloud(7, 3)
    unit = torch.nn.functional.normalize(rows.double(), dim=1)
    others = torch.nn.functional.normalize(new.double(), dim=1)
    covariance, _ = ledoit_wolf(unit.numpy())
    away = (others - unit.mean(0)).numpy()
    expected = np.sqrt(np.einsum("ij,jk,ik->i", away, np.linalg.inv(covariance), away))
    np.testing.assert_allclose(describe(rows, new).distances(new), expected, rtol=1e-3)


def whole(products, away):
    values, vectors = torch.linalg.eigh(products)
    return vectors.T, values.clamp(min=0)


@pytest.mark.parametrize(("rows", "width"), [(40, 100), (300, 20), (50, 50)])
def test_the_shrinkage_is_ledoit_and_wolf_s(rows, width):
    from sklearn.covariance import ledoit_wolf_shrinkage

    away = torch.from_numpy(np.random.default_rng(0).normal(size=(rows, width)) * range(width))
    away = away - away.mean(0)
    expected = ledoit_wolf_shrinkage(away.numpy(), assume_centered=True)
    for products in (away @ away.T / rows, away.T @ away / rows):
        assert module._shrinkage(away, products) == pytest.approx(expected)


@pytest.mark.parametrize("rows", [15, 200])
def test_few_and_many_rows_are_described_alike(rows):
    """From the products of rows, and from those of columns, come the same directions."""
    found = describe(cloud(rows), cloud(5, 2))
    product = found.directions @ found.directions.T
    torch.testing.assert_close(product, torch.eye(len(product)), atol=1e-4, rtol=0)
    unit = torch.nn.functional.normalize(cloud(rows).double(), dim=1)
    expected = np.linalg.eigvalsh(np.cov(unit.numpy().T, bias=True))[::-1][:3]
    np.testing.assert_allclose(found.variances[:3], expected, rtol=0.3)


def test_far_rows_are_flagged_and_near_ones_are_not(known):
    near = known.p_values(cloud(300, 5))
    far = known.p_values(torch.nn.functional.normalize(cloud(50, 6)).flip(1))
    assert {known.unlike(p) for p in far} == {True} and max(far) == pytest.approx(1 / 401)
    assert np.mean([known.unlike(p) for p in near]) < 0.03
    assert known.unlike(LEVEL) and not known.unlike(1.01 * LEVEL)


def test_a_row_off_the_few_directions_is_far_though_along_them_it_is_near(known):
    row = cloud(1, 7)
    along = known.directions.double()
    off = torch.ones(1, 20).double()
    off -= off @ along.T @ along
    strange = torch.nn.functional.normalize(row.double(), dim=1) + 0.5 * off / off.norm()
    assert known.p_values(strange)[0] == pytest.approx(1 / 401)


@given(st.integers(1, 400), st.integers(0, 10_000))
def test_a_p_value_counts_the_held_out_rows_that_are_as_far(held, seed):
    features = cloud(held, seed)
    found = describe(cloud(30, 1), features)
    distances = found.distances(features).float()
    counts = [(1 + int((distances >= d).sum())) / (held + 1) for d in distances]
    assert found.p_values(features) == pytest.approx(counts)
    assert min(counts) >= 1 / (held + 1)


DRAWS = 300


def test_p_values_of_exchangeable_rows_are_uniform():
    """Over many draws, the share of p-values up to each level lies around that level, not above."""
    found = np.array(
        [
            describe(cloud(30, 3 * i), cloud(99, 3 * i + 1)).p_values(cloud(1, 3 * i + 2))[0]
            for i in range(DRAWS)
        ]
    )
    for level in (0.01, 0.05, 0.2, 0.5, 0.9):
        below = int((found <= level + 1e-9).sum())
        assert binom.ppf(0.001, DRAWS, level) <= below <= binom.ppf(0.999, DRAWS, level)


@pytest.mark.parametrize(("held", "flags"), [(ENOUGH, True), (ENOUGH - 1, False), (3, False)])
def test_with_too_few_held_out_rows_nothing_is_flagged(held, flags):
    found = describe(cloud(200, 1), cloud(held, 2))
    least = found.p_values(-cloud(1))[0]
    assert least == pytest.approx(1 / (held + 1)) and found.can_flag is flags
    assert found.unlike(least) is (True if flags else None)


def test_the_order_of_rows_does_not_matter(known):
    order = torch.from_numpy(np.random.default_rng(0).permutation(200))
    again = describe(cloud(200, 1)[order], cloud(400, 2).flip(0))
    new = cloud(50, 5)
    torch.testing.assert_close(again.distances(new), known.distances(new), rtol=1e-4, atol=0)


def test_the_length_of_features_does_not_matter(known):
    new = cloud(50, 5)
    torch.testing.assert_close(known.distances(7 * new), known.distances(new))


def test_made_again_from_its_tensors_it_answers_the_same(known):
    again = Novelty(**known.tensors())
    assert again.p_values(cloud(50, 5)) == known.p_values(cloud(50, 5))
    assert all(torch.is_tensor(value) for value in known.tensors().values())


def test_of_many_rows_a_seeded_draw_is_described(monkeypatch):
    monkeypatch.setattr(module, "REFERENCE", 50)
    first, same, other = (describe(cloud(200), cloud(9, 2), seed).centre for seed in (0, 0, 1))
    assert torch.equal(first, same) and not torch.equal(first, other)


@pytest.mark.parametrize(
    ("reference", "held"),
    [(cloud(9), cloud(50)), (cloud(50), cloud(50)[:0]), (torch.ones(50, 20), cloud(50))],
)
def test_where_there_is_nothing_to_describe_there_is_no_novelty(reference, held):
    assert describe(reference, held) is None
