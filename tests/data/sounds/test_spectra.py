"""Spectra: as Whisper's own extractor gives them, and cuts where it is quiet."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import ASTFeatureExtractor

from headstart.data.sounds.spectra import HOP, RATE, kaldi_fbank, log_mel, pieces


@pytest.mark.parametrize("bands", (80, 128))
def test_they_are_those_of_whisper_s_extractor(bands):
    from transformers import WhisperFeatureExtractor

    sound = np.random.default_rng(0).normal(0, 0.1, 3 * RATE).astype("f4")
    sound[RATE:] *= 1e-3
    theirs = WhisperFeatureExtractor(feature_size=bands, chunk_length=3)(
        sound, sampling_rate=RATE, return_tensors="np"
    ).input_features[0]
    ours = log_mel(sound, bands)
    assert ours.shape == (300, bands)
    np.testing.assert_allclose(ours, theirs.T, atol=2e-4)


def test_a_short_sound_has_a_frame_every_ten_milliseconds():
    sound = np.random.default_rng(0).normal(0, 0.1, RATE // 2).astype("f4")
    assert log_mel(sound).shape == (RATE // 2 // HOP, 80)
    assert np.isfinite(log_mel(sound[:10])).all()


@given(st.integers(1, 60_000), st.floats(0.05, 2.0))
def test_pieces_cover_everything_once_and_are_short_enough(count, longest):
    sound = np.random.default_rng(count).normal(0, 1, count)
    found = pieces(sound, 8_000, longest)
    assert found[0][0] == 0 and found[-1][1] == count
    assert all(a[1] == b[0] for a, b in pairwise(found))
    sizes = [end - begin for begin, end in found]
    assert all(0 < size <= int(longest * 8_000) for size in sizes)
    assert max(sizes) <= 3 * min(sizes), "each counts as much as another"


def test_cuts_lie_where_it_is_quiet():
    sound = np.ones(30 * 1_000)
    for second in (8, 17, 25):
        sound[second * 1_000 : second * 1_000 + 200] = 0
    cuts = [end / 1_000 for _, end in pieces(sound, 1_000, 10.0)[:-1]]
    assert [int(cut) for cut in cuts] == [8, 17, 25][: len(cuts)] and len(cuts) >= 2


def test_kaldi_s_energies_are_those_of_transformers():
    sound = np.random.default_rng(0).normal(0, 0.1, 9_000).astype(np.float32)
    theirs = ASTFeatureExtractor(num_mel_bins=32, max_length=55, do_normalize=False)
    expected = theirs(sound, sampling_rate=RATE, return_tensors="np")["input_values"][0]
    found = kaldi_fbank(sound, 32)
    assert found.shape == (54, 32) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected[:54], atol=1e-4)
