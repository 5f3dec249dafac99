"""Recordings: any format that libsndfile reads, as one channel at the rate that is asked for.

However long a recording is, some seconds of it are in memory at a time.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.data.dataset import Cell
from headstart.errors import Unreadable

SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd"}
    | {".caf", ".w64", ".rf64", ".voc"}
)
BLOCK = 10.0
"""Seconds that are decoded at a time."""
SHORTEST = 0.1
"""Seconds below which a recording says nothing."""
SILENT = 1e-4
"""Largest amplitude, of one, below which a recording is taken for silent (-80 dB)."""
LOUDEST = 0.999
CLIPPED = 0.3
"""Share of samples at the loudest value from which on a recording is nothing but distortion."""
LONGEST = 12 * 3600.0
"""Seconds beyond which a recording is refused."""
CHANNELS = 64
UNKNOWN = 2**62
"""Samples beyond which libsndfile means that the file does not say, as one written to a pipe."""


@dataclass(frozen=True)
class Heard:
    """What a recording is like, from one pass over it.

    Attributes
    ----------
    digest
        Of its samples, as one channel at its own rate.
    rate
        Samples a second.
    seconds
        Its length.
    loudest, level
        Largest amplitude, and root mean square of all, of one.
    floor
        Root mean square of the quietest tenth of its tenths of a second.
    """

    digest: str
    rate: int
    seconds: float
    channels: int
    format: str
    loudest: float
    level: float
    floor: float


def begins_like_a_recording(content: bytes) -> bool:
    """Say whether the content of a file begins as one of the common formats does."""
    return (
        (content[:4] in (b"RIFF", b"RIFX", b"RF64") and content[8:12] == b"WAVE")
        or content[:4] in (b"fLaC", b"OggS", b"caff", b".snd")
        or (content[:4] == b"FORM" and content[8:12] in (b"AIFF", b"AIFC"))
        or content[:3] == b"ID3"
        or (len(content) > 2 and content[0] == 0xFF and content[1] & 0xE6 == 0xE2)
    )


def heard(cell: Cell) -> Heard:
    """Decode a recording once and say what it is like.

    Raises
    ------
    Unreadable
        If it is missing, empty, no recording, damaged, too short, too long, silent, or clipped all
        over; or if soundfile is not installed.
    """
    with _opened(cell) as sound:
        rate, channels, kind = sound.samplerate, sound.channels, sound.format
        digest, count, loud, clipped = hashlib.sha256(f"{rate}".encode()), 0, 0.0, 0
        energies: list[np.ndarray] = []
        for block in _blocks(sound):
            digest.update(_sixteen_bits(block))
            size = np.abs(block)
            loud, clipped = max(loud, float(size.max())), clipped + int((size >= LOUDEST).sum())
            count += len(block)
            energies.append(_energies(block, rate))
    seconds = count / rate
    if seconds < SHORTEST:
        raise Unreadable(f"a recording of {seconds:.2g} s; {SHORTEST:g} s is the least")
    if loud < SILENT:
        raise Unreadable("a silent recording")
    if clipped > CLIPPED * count:
        raise Unreadable(f"clipped: {clipped / count:.0%} of it is as loud as can be written")
    each = np.sort(np.concatenate(energies))
    quiet = each[: max(1, len(each) // 10)]
    return Heard(
        digest=digest.hexdigest(),
        rate=rate,
        seconds=seconds,
        channels=channels,
        format=kind,
        loudest=loud,
        level=float(np.sqrt(each.mean())),
        floor=float(np.sqrt(quiet.mean())),
    )


def samples(cell: Cell, rate: int, begin: float = 0.0, seconds: float | None = None) -> np.ndarray:
    """Return (n,) float32 samples of a recording, one channel at `rate` samples a second.

    Parameters
    ----------
    begin, seconds
        Where to begin, and how much to read at most; None is all of it.

    Raises
    ------
    Unreadable
        As `heard` does, but for what is too short, silent or clipped.
    """
    soxr = _required("soxr")
    with _opened(cell) as sound:
        own = sound.samplerate
        left = None if seconds is None else int(np.ceil(seconds * own))
        if begin:
            sound.seek(min(round(begin * own), sound.frames))
        stream = None if own == rate else soxr.ResampleStream(own, rate, 1, dtype="float32")
        found = []
        for block in _blocks(sound):
            some = block if left is None else block[:left]
            found.append(some if stream is None else stream.resample_chunk(some))
            if left is not None:
                left -= len(some)
                if left <= 0:
                    break
        if stream is not None:
            found.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    if not found and not begin:
        raise Unreadable("a recording without a sample")
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def as_wav(sound: np.ndarray, rate: int) -> bytes:
    """Return (n,) float32 samples as the content of a file."""
    stream = io.BytesIO()
    _required("soundfile").write(stream, sound, rate, format="WAV", subtype="FLOAT")
    return stream.getvalue()


def length(cell: Cell) -> float:
    """Return the seconds of a recording, from its header."""
    with _opened(cell) as sound:
        return float(sound.frames / sound.samplerate)


def _blocks(sound: Any) -> Iterator[np.ndarray]:
    """Yield (n,) float32 samples of a recording, the mean of its channels."""
    try:
        for block in sound.blocks(int(BLOCK * sound.samplerate), dtype="float32", always_2d=True):
            mono = block.mean(1)
            if not np.isfinite(mono).all():
                raise Unreadable("samples that are no numbers")
            if len(mono):
                yield mono
    except RuntimeError as error:
        raise Unreadable(f"the recording is damaged ({error})") from None


def _sixteen_bits(block: np.ndarray) -> bytes:
    return np.round(32768 * block.clip(-1, 1)).clip(-32768, 32767).astype("<i2").tobytes()


def _energies(block: np.ndarray, rate: int) -> np.ndarray:
    """Return the mean square of each tenth of a second."""
    step = max(1, rate // 10)
    whole = len(block) // step * step
    parts = [block[:whole].reshape(-1, step), block[whole:][None]]
    return np.concatenate([np.square(p, dtype=np.float64).mean(1) for p in parts if p.size])


def _opened(cell: Cell) -> Any:
    """Return an open recording; raise `Unreadable` where it is none."""
    assert not isinstance(cell, tuple), "a recording is one file"
    soundfile = _required("soundfile")
    try:
        sound = soundfile.SoundFile(io.BytesIO(cell) if isinstance(cell, bytes) else str(cell))
    except (RuntimeError, TypeError) as error:  # the latter of a format without any header
        raise Unreadable(_why(cell, str(error))) from None
    refused = ""
    if sound.channels > CHANNELS:
        refused = f"a recording of over {CHANNELS} channels"
    elif sound.frames > UNKNOWN:
        refused = "a recording that does not say how long it is; save it again"
    elif sound.frames > LONGEST * sound.samplerate:
        refused = f"a recording of over {LONGEST / 3600:g} hours"
    if refused:
        sound.close()
        raise Unreadable(refused)
    return sound


def _why(cell: Cell, error: str) -> str:
    if isinstance(cell, bytes):
        size = len(cell)
    else:
        path = Path(str(cell))
        if not path.exists():
            return "no such file"
        size = path.stat().st_size
    if not size:
        return "an empty file"
    return f"not a recording ({error.rpartition(': ')[2].strip().rstrip('.')})"


def _required(package: str) -> Any:
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError:
        raise Unreadable(
            f"a recording; reading them needs {package} (pip install 'headstart[audio]')"
        ) from None
