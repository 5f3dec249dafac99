"""Networks of every family, so small that all of them can be tried at every cut.

A new family, or a new line of stages, earns its coverage by a row in `NETWORKS`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.data.modalities import Preprocessing
from headstart.sources.families import Output, families
from headstart.sources.staged import Backbone

Row = tuple[str, dict[str, Any]]
"""A family, and the configuration of a network of it."""
LOOKS = {"size": 32, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}
TEXT = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 70,
}
FEW_KEYS = {**TEXT, "num_key_value_heads": 2}
RELATIVE = {**TEXT, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
PATCHES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 48,
    "patch_size": 8,
}
SWIN = {
    "img_size": 64,
    "window_size": 4,
    "embed_dim": 16,
    "depths": [1, 1, 2],
    "num_heads": [2, 2, 4],
}


def _timm(name: str, **arguments: Any) -> Row:
    return "timm", {"name": name, "arguments": arguments}


def _text(kind: str, /, **settings: Any) -> Row:
    return "transformers-text", {"model_type": kind, **settings}


def _image(kind: str, **settings: Any) -> Row:
    return "transformers-image", {"model_type": kind, **settings}


NETWORKS: dict[str, Row] = {
    "convnext": _timm("test_convnext"),
    "densenet": _timm("densenet121", growth_rate=8, block_config=[2, 2, 2, 2]),
    "efficientnet": _timm("test_efficientnet"),
    "inception": _timm("inception_v3"),
    "mobilenet": _timm("mobilenetv3_small_050"),
    "resnet": _timm("test_resnet"),
    "swin": _timm("swin_tiny_patch4_window7_224", **SWIN),
    "vgg": _timm("vgg11", mlp_ratio=0.005),
    "vit": _timm("test_vit"),
    "another timm": _timm("test_byobnet"),
    "vgg trunk": ("timm", {"name": "vgg11", "trunk": True, "arguments": {"mlp_ratio": 0.005}}),
    "squeezenet": ("torchvision", {"name": "squeezenet1_1"}),
    "another of torchvision": ("torchvision", {"name": "shufflenet_v2_x0_5"}),
    "clip image": _image("clip", vision_config=PATCHES),
    "dinov2": _image("dinov2", **{**PATCHES, "mlp_ratio": 2}),
    "hf vit": _image("vit", **PATCHES),
    "bert": _text("bert", **TEXT),
    "short bert": _text("bert", **{**TEXT, "num_hidden_layers": 1, "hidden_size": 16}),
    "clip text": _text("clip", text_config={**TEXT, "eos_token_id": 49}),
    "deberta": _text("deberta", **RELATIVE),
    "deberta v2": _text(
        "deberta-v2",
        **RELATIVE,
        position_buckets=8,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        conv_kernel_size=3,
        conv_act="gelu",
    ),
    "distilbert": _text("distilbert", vocab_size=50, dim=32, n_layers=3, n_heads=4, hidden_dim=48),
    "electra": _text("electra", **TEXT, embedding_size=16),
    "gpt2": _text("gpt2", vocab_size=50, n_embd=32, n_layer=3, n_head=4, n_positions=70),
    "llama": _text("llama", **FEW_KEYS),
    "mistral": _text("mistral", **FEW_KEYS),
    "mpnet": _text("mpnet", **TEXT),
    "qwen2": _text("qwen2", **FEW_KEYS),
    "qwen3": _text("qwen3", **FEW_KEYS, head_dim=8),
    "roberta": _text("roberta", **TEXT, pad_token_id=0),
    "t5": _text(
        "t5",
        vocab_size=50,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=3,
        num_heads=4,
        dropout_rate=0.0,  # it drops its inputs outside every stage
    ),
    "xlm-roberta": _text("xlm-roberta", **TEXT, pad_token_id=0),
    "another of transformers": _text("albert", **TEXT, embedding_size=16),
}
NETWORKS["whisper"] = (
    "transformers-audio",
    {
        "model_type": "whisper",
        "d_model": 32,
        "encoder_layers": 3,
        "decoder_layers": 1,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 48,
        "decoder_ffn_dim": 48,
        "num_mel_bins": 8,
        "max_source_positions": 60,
        "vocab_size": 260,
        "max_target_positions": 40,
        "pad_token_id": 0,
        "bos_token_id": 256,
        "eos_token_id": 256,
        "decoder_start_token_id": 257,
    },
)
WAVE = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [20, 20, 20],
    "conv_kernel": [10, 3, 2],
    "conv_stride": [5, 2, 2],
    "num_conv_pos_embeddings": 6,
    "num_conv_pos_embedding_groups": 2,
}
LATE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
"""Settings of the larger networks: normalisation before each layer's work, and none over time."""
NETWORKS |= {
    name: ("transformers-audio", {"model_type": kind, **WAVE, **settings})
    for name, kind, settings in (
        ("hubert", "hubert", {}),
        ("wav2vec2", "wav2vec2", {}),
        ("late wav2vec2", "wav2vec2", LATE),
        ("wavlm", "wavlm", {"num_buckets": 12}),
        ("late wavlm", "wavlm", {**LATE, "num_buckets": 12}),
    )
}
NETWORKS["ast"] = (
    "transformers-audio",
    {
        "model_type": "audio-spectrogram-transformer",
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "num_mel_bins": 24,
        "max_length": 200,
        "patch_size": 8,
        "frequency_stride": 6,
        "time_stride": 5,
    },
)
NETWORKS["speakers"] = ("speakers", {"width": 24, "layers": 3})
NETWORKS["recogniser"] = ("recogniser", {})
NETWORKS["joint"] = (
    "joint",
    {
        kind: {"family": NETWORKS[name][0], "config": NETWORKS[name][1]}
        for kind, name in (("image", "efficientnet"), ("text", "bert"))
    },
)


