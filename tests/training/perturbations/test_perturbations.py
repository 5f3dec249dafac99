"""Every perturbation: what it may change, and that only the seed is random."""

from __future__ import annotations

import pytest
import torch

from headstart.training.perturbations import Perturbed, perturbations, perturbed

TARGETS = torch.arange(8)


def maps():
    return {"stage.0": torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0)) + 2}


def tokens(dtype=torch.float32):
    mask = (torch.arange(6) < torch.arange(1, 9).clamp(max=6)[:, None]).long()
    values = torch.randn(8, 6, 5, generator=torch.Generator().manual_seed(0))
    return {
        "stage.0": values.to(dtype),
        "attention_mask": mask,
        "input_ids": torch.arange(48).view(8, 6),
    }


ONLY = {"cutmix": ("maps",), "word-dropout": ("tokens", "half")}
"""Kinds of values that some perturbations are for alone."""
KINDS = {"maps": maps(), "tokens": tokens(), "half": tokens(torch.bfloat16)}
PAIRS = [
    pytest.param(name, KINDS[kind], id=f"{name}-{kind}")
    for name in perturbations.names()
    for kind in ONLY.get(name, KINDS)
]


def changed(some, other):
    return any(not torch.equal(some[name], other[name]) for name in other)


@pytest.mark.parametrize(("name", "values"), PAIRS)
class TestEach:
    def test_it_changes_values_and_neither_shapes_nor_what_it_was_given(self, name, values):
        before = {n: v.clone() for n, v in values.items()}
        found = perturbed(values, TARGETS, [(name, 0.4)], [0])
        assert all(torch.equal(before[n], values[n]) for n in before)
        assert {n: (v.shape, v.dtype) for n, v in found.values.items()} == {
            n: (v.shape, v.dtype) for n, v in before.items()
        }
        assert changed(found.values, before)
        assert sum(share for _, share in found.targets) == pytest.approx(1)

    def test_the_same_seed_gives_the_same_batch(self, name, values):
        found = [
            perturbed(values, TARGETS, [(name, 0.4)], seed)
            for seed in ([1, 2, 3], [1, 2, 3], [1, 3, 3])
        ]
        first, again, other = (one.values for one in found)
        assert not changed(first, again) and changed(first, other)
        assert found[0].targets[0][1] == found[1].targets[0][1]

    def test_token_numbers_stay_as_they_are(self, name, values):
        found = perturbed(values, TARGETS, [(name, 0.4)], [0])
        if "input_ids" in values:
            assert torch.equal(found.values["input_ids"], values["input_ids"])


def test_without_perturbations_the_batch_is_what_it_was():
    values = maps()
    found = perturbed(values, TARGETS, (), [0])
    assert found.values is values and found.targets == ((TARGETS, 1.0),)


def test_several_follow_one_another():
    found = perturbed(maps(), TARGETS, [("mixup", 0.5), ("mixup", 0.5)], [0])
    assert len(found.targets) == 4
    assert sum(share for _, share in found.targets) == pytest.approx(1)


def test_the_loss_is_the_mean_by_shares():
    batch = Perturbed({}, ((torch.tensor(3.0), 0.25), (torch.tensor(7.0), 0.75)))
    assert float(batch.loss(lambda targets: targets)) == 6.0
