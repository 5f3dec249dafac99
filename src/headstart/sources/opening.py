"""Sources by name: the catalogue's, those of the hub (``timm/…``, ``hf/…``), and local ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

from headstart.data.dataset import TOGETHER
from headstart.data.letters import normalised
from headstart.digest import digest_file
from headstart.errors import SourceError
from headstart.places import cache_folder
from headstart.sources.catalogue import Source, SourceFile, Tensors, side_by_side, sources
from headstart.sources.ctc import NONE
from headstart.sources.families.sounds import KINDS as SOUNDS
from headstart.sources.families.sounds import LETTERS, TOKENIZER
from headstart.sources.families.timm import pretrained_looks
from headstart.sources.families.transformers import ANY, PICTURES, TEXTS, Kind, pretrained
from headstart.sources.fetching import fetch_repository
from headstart.sources.loading import read_tensors
from headstart.sources.packages import Say

HUBS = ("timm", "hf")
WINDOW = 256
"""Tokens that are read of a text at most, where a network could take more."""


def is_named_here(name: str) -> bool:
    """Say whether `find_source` can answer without fetching anything."""
    place = _hub_place(name)
    return name in sources or place is None or Path(name).exists() or _is_complete(place)


def find_source(name: str, modality: str | None = None, say: Say = lambda _message: None) -> Source:
    """Return a source by its name.

    Parameters
    ----------
    name
        An entry of the catalogue; ``timm/NAME`` or ``hf/OWNER/NAME`` of the Hugging Face hub; a
        folder with ``config.json`` and weights, as ``save_pretrained`` and timm write it; or a
        checkpoint ``ARCHITECTURE.safetensors`` of timm, alone; or several of these joined by ``+``,
        one for each input of a row.
    modality
        Which tower is wanted, where a network has one for pictures and one for texts.
    say
        Receives a line of progress where something is fetched.

    Raises
    ------
    SourceError
        If there is no such source, the hub cannot be reached, or what is there is no known network.
    """
    path, place = Path(name), _hub_place(name)
    if name in sources:
        return sources.get(name)
    if path.is_dir():
        return open_folder(name, path, modality)
    if path.suffix == ".safetensors" and path.is_file():
        return open_checkpoint(name, path)
    if TOGETHER in name and modality and TOGETHER in modality:
        names, kinds = name.split(TOGETHER), modality.split(TOGETHER)
        if len(names) != len(kinds):
            wanted = f"{len(kinds)} inputs, {modality}"
            raise SourceError(f"{name}: these rows have {wanted}; name a source for each")
        pairs = zip(names, kinds, strict=True)
        return side_by_side(*(find_source(one, kind, say) for one, kind in pairs))
    if place is not None:
        if not _is_complete(place):
            hub, _, rest = name.partition("/")
            fetch_repository(name, rest if hub == "hf" else name, place, say)
        return open_folder(name, place, modality)
    return sources.get(name)


def _hub_place(name: str) -> Path | None:
    """Return the folder where what the hub calls `name` is kept; None if that is no hub's name."""
    hub, _, rest = name.partition("/")
    named = hub in HUBS and rest and ".." not in Path(rest).parts
    return cache_folder() / "sources" / name.replace("/", "--") if named else None


