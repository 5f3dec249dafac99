"""Recordings: one channel at 16 kHz, as energies or as the samples themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.data.dataset import Cell
from headstart.data.modalities import (
    Excerpt,
    Extent,
    Modality,
    Preprocessing,
    Trait,
    View,
    Window,
    at_length_one,
    longest_first,
    low_frequencies,
    modalities,
)
from headstart.data.sounds import (
    SUFFIXES,
    as_wav,
    begins_like_a_recording,
    heard,
    length,
    samples,
)
from headstart.data.sounds.spectra import (
    RATE,
    kaldi_fbank,
    log_mel,
    mel_energies,
    pieces,
    quietest,
    statistics,
)
from headstart.data.sounds.views import heard as heard_as
from headstart.data.sounds.views import shown as shown_as
from headstart.devices import on_cores

RAW = 60.0
"""Seconds of raw samples at once, at most: the first convolutions make some 30 MB of each."""
FRAMES = 100
"""Frames of a second, in which lengths are counted."""
WINDOW = 30.0
"""Seconds that are read of a recording where no source says how many."""
LOUD = 10 ** (-30 / 20)
"""Root mean square that a recording is brought to at least where loudness shall not matter."""
_TIMES, _BANDS = 32, 32
"""Of a recording a sketch is taken of so many times and bands."""
_SKETCHED = 60.0
"""Seconds of it that a sketch looks at."""
_DRAWN = 60
"""Bars in which a report draws a recording."""


class AudioModality(Modality):
    """Recordings from files, or from their content."""

    name = "audio"
    noun = "recording"
    long = ("truncate", "chunks")

    def recognises(self, cell: Cell) -> bool:
        """Say whether `cell` is, or is written like, the path of a recording, or is its content."""
        if isinstance(cell, tuple):
            return False
        if isinstance(cell, bytes):
            return begins_like_a_recording(cell)
        return Path(str(cell)[-300:]).suffix.lower() in SUFFIXES

    def check(self, cell: Cell) -> str:
        """Decode the recording once and return the digest of its samples.

        Samples, not file bytes: the same recording saved twice without loss is a duplicate.
        """
        return heard(cell).digest

    def collate(
        self,
        cells: Sequence[Cell],
        digests: Sequence[str],
        preprocessing: Preprocessing,
        view: View,
    ) -> dict[str, np.ndarray]:
        """Return what the network reads of recordings, padded on the right, with its mask.

        By what `settings` name as its ``front``: ``mel`` (rows, positions, stride x bands) float32
        are the log-mel energies of `stride` frames of 10 milliseconds each, after `tail` seconds of
        silence were added; ``wave`` (rows, samples) float32 the samples; ``fbank`` (rows, frames,
        bands) float32 Kaldi's energies; ``energy`` (rows, frames, bands) float32 energies of equal
        loudness. Of these `first` make a position, and `step` more each further one; there are as
        many as positions `reach`, if not `first`. The ``attention_mask`` (rows, tokens) int64 is
        one where the recording is: a position is a token, or `each` of them after `before` others.

        Where `settings` ask for a ``size``, it is a picture of the energies: ``pixels`` (rows, 3,
        size, size) uint8; where for ``statistics`` of so many bands, these alone: (rows, numbers)
        float32.
        """
        settings = preprocessing.settings
        rows: list[np.ndarray] = []
        chances: list[np.random.Generator] = []
        for cell, digest in zip(cells, digests, strict=True):
            windows = _windows(cell, preprocessing)
            if view.index:
                chance = view.random(digest)
                most = int(RATE * _seconds(preprocessing))  # a network may have no room for more
                windows = [heard_as(window, view.policy, chance)[:most] for window in windows]
                chances += [chance] * len(windows)
            rows += windows
        if "statistics" in settings:
            bands = int(settings["statistics"])
            return {"statistics": np.stack([statistics(log_mel(row, bands)) for row in rows])}
        if "size" in settings:
            return {"pixels": np.stack([_picture(row, int(settings["size"])) for row in rows])}
        front = settings.get("front", "mel")
        values = [_FRONTS[front](row, settings) for row in rows]
        if view.index and front != "wave":
            pairs = zip(values, chances, strict=True)
            values = [shown_as(energies, view.policy, chance) for energies, chance in pairs]
        first, step = int(settings.get("first", 1)), int(settings.get("step", 1))
        if front == "mel":
            values = [_folded(mel, int(settings["stride"])) for mel in values]
            most = int(FRAMES * _seconds(preprocessing)) // int(settings["stride"])
            values = [value[:most] for value in values]
        positions = [1 + max(0, len(value) - first) // step for value in values]
        before, each = int(settings.get("before", 0)), int(settings.get("each", 1))
        reach = int(settings.get("reach", first))
        longest = reach + step * (max(positions) - 1)
        found = np.zeros((len(values), longest, *values[0].shape[1:]), np.float32)
        mask = np.zeros((len(values), before + each * max(positions)), np.int64)
        for i, (value, count) in enumerate(zip(values, positions, strict=True)):
            whole = min(len(value), reach + step * (count - 1))
            found[i, :whole] = value[:whole]
            mask[i, : before + each * count] = 1
        return {front: found, "attention_mask": mask}

    def pieces(self, cells: Sequence[Cell], preprocessing: Preprocessing) -> list[int]:
        """Return into how many pieces each recording is cut: more than one only in chunks."""
        if not preprocessing.divides:
            return [1] * len(cells)
        return [len(_windows(cell, preprocessing)) for cell in cells]

    def extents(self, cells: Sequence[Cell], preprocessing: Preprocessing) -> list[Extent]:
        """Return how many frames of each recording are read."""
        window = int(FRAMES * _seconds(preprocessing))
        return [Extent(size, min(size, window), 0) for size in self.sizes(cells)]

    def at_once(self, cell: Cell, preprocessing: Preprocessing) -> int | None:
        """Return how many rows of raw samples fit into memory; of energies any number do."""
        if preprocessing.settings.get("front") != "wave":
            return None
        return max(1, int(RAW / min(length(cell), _seconds(preprocessing))))

    def window(self, preprocessing: Preprocessing) -> Window:
        """Return how many seconds are read at once."""
        return Window(int(_seconds(preprocessing)), "seconds", self.noun)

    def excerpts(self, cell: Cell, preprocessing: Preprocessing) -> Iterator[Excerpt]:
        """Yield a recording in parts, cut where it is quiet; a short one is its only part.

        Of a long one no more than a part is in memory.
        """
        whole, longest, begin = length(cell), _seconds(preprocessing), 0.0
        if whole <= longest:
            yield Excerpt(cell, 0.0, whole)
            return
        while begin < whole:
            sound = samples(cell, RATE, begin, longest)
            end = whole
            if whole - begin > longest:
                first = 2 * len(sound) // 3
                sound = sound[: first + quietest(sound[first:], RATE)]
                end = begin + len(sound) / RATE
            yield Excerpt(as_wav(sound, RATE), begin, end)
            begin = end

    def sizes(self, cells: Sequence[Cell]) -> list[int]:
        """Return the length of each recording in hundredths of a second, from its header."""
        return [round(FRAMES * length(cell)) for cell in cells]

    def order(self, cells: Sequence[Cell]) -> list[int]:
        """Return the rows by length, longest first, so that a batch needs little padding."""
        return longest_first(self.sizes(cells))

    def sketch(self, cells: Sequence[Cell]) -> np.ndarray:
        """Return the low frequencies of each recording's spectrogram, (rows, 255).

        As of a picture: 32 times by 32 bands, a cosine transform, and the square roots of its first
        coefficients. The mean loudness is left out.
        """

        def low(cell: Cell) -> np.ndarray:
            mel = log_mel(samples(cell, RATE, seconds=_SKETCHED), _BANDS)
            return low_frequencies(_squeezed(mel, _TIMES))

        return at_length_one(np.stack(list(on_cores(low, cells))))

    def traits(self, cells: Sequence[Cell]) -> list[Trait]:
        """Return rate, channels, format, length, loudness and background noise."""
        found = list(on_cores(heard, cells))
        return [
            Trait("sampling rate", tuple(float(one.rate) for one in found), True),
            Trait("number of channels", tuple(float(one.channels) for one in found), False),
            Trait("format", tuple(one.format for one in found), False),
            Trait("length", tuple(one.seconds for one in found), True),
            Trait("level", tuple(one.level for one in found), True),
            Trait("loudest sample", tuple(one.loudest for one in found), True),
            Trait("background noise", tuple(one.floor for one in found), True),
        ]

    def render(self, cell: Cell) -> str:
        """Return how loud the recording is from its beginning to its end, as a drawing."""
        sound = samples(cell, RATE, seconds=_SKETCHED)
        parts = np.array_split(np.abs(sound), _DRAWN)
        heights = np.array([part.max() if len(part) else 0.0 for part in parts])
        heights = 15 * heights / max(1e-9, heights.max())
        bars = "".join(f"M{2 * i + 1} {16 - h:.1f}v{2 * h:.1f}" for i, h in enumerate(heights))
        return (
            f'<svg width="{2 * _DRAWN}" height="32"><path d="{bars}" stroke="currentColor"/></svg> '
            f"{length(cell):.1f} s"
        )


def _seconds(preprocessing: Preprocessing) -> float:
    """Return how many seconds of a recording are read at once."""
    return float(preprocessing.settings.get("seconds", WINDOW))


def _windows(cell: Cell, preprocessing: Preprocessing) -> list[np.ndarray]:
    """Return the samples of a recording that are read: of its beginning, or in pieces."""
    seconds = _seconds(preprocessing)
    if not preprocessing.divides:
        return [samples(cell, RATE, seconds=seconds)]
    sound = samples(cell, RATE)
    return [sound[begin:end] for begin, end in pieces(sound, RATE, seconds)]


def _mel(sound: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """Return log-mel energies (frames, bands), with some silence after the recording."""
    tail = np.zeros(int(RATE * settings.get("tail", 0.0)), np.float32)
    return log_mel(np.concatenate([sound, tail]), int(settings["bands"]))


def _wave(sound: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """Return the samples, if asked with mean zero and variance one."""
    if not settings.get("normalised"):
        return sound
    standard: np.ndarray = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    return standard


def _fbank(sound: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """Return Kaldi's energies (frames, bands) as they were standardised in pre-training."""
    found = kaldi_fbank(sound, int(settings["bands"]))
    standard: np.ndarray = (found - settings["mean"]) / (2 * settings["std"])
    return standard


