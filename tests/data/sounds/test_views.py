"""Views of recordings: what they change, what they keep, and that they are the same again."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from headstart.data.modalities import Preprocessing, View, modalities
from headstart.data.sounds.spectra import RATE
from headstart.data.sounds.views import heard, policies, shown
from headstart.data.sounds.views.masks import BANDS, COUNT, TIME

SETTINGS = {"stride": 2, "bands": 8, "seconds": 3.0, "tail": 0.0}


def tone(seconds=1.0, hertz=440.0):
    return np.sin(2 * np.pi * hertz * np.arange(int(RATE * seconds)) / RATE).astype(np.float32)


def pitch(samples):
    spectrum = np.abs(np.fft.rfft(samples))
    return spectrum.argmax() * RATE / len(samples)


def test_speed_changes_length_and_pitch_together():
    sound = tone()
    for seed in range(5):
        found = heard(sound, "speed", np.random.default_rng(seed))
        faster = len(sound) / len(found)
        assert 0.9 <= faster <= 1.1
        assert pitch(found) == pytest.approx(440 * faster, rel=0.01)


def test_noise_is_as_much_quieter_as_is_said():
    sound = tone()
    for seed in range(5):
        added = heard(sound, "noise", np.random.default_rng(seed)) - sound
        decibels = 10 * np.log10(np.mean(sound**2) / np.mean(added**2))
        assert 9.9 <= decibels <= 40.1
    silence = np.zeros(100, np.float32)
    assert not heard(silence, "noise", np.random.default_rng(0)).any()


def test_masks_leave_out_stretches_of_time_and_of_bands():
    energies = np.random.default_rng(0).standard_normal((100, 40)).astype(np.float32)
    for seed in range(5):
        found = shown(energies, "masks", np.random.default_rng(seed))
        changed = found != energies
        assert changed.all(0).sum() <= COUNT * BANDS * 40 + 1
        assert changed.all(1).sum() <= COUNT * TIME * 100 + 1
        assert (found[changed] == energies.mean()).all()
    assert changed.any()


@pytest.mark.parametrize("name", policies.names())
@pytest.mark.parametrize("samples", [1, 2, 500])
def test_a_moment_of_sound_survives_every_view(name, samples):
    sound = np.full(samples, 0.1, np.float32)
    found = heard(sound, name, np.random.default_rng(0))
    assert len(found) >= 1 and found.dtype == np.float32 and np.isfinite(found).all()
    one = shown(np.ones((1, 8), np.float32), name, np.random.default_rng(0))
    assert one.shape == (1, 8) and np.isfinite(one).all()


def test_a_row_has_its_own_view_whatever_stands_beside_it(tmp_path):
    cells = []
    for i, hertz in enumerate((300, 600, 900)):
        soundfile.write(tmp_path / f"{i}.wav", tone(0.5 + i / 10, hertz), RATE)
        cells.append(str(tmp_path / f"{i}.wav"))
    audio, preprocessing = modalities.get("audio"), Preprocessing(SETTINGS, {})
    digests = [f"{i:012x}" for i in range(3)]
    view = View(1, "speed+noise+masks", seed=3)
    whole = audio.collate(cells, digests, preprocessing, view)
    [alone] = audio.collate(cells[1:2], digests[1:2], preprocessing, view)["mel"]
    np.testing.assert_array_equal(whole["mel"][1][: len(alone)], alone)
    plain = audio.collate(cells, digests, preprocessing, View())
    other = audio.collate(cells, digests, preprocessing, View(2, view.policy, seed=3))
    for values in (plain, other):
        size = min(values["mel"].shape[1], whole["mel"].shape[1])
        assert not np.array_equal(values["mel"][:, :size], whole["mel"][:, :size])
