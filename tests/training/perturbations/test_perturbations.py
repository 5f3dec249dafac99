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


@pytest.mark.parametrize("values", (maps(), tokens(), tokens(torch.bfloat16)))
@pytest.mark.parametrize("name", perturbations.names())
class TestEach:
    def test_it_changes_values_and_neither_shapes_nor_what_it_was_given(self, name, values):
        before = {n: v.clone() for n, v in values.items()}
        found = perturbed(values, TARGETS, [(name, 0.4)], [0])
        assert all(torch.equal(before[n], values[n]) for n in before)
        assert {n: (v.shape, v.dtype) for n, v in found.values.items()} == {
            n: (v.shape, v.dtype) for n, v in before.items()
        }
        assert not torch.equal(found.values["stage.0"], before["stage.0"])
        assert sum(share for _, share in found.targets) == pytest.approx(1)

    def test_the_same_seed_gives_the_same_batch(self, name, values):
        found = [
            perturbed(values, TARGETS, [(name, 0.4)], seed)
            for seed in ([1, 2, 3], [1, 2, 3], [1, 3, 3])
        ]
        stages = [one.values["stage.0"] for one in found]
        assert torch.equal(stages[0], stages[1]) and not torch.equal(stages[0], stages[2])
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
