"""Weights in other formats, written as safetensors when they are fetched; no code in them runs."""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.errors import SourceError


def from_pickle(sent: Path, kept: Path) -> None:
    """Write the numpy arrays in a pickle, named by their keys and places in it.

    A pickle is a program. This one may build dictionaries, lists and arrays of numbers, and call
    nothing else.

    Raises
    ------
    SourceError
        If it calls for anything else, or holds anything but arrays.
    """
    with sent.open("rb") as stream:
        try:
            content = _Unpickler(stream).load()
        except SourceError:
            raise
        except Exception as error:  # a damaged file can fail anywhere in the unpickler
            raise SourceError(f"{sent.name} is damaged: {error}") from None
    _write(dict(_leaves(content, "", sent.name)), kept)


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows numpy's three names for arrays, and nothing else.

    Not even numpy is called: what the names stand for checks its state and keeps it.
    """

    def find_class(self, module: str, name: str) -> Any:
        """Return what a global stands for."""
        known = {
            ("numpy.core.multiarray", "_reconstruct"): _Array,
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _Number,
        }
        # numpy 2 has moved its core
        found = known.get((module.replace("numpy._core", "numpy.core"), name))
        if found is None:
            raise SourceError(
                f"a pickle asks for {module}.{name} and was refused: loading it could run code"
            )
        return found


class _Number:
    """Stands for numpy's type of the values of an array."""

    def __init__(self, code: Any, *_options: Any) -> None:
        if not isinstance(code, str) or not re.fullmatch("[biuf][1248]", code):
            raise SourceError(f"a pickle holds an array of {code!r}, which is no number: refused")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands for an array; its values are those bytes that its state holds."""

    values: np.ndarray

    def __init__(self, *_given: Any) -> None:
        """Take the arguments of numpy's own, which the state repeats."""

    def __setstate__(self, state: Any) -> None:
        _version, shape, number, by_columns, content = state
        if not isinstance(number, _Number) or not isinstance(content, bytes):
            raise SourceError("a pickle holds an array without plain values: refused")
        values = np.frombuffer(content, number.dtype)
        self.values = values.reshape(shape, order="F" if by_columns else "C")


def _leaves(content: Any, name: str, file: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, array) of all arrays in nested dictionaries and lists."""
    if isinstance(content, _Array):
        yield name, content.values
        return
    if not isinstance(content, dict | list | tuple):
        raise SourceError(f"{file} holds {type(content).__name__} at {name!r}, which is no array")
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in pairs:
        yield from _leaves(value, f"{name}.{key}" if name else str(key), file)


def from_hdf5(sent: Path, kept: Path) -> None:
    """Write the arrays of an HDF5 file (Keras's weights), named by their paths in it."""
    import h5py

    arrays: dict[str, np.ndarray] = {}

    def take(name: str, held: Any) -> None:
        if isinstance(held, h5py.Dataset):
            arrays[name] = held[()]

    try:
        with h5py.File(sent) as file:
            file.visititems(take)
    except OSError as error:
        raise SourceError(f"{sent.name} is damaged: {error}") from None
    _write(arrays, kept)


def from_gguf(sent: Path, kept: Path) -> None:
    """Write the tensors of a GGUF file in float32, under the names that they have in it."""
    from gguf import GGUFReader, dequantize

    try:
        tensors = GGUFReader(sent).tensors
    except Exception as error:  # a damaged file can fail anywhere in a parser
        raise SourceError(f"{sent.name} is damaged: {error}") from None
    _write({held.name: dequantize(held.data, held.tensor_type) for held in tensors}, kept)


def tokenizer_from_gguf(sent: Path, kept: Path) -> None:
    """Write the tokenizer of a GGUF file as ``tokenizer.json``."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(sent.parent, gguf_file=sent.name)
    kept.write_text(tokenizer.backend_tokenizer.to_str(), encoding="utf-8")


def from_checkpoint(member: str) -> Callable[[Path, Path], None]:
    """Return what writes the tensors of one member of a PyTorch checkpoint, such as its weights."""

    def make(sent: Path, kept: Path) -> None:
        try:
            found = torch.load(sent, map_location="cpu", weights_only=True)[member]
            arrays = {name: value.numpy() for name, value in found.items()}
        except pickle.UnpicklingError:
            raise SourceError(
                f"{sent.name} holds more than tensors and was refused: loading it could run code"
            ) from None
        except Exception as error:  # a damaged file can fail anywhere in a parser
            raise SourceError(f"{sent.name} is damaged: {error}") from None
        _write(arrays, kept)

    return make


def from_ctranslate2(sent: Path, kept: Path) -> None:
    """Write the variables of a CTranslate2 model, under the names that they have in it.

    Raises
    ------
    SourceError
        If a length in it does not agree with the file's.
    """
    _write(dict(_variables(sent.read_bytes(), sent.name)), kept)


def read_ctranslate2(parts: Sequence[Path]) -> dict[str, Tensor]:
    """Return the variables of a CTranslate2 model that is kept in several files, as they follow.

    Raises
    ------
    SourceError
        If a length in it does not agree with the files'.
    """
    content = b"".join(part.read_bytes() for part in parts)
    found = _variables(content, parts[0].name)
    return {name: torch.from_numpy(value.copy()) for name, value in found}


_CT2_TYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}
_CT2_MOST = 8
"""Dimensions of a variable at most."""


def _variables(content: bytes, file: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, array) of all variables of a CTranslate2 container, little endian throughout."""
    place = 0

    def take(size: int) -> bytes:
        nonlocal place
        if not 0 <= size <= len(content) - place:
            raise SourceError(f"{file} is damaged: {size} bytes are missing at byte {place}")
        place += size
        return content[place - size : place]

    def number(size: int) -> int:
        return int.from_bytes(take(size), "little")

    def text() -> str:
        try:
            return take(number(2)).rstrip(b"\0").decode()
        except UnicodeDecodeError:
            raise SourceError(f"{file} is damaged: no name at byte {place}") from None

    number(4), text(), number(4)  # version, kind of model, revision
    for _ in range(number(4)):
        name, rank = text(), number(1)
        if rank > _CT2_MOST:
            raise SourceError(f"{file} is damaged: {name} has {rank} dimensions")
        shape = [number(4) for _ in range(rank)]
        kind = _CT2_TYPES.get(number(1))
        if kind is None:
            raise SourceError(f"{file} is damaged, or too new: {name} is of a type not known")
        held = take(number(4))
        if len(held) != math.prod(shape) * np.dtype(kind).itemsize:
            raise SourceError(f"{file} is damaged: {name} of {shape} holds {len(held):,} bytes")
        yield name, np.frombuffer(held, kind).reshape(shape)


def _write(arrays: dict[str, np.ndarray], path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, path)
    path.chmod(0o644)  # safetensors lets its owner alone read it
