"""Networks of transformers: what is set when they are built."""

from __future__ import annotations

import pytest

from headstart.data.modalities import Preprocessing
from headstart.sources.families import families


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("bert", "attention_probs_dropout_prob"),
        ("distilbert", "attention_dropout"),
        ("gpt2", "attn_pdrop"),
    ],
)
def test_no_dropout_is_drawn_for_every_pair_of_tokens(kind, name):
    sizes = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    own = {"dim": 32, "n_layers": 1, "n_heads": 2} if kind == "distilbert" else {}
    own = {"n_embd": 32, "n_layer": 1, "n_head": 2} if kind == "gpt2" else own
    config = {"model_type": kind, **(own or sizes), "vocab_size": 60}
    backbone = families.get("transformers-text").build(config, Preprocessing({}, {}))
    assert getattr(backbone.model.network.config, name) == 0.0
    assert config.get(name, "unsaid") == "unsaid", "what is saved is as the source says it"