def _is_complete(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def open_folder(name: str, folder: Path, modality: str | None = None) -> Source:
    """Return the source in a folder with ``config.json`` and weights."""
    alone = sorted(folder.glob("*.safetensors"))
    if not _is_complete(folder) and len(alone) == 1:
        return open_checkpoint(name, alone[0])
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except OSError:
        raise SourceError(
            f"{folder} holds no config.json: it is no folder that save_pretrained or timm wrote."
        ) from None
    except ValueError as error:
        raise SourceError(f"{folder}/config.json is damaged: {error}") from None
    weights = alone or sorted(folder.glob("pytorch_model*.bin"))
    if not weights:
        raise SourceError(f"{folder} holds no weights (model.safetensors).")
    try:
        if isinstance(config.get("architecture"), str):
            best = folder / "model.safetensors"
            return _timm(name, best if best in weights else weights[0], config)
        if isinstance(config.get("model_type"), str):
            return _transformers(name, folder, config, weights, modality)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{folder}/config.json cannot be understood: {error!r}") from None
    raise SourceError(
        f"{folder}/config.json names neither timm's architecture nor transformers' model_type."
    )


def open_checkpoint(name: str, path: Path) -> Source:
    """Return the source in a checkpoint of timm that is named for its architecture.

    ``resnet50.a1_in1k.safetensors`` says which pictures it was made for, too.
    """
    architecture = path.stem.split(".")[0]
    looks = pretrained_looks(path.stem)
    return _timm(name, path, {"architecture": architecture, "pretrained_cfg": looks})


def _timm(name: str, weights: Path, config: Mapping[str, Any]) -> Source:
    looks = {**config, **(config.get("pretrained_cfg") or {})}
    interpolation = looks.get("interpolation")
    described = [weights.parent / "config.json"] if _is_complete(weights.parent) else []
    return _source(
        name,
        weights.parent,
        [*described, weights],
        modality="image",
        family="timm",
        config={
            "name": config["architecture"],
            "arguments": dict(config.get("model_args") or {}),
        },
        settings={
            "size": int(looks.get("input_size", (3, 224, 224))[-1]),
            "mean": list(looks.get("mean", (0.485, 0.456, 0.406))),
            "std": list(looks.get("std", (0.229, 0.224, 0.225))),
            "interpolation": interpolation if interpolation == "bilinear" else "bicubic",
        },
        weights=weights.name,
        convert=_under_network,
        architecture=config["architecture"],
        licence=str(looks.get("license") or "unknown"),
    )


def _under_network(tensors: Tensors, fresh: Tensors) -> Tensors:
    """Put the tensors' names under the network's, as a family nests them; leave out the head."""
    named = {f"network.{key}": tensor for key, tensor in tensors.items()}
    return {key: named[key] for key in fresh if key in named}


def _transformers(
    name: str,
    folder: Path,
    config: Mapping[str, Any],
    weights: list[Path],
    modality: str | None,
) -> Source:
    named = config["model_type"]
    modality = _modality(named, folder, modality)
    kind = _KINDS[modality].get(named, ANY)
    if modality == "audio":
        known = _hears(folder, config, kind)
    elif modality == "image":
        known = _Known(kind, _looks(folder))
    else:
        known = _Known(kind, *_reads(folder, config))

    def read(place: Path) -> Tensors:
        for path in weights:
            if path.suffix == ".bin":  # says what is wrong with a pickle that holds more
                read_tensors(path)
        return pretrained(known.kind, place)

    return _source(
        name,
        folder,
        [folder / "config.json", *weights],
        modality=modality,
        family=f"transformers-{modality}",
        config=config,
        settings=known.settings,
        texts=known.texts,
        weights="",
        read=read,
        convert=known.convert,
        architecture=named,
        licence=str(config.get("license") or "unknown"),
    )


_KINDS: Mapping[str, Mapping[str, Kind]] = {"image": PICTURES, "text": TEXTS, "audio": SOUNDS}


@dataclass(frozen=True)
class _Known:
    """What a folder says of a network: the class that reads it, its inputs, and its files."""

    kind: Kind
    settings: Mapping[str, Any]
    texts: Mapping[str, str] = field(default_factory=dict)
    convert: Callable[[Tensors, Tensors], Tensors] = _under_network


def _modality(kind: str, folder: Path, asked: str | None) -> str:
    """Return what a network is for: what is asked, if its kind is known for that."""
    if asked is not None and kind in _KINDS.get(asked, {}):
        return asked
    if kind in SOUNDS:
        return "audio"
    looks = kind in PICTURES or (folder / "preprocessor_config.json").is_file()
    return "text" if (kind in TEXTS and kind not in PICTURES) or not looks else "image"


def _hears(folder: Path, config: Mapping[str, Any], kind: Kind) -> _Known:
    """Return how a source wants its recordings, and what it writes with, if it does."""
    said = _said(folder / "preprocessor_config.json")
    settings: dict[str, Any] = {}
    if "do_normalize" in said and kind.network != "ASTModel":
        settings["normalised"] = bool(said["do_normalize"])
    if kind.network == "ASTModel":
        settings = {name: float(said[name]) for name in ("mean", "std") if name in said}
    if kind.part:  # with a decoder beside it
        texts = {TOKENIZER: _tokenizer(folder)}
        sides = {f"{kind.part}.": "network.", "decoder.": "writer.network."}
        return _Known(replace(kind, part=""), settings, texts, _renamed(sides))
    [whole] = config.get("architectures") or [kind.network]
    vocabulary = _said(folder / "vocab.json")
    if not whole.endswith("ForCTC") or not vocabulary:
        return _Known(kind, settings)
    blank = config.get("pad_token_id") or 0
    outputs = {NONE: blank} | {
        letter: number
        for token, number in sorted(vocabulary.items(), key=lambda pair: pair[1], reverse=True)
        if len(token) == 1 and (letter := _letter(token))
    }
    order = list(outputs.values())
    letters = "".join(str(letter) for letter in outputs if letter != NONE)
    sides = {f"{config['model_type']}.": "network.", "lm_head.": _LETTERS_OF}
    return _Known(
        replace(kind, network=whole), settings, {LETTERS: letters}, _renamed(sides, order)
    )


def _letter(token: str) -> str:
    """Return what a token of one character is in a transcript; nothing if it is no part of one."""
    if token == _BETWEEN_WORDS:
        return " "
    found = normalised(f"a{token}a")[1:-1].strip()  # an apostrophe is one between letters alone
    return found if len(found) == 1 else ""  # a sharp s is two letters


_BETWEEN_WORDS = "|"
"""The token of networks of CTC that stands for a space."""


def _renamed(
    sides: Mapping[str, str], outputs: Sequence[int] | None = None
) -> Callable[[Tensors, Tensors], Tensors]:
    """Return what gives tensors the names of a backbone; a writer's `outputs` in that order."""

    def convert(tensors: Tensors, fresh: Tensors) -> Tensors:
        named = {
            f"{ours}{name.removeprefix(theirs)}": tensor
            for theirs, ours in sides.items()
            for name, tensor in tensors.items()
            if name.startswith(theirs)
        }
        if outputs is not None:
            named |= {n: v[list(outputs)] for n, v in named.items() if n.startswith(_LETTERS_OF)}
        return {name: named[name] for name in fresh if name in named}

    return convert


_LETTERS_OF = "writer.linear."


def _said(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file, if there is one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise SourceError(f"{path} is damaged: {error}") from None
    return found if isinstance(found, dict) else {}


def _looks(folder: Path) -> dict[str, Any]:
    """Return how the source wants its pictures, from ``preprocessor_config.json``."""
    known = _said(folder / "preprocessor_config.json")
    return {
        "size": 224,  # the family knows the network's own
        "mean": list(known.get("image_mean") or [0.5, 0.5, 0.5]),
        "std": list(known.get("image_std") or [0.5, 0.5, 0.5]),
        "interpolation": "bicubic" if known.get("resample") == 3 else "bilinear",
    }


def _reads(folder: Path, config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return how the source wants its texts, and its tokenizer as the text of a file."""
    own = config.get("text_config") or config
    offset = _OFFSET.get(own.get("model_type", config["model_type"]))
    pad = own.get("pad_token_id", offset)
    pad = 0 if pad is None or pad < 0 else pad
    positions = own.get("max_position_embeddings") or own.get("n_positions") or WINDOW
    reserved = 0 if offset is None else pad + 1
    settings = {"max_length": min(WINDOW, positions - reserved), "pad": pad}
    return settings, {"tokenizer.json": _tokenizer(folder)}


_OFFSET = {"roberta": 1, "xlm-roberta": 1, "mpnet": 1}
"""Types that count positions from after the padding's number, with that which is usual there."""
_VOCABULARIES = ("vocab.*", "*.model")


def _tokenizer(folder: Path) -> str:
    """Return the definition of a folder's tokenizer; an older kind of file is converted."""
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    path = folder / "tokenizer.json"
    try:
        if path.is_file():
            definition: str = Tokenizer.from_file(str(path)).to_str()
            return definition
        if any(found for pattern in _VOCABULARIES for found in folder.glob(pattern)):
            tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            definition = tokenizer.backend_tokenizer.to_str()
            return definition
        reason = "tokenizer.json is missing"
    except Exception as error:  # it can fail in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0]
    raise SourceError(f"{folder} holds no tokenizer that can be read ({reason}).")


def _source(name: str, folder: Path, paths: list[Path], **known: Any) -> Source:
    """Return the description of a source that is not in the catalogue."""
    return Source(
        id=name,
        title=name,
        files=tuple(SourceFile(path.name, digest_file(path), ()) for path in paths),
        folder=folder,
        parameters=_count(paths),
        pretraining="unknown: see its own card",
        prefer="",
        **known,
    )


def _count(paths: list[Path]) -> int:
    """Return the number of values in safetensors files, read off their headers."""
    from safetensors import SafetensorError, safe_open

    total = 0
    for path in paths:
        if path.suffix != ".safetensors":
            continue
        try:
            with safe_open(path, "pt") as held:
                total += sum(prod(held.get_slice(key).get_shape()) for key in held.keys())  # noqa: SIM118
        except SafetensorError as error:
            raise SourceError(f"{path} is damaged: {error}") from None
    return total
