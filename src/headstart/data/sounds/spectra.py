"""Spectra of recordings: energies as Whisper and as Kaldi take them, and where it is quiet."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import torch
from torch import Tensor

RATE = 16_000
"""Samples a second that spectra are taken of."""
WINDOW, HOP = 400, 160
"""Samples of a frame, and from one frame to the next: 25 and 10 milliseconds."""
DEEP = 8.0
"""Powers of ten below the loudest value of a recording beyond which nothing is told apart."""
_LINEAR_HZ = 200 / 3
_FROM_HZ = 1_000.0
_STEP = np.log(6.4) / 27
"""Slaney's mel scale: linear up to 1,000 Hz, logarithmic above (Auditory Toolbox, 1998)."""


def log_mel(samples: np.ndarray, bands: int = 80) -> np.ndarray:
    """Return (frames, bands) float32 log-mel energies of samples at `RATE`, a frame every 10 ms.

    As in Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, 2022: what
    lies over 80 dB below the loudest value is cut off, and values are about -1 to 1.
    """
    logs = _energies(samples, bands).clamp(min=1e-10).log10()
    return ((logs.clamp(min=float(logs.max()) - DEEP) + 4) / 4).T.contiguous().numpy()


def mel_energies(samples: np.ndarray, bands: int) -> np.ndarray:
    """Return (frames, bands) float32 energies, of which `log_mel` takes logarithms."""
    return _energies(samples, bands).T.contiguous().numpy()


def _energies(samples: np.ndarray, bands: int) -> Tensor:
    sound = torch.from_numpy(np.ascontiguousarray(samples, np.float32))
    short = WINDOW - len(sound)
    if short > 0:
        sound = torch.nn.functional.pad(sound, (0, short))
    found = torch.stft(sound, WINDOW, HOP, window=_window(), return_complex=True)
    return _filters(bands) @ found[:, :-1].abs().square()


def kaldi_fbank(samples: np.ndarray, bands: int) -> np.ndarray:
    """Return (frames, bands) float32 logarithms of energies, as Kaldi's ``fbank`` has them."""
    from transformers.audio_utils import spectrogram

    short = max(0, WINDOW - len(samples))
    window, filters = _kaldi(bands)
    found = spectrogram(
        np.pad(samples, (0, short)),
        window,
        frame_length=WINDOW,
        hop_length=HOP,
        fft_length=_KALDI,
        power=2.0,
        center=False,
        preemphasis=0.97,
        mel_filters=filters,
        mel_floor=float(np.finfo(np.float32).eps),
        log_mel="log",
        remove_dc_offset=True,
    )
    return np.ascontiguousarray(found.T, np.float32)


_KALDI = 512
"""Samples that a frame is filled up to for Kaldi's spectrum."""


@cache
def _kaldi(bands: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the window, and the filters (frequencies, bands)."""
    from transformers.audio_utils import mel_filter_bank, window_function

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the lowest of many bands lies between two frequencies
        filters = mel_filter_bank(
            num_frequency_bins=_KALDI // 2 + 1,
            num_mel_filters=bands,
            min_frequency=20,
            max_frequency=RATE // 2,
            sampling_rate=RATE,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )
    return window_function(WINDOW, "hann", periodic=False), filters


@cache
def _window() -> Tensor:
    return torch.hann_window(WINDOW)


@cache
def _filters(bands: int) -> Tensor:
    """Return (bands, WINDOW / 2 + 1) triangles on the mel scale, each of the same area."""
    bins = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    edges = _hertz(np.linspace(_mel(0.0), _mel(RATE / 2), bands + 2))
    rising = (bins[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins[None]) / np.diff(edges)[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    areas = 2.0 / (edges[2:] - edges[:-2])
    return torch.from_numpy((triangles * areas[:, None]).astype(np.float32))


def _mel(hertz: float) -> float:
    if hertz < _FROM_HZ:
        return hertz / _LINEAR_HZ
    return _FROM_HZ / _LINEAR_HZ + float(np.log(hertz / _FROM_HZ)) / _STEP


def _hertz(mels: np.ndarray) -> np.ndarray:
    bend = _FROM_HZ / _LINEAR_HZ
    above = _FROM_HZ * np.exp(_STEP * (np.maximum(mels, bend) - bend))
    return np.where(mels < bend, _LINEAR_HZ * mels, above)


def statistics(mel: np.ndarray) -> np.ndarray:
    """Return what each band of (frames, bands) is like in all: 6 numbers a band, (6 x bands,).

    Mean, standard deviation, a low, a middle and a high value, and how it changes from frame to
    frame.
    """
    changes = np.diff(mel, axis=0) if len(mel) > 1 else np.zeros_like(mel)
    low, middle, high = np.quantile(mel, (0.1, 0.5, 0.9), axis=0)
    said = [mel.mean(0), mel.std(0), low, middle, high, changes.std(0)]
    return np.concatenate(said).astype(np.float32)


def quietest(samples: np.ndarray, rate: int) -> int:
    """Return the middle of the quietest twentieth of a second."""
    step = min(max(1, rate // 20), len(samples))
    whole = len(samples) // step * step
    energies = np.square(samples[:whole].reshape(-1, step), dtype=np.float64).mean(1)
    return step * int(energies.argmin()) + step // 2


def pieces(samples: np.ndarray, rate: int, longest: float) -> list[tuple[int, int]]:
    """Return (begin, end) of pieces of at most `longest` seconds, cut where it is quietest.

    They are of about one size: a cut lies within a third of where it would lie if they were.
    """
    most = max(6, int(longest * rate))
    found, begin = [], 0
    while (left := len(samples) - begin) > most:
        count = -(-6 * left // (5 * most))  # with some room to choose where to cut
        first = max(2 * left // (3 * count), left - (count - 1) * most)
        last = min(4 * left // (3 * count), most)
        end = begin + first + quietest(samples[begin + first : begin + last], rate)
        found.append((begin, end))
        begin = end
    return [*found, (begin, len(samples))]
