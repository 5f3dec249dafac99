"""Networks of transformers: what is set when they are built."""

from __future__ import annotations

import pytest
import torch

from headstart.data.modalities import Preprocessing
from headstart.errors import SourceError
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


NOTHING = Preprocessing({}, {})
NEOX = {
    "model_type": "gpt_neox",
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 70,
}


@pytest.mark.parametrize("kept", ("bfloat16", "float16"))
def test_weights_that_were_kept_in_half_precision_are_computed_with_in_whole(kept):
    built = families.get("transformers-text").build({**NEOX, "dtype": kept}, NOTHING)
    assert {value.dtype for value in built.model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("family", "config"),
    [
        ("transformers-text", {**NEOX, "num_attention_heads": 5}),
        (
            "transformers-audio",
            {"model_type": "whisper", "d_model": 30, "encoder_attention_heads": 4},
        ),
        ("transformers-image", {"model_type": "vit", "image_size": [32, 48]}),
    ],
)
def test_a_configuration_of_which_no_network_can_be_built_is_said(family, config):
    with pytest.raises(SourceError):
        families.get(family).build(config, NOTHING)


def test_a_side_may_be_given_twice():
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "patch_size": 8}
    config = {"model_type": "vit", "intermediate_size": 48, "image_size": [32, 32], **small}
    looks = Preprocessing({"mean": [0.5] * 3, "std": [0.5] * 3}, {})
    built = families.get("transformers-image").build(config, looks)
    assert built.preprocessing.settings["size"] == 32