def shake(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give a network random weights and statistics far from their beginnings."""
    random = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            value.copy_(torch.rand(value.shape, generator=random) + 0.5)
        elif name.endswith("running_mean"):
            value.copy_(torch.randn(value.shape, generator=random) * 0.1)
        elif value.is_floating_point() and value.ndim == 1:
            value.add_(torch.randn(value.shape, generator=random) * 0.05)
    return model


def build(name: str, output: Output = "pooled") -> Backbone:
    """Return a network of the table with random weights."""
    family, config = NETWORKS[name]
    torch.manual_seed(0)
    looks: dict[str, dict[str, Any]] = {
        "image": LOOKS,
        "text": {},
        "audio": {},
        "image+text": {"image": LOOKS, "text": {}},
    }
    settings = looks[families.get(family).modality]
    files = {"tokenizer.json": speller()} if output == "text" else {}
    backbone = families.get(family).build(config, Preprocessing(settings, files), output)
    shake(backbone.model)
    return backbone


def speller() -> str:
    """Return a tokenizer that spells texts by their bytes, as ``tokenizer.json`` holds it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"])
    definition: str = tokenizer.to_str()
    return definition


def is_fixed(backbone: Backbone) -> bool:
    """Say whether a network reads pictures of one size alone."""
    return "fixed" in backbone.preprocessing.settings


def inputs_for(
    backbone: Backbone, rows: int = 3, size: int = 40, seed: int = 0, most: int = 3
) -> dict[str, Tensor]:
    """Return random pictures, or texts or sounds of different lengths with padding on the right.

    Of pictures there are `most` at most: they take long.
    """
    random = np.random.default_rng(seed)
    inputs = {}
    if "pixels" in backbone.example:
        side = backbone.preprocessing.settings["size"] if is_fixed(backbone) else size + 75
        rows = min(rows, most)
        pixels = random.integers(0, 256, (rows, 3, side, side), np.uint8)
        inputs["pixels"] = torch.from_numpy(pixels)
    if "input_ids" in backbone.example:
        tokens = size // 2
        lengths = [max(1, tokens - 3 * i) for i in range(rows)]
        mask = torch.tensor([[int(t < length) for t in range(tokens)] for length in lengths])
        ids = torch.from_numpy(random.integers(1, 50, (rows, tokens))) * mask
        inputs |= {"input_ids": ids, "attention_mask": mask}
    if "mel" in backbone.example:
        positions, width = size // 2, backbone.example["mel"].shape[2]
        there = torch.tensor([max(1, positions - 3 * i) for i in range(rows)])
        mask = (torch.arange(positions)[None] < there[:, None]).long()
        mel = torch.from_numpy(random.normal(0, 1, (rows, positions, width)).astype(np.float32))
        inputs |= {"mel": mel * mask[..., None], "attention_mask": mask}
    settings = backbone.preprocessing.settings
    for front in {"wave", "fbank", "energy"} & set(backbone.example):
        before, each = settings.get("before", 0), settings.get("each", 1)
        most_positions = size // 2 if each < size else 3
        there = torch.tensor([max(1, most_positions - 3 * i) for i in range(rows)])
        reach = settings.get("reach", settings["first"]) + settings["step"] * (there - 1)
        shape = (rows, int(reach.max()), *backbone.example[front].shape[2:])
        values = torch.from_numpy(random.normal(0, 1, shape).astype(np.float32))
        heard = (torch.arange(shape[1])[None] < reach[:, None]).float()
        tokens = before + each * there
        mask = (torch.arange(int(tokens.max()))[None] < tokens[:, None]).long()
        heard = heard.view(rows, shape[1], *[1] * (values.ndim - 2))
        inputs |= {front: values * heard, "attention_mask": mask}
    return inputs
