"""transformers' networks for texts and pictures: a line of stages and a pooling for each type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.data.modalities import Preprocessing
from headstart.errors import SourceError
from headstart.sources.families import Output, PictureNetwork, families
from headstart.sources.staged import WHOLE, Backbone, stages_of


@dataclass(frozen=True)
class Kind:
    """How one type of network is built, cut and read.

    Attributes
    ----------
    network
        Class of transformers that is the backbone.
    stages
        In the notation of `stages_of`.
    pooling
        What makes one vector of all tokens: their ``mean``, the ``first`` one (a class token), or
        the network's own ``pooler``. Decoders are read by the mean, too: the last token is made to
        foretell the next one (``benchmarks/pooling.py``).
    options
        Further arguments of the class.
    part
        Where the network lies within the class, if it is not all of it.
    tower
        Part of the configuration that is this network's, where there are several towers.
    """

    network: str
    stages: str = WHOLE
    pooling: str = "mean"
    options: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""
    tower: str = ""


_ENCODER = "embeddings encoder.layer.*"
_DECODER = "embed_tokens layers.*,norm"
_NO_POOLER = {"add_pooling_layer": False}
TEXTS = {
    "bert": Kind("BertModel", _ENCODER, options=_NO_POOLER),
    "clip": Kind(
        "CLIPTextModel",
        "embeddings encoder.layers.*,final_layer_norm",
        pooling="pooler",
        tower="text_config",
    ),
    "deberta": Kind("DebertaModel", _ENCODER),
    # its convolution takes what lies before the first layer, too
    "deberta-v2": Kind(
        "DebertaV2Model", "embeddings layer.0=encoder.layer.0,encoder.conv encoder.layer.*"
    ),
    "distilbert": Kind("DistilBertModel", "embeddings transformer.layer.*"),
    "electra": Kind("ElectraModel", _ENCODER),
    "gpt2": Kind("GPT2Model", "embeddings=wte,wpe,drop h.*,ln_f"),
    "llama": Kind("LlamaModel", _DECODER),
    "mistral": Kind("MistralModel", _DECODER),
    "mpnet": Kind("MPNetModel", _ENCODER, options=_NO_POOLER),
    "qwen2": Kind("Qwen2Model", _DECODER),
    "qwen3": Kind("Qwen3Model", _DECODER),
    "roberta": Kind("RobertaModel", _ENCODER, options=_NO_POOLER),
    "t5": Kind("T5EncoderModel", "embed_tokens block.*,final_layer_norm", part="encoder"),
    "xlm-roberta": Kind("XLMRobertaModel", _ENCODER, options=_NO_POOLER),
}
PICTURES = {
    "clip": Kind(
        "CLIPVisionModel",
        "embeddings=embeddings,pre_layrnorm encoder.layers.*,post_layernorm",
        pooling="pooler",
        tower="vision_config",
    ),
    "dinov2": Kind("Dinov2Model", "embeddings encoder.layer.*,layernorm", pooling="first"),
    "vit": Kind("ViTModel", "embeddings layers.*,layernorm", pooling="first", options=_NO_POOLER),
}

ANY = Kind("AutoModel")
"""A type that is not in the table: a probe, or tuned whole."""


class TextNetwork(nn.Module):
    """An encoder or decoder of texts that answers with one vector a row, or one a token."""

    def __init__(self, network: nn.Module, pooling: str) -> None:
        super().__init__()
        self.network = network
        self.pooling = pooling

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Map (rows, tokens) to features: (rows, width), or (rows, tokens, width) with the mask."""
        found = self.network(input_ids=input_ids, attention_mask=attention_mask)
        if self.pooling == "none":
            return {"features": found.last_hidden_state, "attention_mask": attention_mask}
        return {"features": pooled(found, self.pooling, attention_mask)}


class ImageNetwork(PictureNetwork):
    """A transformer on patches of pictures, with a class token before them."""

    def __init__(self, network: nn.Module, settings: Mapping[str, Any], pooling: str) -> None:
        super().__init__(network, settings)
        self.pooling = pooling

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Map (rows, 3, height, width) uint8 to features: a vector a row, or a map."""
        found = self.network(pixel_values=self.standardised(pixels))
        if self.pooling != "none":
            return {"features": pooled(found, self.pooling)}
        patches = found.last_hidden_state[:, 1:].transpose(1, 2)
        side = round(patches.shape[2] ** 0.5)
        return {"features": patches.unflatten(2, (side, side))}


def pooled(found: Any, pooling: str, mask: Tensor | None = None) -> Tensor:
    """Return one vector (rows, width) of a network's answer."""
    if pooling == "pooler":
        vector: Tensor = found.pooler_output
        return vector
    hidden: Tensor = found.last_hidden_state
    if pooling == "first":
        return hidden[:, 0]
    if mask is None:
        return hidden.mean(1)
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)