def _energy(sound: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """Return mel energies (frames, bands) of a recording that is not more quiet than usual."""
    loudness = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
    louder = max(1.0, LOUD / max(loudness, 1e-9))
    return mel_energies(louder * sound, int(settings["bands"]))


_FRONTS = {"energy": _energy, "fbank": _fbank, "mel": _mel, "wave": _wave}


def _folded(mel: np.ndarray, stride: int) -> np.ndarray:
    """Return frames (n, bands) as positions (n / stride, stride x bands), the last one filled."""
    missing = -len(mel) % stride
    whole = np.pad(mel, ((0, missing), (0, 0)), constant_values=mel.min())
    return whole.reshape(len(whole) // stride, -1)


def _picture(sound: np.ndarray, size: int) -> np.ndarray:
    """Return log-mel energies as a grey picture, (3, size, size) uint8, low tones below."""
    found = _squeezed(log_mel(sound, size), size).T[::-1]
    grey = np.clip(127.5 + 127.5 * found, 0, 255).astype(np.uint8)
    return np.broadcast_to(grey, (3, size, size))


def _squeezed(mel: np.ndarray, times: int) -> np.ndarray:
    """Return the means (times, bands) of as many stretches of time."""
    places = np.linspace(0, len(mel), times + 1).astype(int)
    begins = np.minimum(places[:-1], len(mel) - 1)
    counts = np.diff([*begins, len(mel)]).clip(1)
    return np.add.reduceat(mel, begins) / counts[:, None]


modalities.register("audio", AudioModality())
