"""Word dropout: tokens that are as if they were not there."""

import numpy as np
import pytest
import torch

from headstart.training.perturbations import Perturbed
from headstart.training.perturbations.word_dropout import word_dropout


def test_a_share_of_the_tokens_is_hidden_and_never_the_first():
    mask = torch.ones(200, 30, dtype=torch.long)
    mask[:, 20:] = 0
    value = torch.randn(200, 30, 4)
    batch = Perturbed({"stage.0": value, "attention_mask": mask}, ())
    found = word_dropout(batch, 0.2, np.random.default_rng(0)).values
    assert found["stage.0"] is value
    assert found["attention_mask"].dtype == mask.dtype
    assert found["attention_mask"][:, 0].all() and not found["attention_mask"][:, 20:].any()
    hidden = 1 - found["attention_mask"][:, 1:20].float().mean()
    assert float(hidden) == pytest.approx(0.2, abs=0.02)


def test_what_is_no_text_stays_as_it_is():
    batch = Perturbed({"stage.0": torch.ones(2, 3)}, ())
    assert word_dropout(batch, 0.5, np.random.default_rng(0)) is batch