class Transformers:
    """Networks of transformers; `config` is the content of their ``config.json``."""

    def __init__(self, modality: str, kinds: Mapping[str, Kind]) -> None:
        self.modality = modality
        self.kinds = kinds

    def build(
        self, config: Mapping[str, Any], preprocessing: Preprocessing, output: Output = "pooled"
    ) -> Backbone:
        """Return the network without head; ``sequence`` and ``map`` leave out the pooling."""
        network = self._network(config)
        kind = self.kinds.get(config["model_type"], ANY)
        pooling = kind.pooling if output == "pooled" else "none"
        settings = dict(preprocessing.settings)
        if self.modality == "image":
            settings |= {"size": _side(network.config.image_size), "fixed": True}
            model: nn.Module = ImageNetwork(network, settings, pooling)
            size = settings["size"]
            example = {"pixels": torch.zeros(2, 3, size, size, dtype=torch.uint8)}
            kept: tuple[str, ...] = ()
        else:
            model = TextNetwork(network, pooling)
            example = {
                name: torch.ones(2, 11, dtype=torch.int64)
                for name in ("input_ids", "attention_mask")
            }
            kept = tuple(example)
        return Backbone(
            family=f"transformers-{self.modality}",
            config=config,
            model=model,
            stages=stages_of(model, kind.stages),
            example=example,
            width=network.config.hidden_size,
            preprocessing=replace(preprocessing, settings=settings),
            kept=kept,
        )

    def _network(self, config: Mapping[str, Any]) -> Any:
        """Return the network of a configuration, or say why there is none."""
        name = config["model_type"]
        if self.modality == "image" and name not in self.kinds:
            raise SourceError(
                f"{name} of transformers is none of the networks for pictures that are read "
                f"({', '.join(self.kinds)}); timm has most others."
            )
        return bare(self.kinds.get(name, ANY), config)


def _side(size: Any) -> int:
    """Return the side of the pictures that a network reads, which are square."""
    sides = {*size} if isinstance(size, list | tuple) else {size}
    if len(sides) != 1 or not all(isinstance(side, int) for side in sides):
        raise SourceError(f"networks for pictures of {size} are not read; they must be square")
    return int(sides.pop())


def bare(kind: Kind, config: Mapping[str, Any]) -> Any:
    """Return the network of a kind with random weights, without pooler or head.

    Raises
    ------
    SourceError
        If there is none of such a configuration.
    """
    try:
        return _bare(kind, config)
    except SourceError:
        raise
    except Exception as error:  # it can fail in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        name = config["model_type"]
        raise SourceError(f"transformers cannot build {name!r}: {reason}") from None


def _bare(kind: Kind, config: Mapping[str, Any]) -> Any:
    import transformers
    from transformers.utils import logging

    logging.set_verbosity_error()
    own = dict(config.get(kind.tower, config))
    if kind.network == "AutoModel":
        settings = _attentive(transformers.AutoConfig.for_model(**own))
        settings.dtype = torch.float32  # weights may be kept in half precision
        network: Any = transformers.AutoModel.from_config(settings, attn_implementation="eager")
    else:
        cls = getattr(transformers, kind.network)
        settings = _attentive(cls.config_class.from_dict(own))
        # plain attention converts to every engine; fused kernels differ between them
        settings._attn_implementation = "eager"
        settings.use_cache = False
        network = cls(settings, **kind.options)
    network = network.get_submodule(kind.part)
    if config["model_type"] == "t5":
        _own_bias(network)
    return network


def _attentive(settings: Any) -> Any:
    """Return settings without dropout on attention.

    Drawing it for every pair of tokens took a quarter of the time of tuning a network.
    """
    for name in ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop"):
        if getattr(settings, name, 0.0):
            setattr(settings, name, 0.0)
    return settings


def pretrained(kind: Kind, folder: Path) -> dict[str, Tensor]:
    """Return the weights of a network that `save_pretrained` wrote, by their names in it.

    Raises
    ------
    SourceError
        If the folder lacks weights of the network, or holds anything but tensors.
    """
    import transformers
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    cls = getattr(transformers, kind.network)
    try:
        network, found = cls.from_pretrained(
            folder,
            local_files_only=True,
            output_loading_info=True,
            trust_remote_code=False,
            weights_only=True,
            **kind.options,
        )
    except Exception as error:  # it can fail in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SourceError(f"{folder} cannot be loaded: {reason}") from None
    missing = sorted(found["missing_keys"])
    if missing:
        raise SourceError(f"{folder} lacks {len(missing)} of the weights (first: {missing[0]}).")
    weights: dict[str, Tensor] = network.get_submodule(kind.part).state_dict()
    return weights


class _OwnBias:
    """Mixed into a layer of T5: it hands no bias of positions on to the next layer.

    That bias is the same for all rows, so it could not be cached by row.
    """

    def forward(self, hidden: Tensor, mask: Tensor | None, *_given: Any, **options: Any) -> Any:
        found = super().forward(hidden, mask, **options)  # type: ignore[misc]
        return found[0], None, None


class _SharedBias:
    """Mixed into an attention of T5: it computes the bias from the weights of the first one."""

    has_relative_attention_bias = True
    _first: list[nn.Module]

    @property
    def relative_attention_bias(self) -> Any:
        """Return the first attention's weights; held in a list, they are no parameters here."""
        return self._first[0]


def _own_bias(stack: Any) -> None:
    """Let every layer of T5 compute the bias of positions itself."""
    attentions = [block.layer[0].SelfAttention for block in stack.block]
    for block in stack.block:
        block.__class__ = type("T5Block", (_OwnBias, type(block)), {})
    for attention in attentions[1:]:
        del attention.__dict__["has_relative_attention_bias"]
        attention.__dict__["_first"] = [attentions[0].relative_attention_bias]
        attention.__class__ = type("T5Attention", (_SharedBias, type(attention)), {})


families.register("transformers-text", Transformers("text", TEXTS))
families.register("transformers-image", Transformers("image", PICTURES))
