"""Sources by name: the catalogue's, those of the hub (``timm/…``, ``hf/…``), and local folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from headstart.data.dataset import TOGETHER
from headstart.digest import digest_file
from headstart.errors import SourceError
from headstart.places import cache_folder
from headstart.sources.catalogue import Source, SourceFile, Tensors, side_by_side, sources
from headstart.sources.families.transformers import PICTURES, TEXTS, Kind, pretrained
from headstart.sources.fetching import Say, fetch_repository

HUBS = ("timm", "hf")
WINDOW = 256
"""Tokens that are read of a text at most, where a network could take more."""
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def find_source(name: str, modality: str | None = None, say: Say = lambda _message: None) -> Source:
    """Return a source by its name.

    Parameters
    ----------
    name
        An entry of the catalogue, ``timm/NAME`` or ``hf/OWNER/NAME`` of the Hugging Face hub, or a
        folder with ``config.json`` and weights, as ``save_pretrained`` and timm write it; or
        several of these joined by ``+``, one for each input of a row.
    modality
        Which tower is wanted, where a network has one for pictures and one for texts.
    say
        Receives a line of progress where something is fetched.

    Raises
    ------
    SourceError
        If there is no such source, the hub cannot be reached, or the folder holds no known network.
    """
    if name in sources:
        return sources.get(name)
    hub, _, rest = name.partition("/")
    if Path(name).is_dir():
        return open_folder(name, Path(name), modality)
    if TOGETHER in name and modality and TOGETHER in modality:
        pairs = zip(name.split(TOGETHER), modality.split(TOGETHER), strict=True)
        return side_by_side(*(find_source(one, kind, say) for one, kind in pairs))
    if hub in HUBS and rest:
        folder = cache_folder() / "sources" / name.replace("/", "--")
        if not (folder / "config.json").is_file():
            fetch_repository(name, rest if hub == "hf" else name, folder, say)
        return open_folder(name, folder, modality)
    return sources.get(name)


def open_folder(name: str, folder: Path, modality: str | None = None) -> Source:
    """Return the source in a folder with ``config.json`` and weights."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except OSError:
        raise SourceError(
            f"{folder} holds no config.json: it is no folder that save_pretrained or timm wrote."
        ) from None
    except ValueError as error:
        raise SourceError(f"{folder}/config.json is damaged: {error}") from None
    weights = sorted(path for pattern in _WEIGHTS for path in folder.glob(pattern))
    if not weights:
        raise SourceError(f"{folder} holds no weights (model.safetensors).")
    named = weights[:1] if "architecture" in config else weights
    files = tuple(SourceFile(p.name, digest_file(p), ()) for p in (folder / "config.json", *named))
    if "architecture" in config:
        return _timm(name, folder, config, files)
    if "model_type" in config:
        return _transformers(name, folder, config, files, modality)
    raise SourceError(
        f"{folder}/config.json names neither timm's architecture nor transformers' model_type."
    )


def _timm(
    name: str, folder: Path, config: Mapping[str, Any], files: tuple[SourceFile, ...]
) -> Source:
    looks = {**config, **config.get("pretrained_cfg", {})}
    return _source(
        name,
        folder,
        files,
        modality="image",
        family="timm",
        config={"name": config["architecture"], "arguments": dict(config.get("model_args", {}))},
        settings={
            "size": int(looks.get("input_size", (3, 224, 224))[-1]),
            "mean": list(looks.get("mean", (0.485, 0.456, 0.406))),
            "std": list(looks.get("std", (0.229, 0.224, 0.225))),
            "interpolation": looks.get("interpolation", "bicubic"),
        },
        weights=files[-1].name,
        convert=_under_network,
        architecture=config["architecture"],
        licence=looks.get("license") or "unknown",
    )


def _under_network(tensors: Tensors, fresh: Tensors) -> Tensors:
    """Put the tensors' names under the network's, as a family nests them; leave out the head."""
    named = {f"network.{key}": tensor for key, tensor in tensors.items()}
    return {key: named[key] for key in fresh if key in named}


def _transformers(
    name: str,
    folder: Path,
    config: Mapping[str, Any],
    files: tuple[SourceFile, ...],
    modality: str | None,
) -> Source:
    kind = config["model_type"]
    if modality is None or kind not in (PICTURES if modality == "image" else TEXTS):
        looks = kind in PICTURES or (folder / "preprocessor_config.json").is_file()
        modality = "image" if looks else "text"
    kinds = PICTURES if modality == "image" else TEXTS
    settings, texts = (_looks(folder), {}) if modality == "image" else _reads(folder, config)
    return _source(
        name,
        folder,
        files,
        modality=modality,
        family=f"transformers-{modality}",
        config=config,
        settings=settings,
        texts=texts,
        weights="",
        read=lambda place: pretrained(kinds.get(kind, Kind("AutoModel")), place),
        convert=_under_network,
        architecture=kind,
        licence=str(config.get("license") or "unknown"),
    )


def _looks(folder: Path) -> dict[str, Any]:
    """Return how the source wants its pictures, from ``preprocessor_config.json``."""
    path = folder / "preprocessor_config.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {
        "size": 224,  # the family knows the network's own
        "mean": known.get("image_mean", [0.5, 0.5, 0.5]),
        "std": known.get("image_std", [0.5, 0.5, 0.5]),
        "interpolation": "bicubic" if known.get("resample") == 3 else "bilinear",
    }


def _reads(folder: Path, config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return how the source wants its texts, and its tokenizer as the text of a file."""
    from transformers import AutoTokenizer

    own = config.get("text_config", config)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True)
        definition = tokenizer.backend_tokenizer.to_str()
    except Exception as error:  # it can fail in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SourceError(f"{folder} holds no tokenizer that can be read ({reason}).") from None
    pad = tokenizer.pad_token_id
    positions = own.get("max_position_embeddings") or own.get("n_positions") or WINDOW
    reserved = (pad or 0) + 1 if own["model_type"] in _OFFSET else 0
    settings = {"max_length": min(WINDOW, positions - reserved), "pad": 0 if pad is None else pad}
    return settings, {"tokenizer.json": definition}


_OFFSET = ("roberta", "xlm-roberta", "mpnet")
"""Types whose positions are counted from after the padding's number."""


def _source(name: str, folder: Path, files: tuple[SourceFile, ...], **known: Any) -> Source:
    """Return the description of a source that is not in the catalogue."""
    return Source(
        id=name,
        title=name,
        files=files,
        folder=folder,
        parameters=_count(folder, files),
        pretraining="unknown: see its own card",
        prefer="",
        **known,
    )


def _count(folder: Path, files: tuple[SourceFile, ...]) -> int:
    """Return the number of values in safetensors files, read off their headers."""
    from safetensors import safe_open

    total = 0
    for file in files:
        if file.name.endswith(".safetensors"):
            with safe_open(folder / file.name, "pt") as held:
                keys = held.keys()
                total += sum(prod(held.get_slice(key).get_shape()) for key in keys)
    return total
