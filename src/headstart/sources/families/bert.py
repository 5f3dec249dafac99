"""transformers' BERT and its small relatives: embeddings, layers, mean pooling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from headstart.data.modalities import Preprocessing
from headstart.sources.families import Output, families
from headstart.sources.staged import Backbone, Stage


class MeanPooled(nn.Module):
    """A text encoder whose answer is the mean over the tokens that are not padding."""

    def __init__(self, network: nn.Module, pooled: bool) -> None:
        super().__init__()
        self.network = network
        self.pooled = pooled

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Map (rows, tokens) to features: (rows, width), or (rows, tokens, width) with the mask."""
        hidden = self.network(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if not self.pooled:
            return {"features": hidden, "attention_mask": attention_mask}
        weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return {"features": (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)}


class Bert:
    """BERT encoders; `config` is the content of transformers' ``config.json``."""

    modality = "text"

    def build(
        self, config: Mapping[str, Any], preprocessing: Preprocessing, output: Output = "pooled"
    ) -> Backbone:
        """Return the encoder without pooler; ``sequence`` leaves out the mean over tokens."""
        from transformers import BertConfig, BertModel
        from transformers.utils import logging

        logging.set_verbosity_error()
        settings = BertConfig.from_dict(dict(config))
        # plain attention converts to every engine; fused kernels differ between them
        settings._attn_implementation = "eager"
        network = BertModel(settings, add_pooling_layer=False)
        layers = [
            Stage(f"layer.{i}", (f"network.encoder.layer.{i}",))
            for i in range(settings.num_hidden_layers)
        ]
        return Backbone(
            family="bert",
            config=config,
            model=MeanPooled(network, pooled=output == "pooled"),
            stages=[Stage("embeddings", ("network.embeddings",)), *layers],
            example={
                "input_ids": torch.ones(2, 11, dtype=torch.int64),
                "attention_mask": torch.ones(2, 11, dtype=torch.int64),
            },
            width=settings.hidden_size,
            preprocessing=preprocessing,
            kept=("input_ids", "attention_mask"),
        )


families.register("bert", Bert())
