"""Recordings as rows: told from other inputs, batched, cut, sketched, described, drawn."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from transformers import Wav2Vec2FeatureExtractor

from headstart.data.modalities import Preprocessing, View, modalities, sniff
from headstart.data.sounds import samples
from headstart.data.sounds.spectra import RATE, log_mel
from headstart.errors import Unreadable

AUDIO = modalities.get("audio")
READS = Preprocessing({"bands": 16, "stride": 2, "seconds": 2.0, "tail": 0.1}, {})


def written(seconds, seed=0, rate=RATE, kind="WAV", level=0.1):
    sound = np.random.default_rng(seed).normal(0, level, int(seconds * rate))
    out = io.BytesIO()
    soundfile.write(out, sound, rate, format=kind)
    return out.getvalue()


@pytest.mark.parametrize("front", ["fbank", "mel", "wave"])
def test_a_slower_view_has_no_more_than_the_window(front):
    """A network may have no position for what is beyond it."""
    settings = {**READS.settings, "front": front, "tail": 0.0, "mean": 0.0, "std": 1.0}
    given = [written(2.0)], ["a"], Preprocessing(settings, {})
    plain = AUDIO.collate(*given, View())["attention_mask"].shape[1]
    for index in range(1, 6):
        view = AUDIO.collate(*given, View(index, "speed", 0))["attention_mask"]
        assert view.shape[1] <= plain


@pytest.mark.parametrize(
    ("cell", "is_one"),
    [
        ("a.wav", True),
        (Path("x/b.OGG"), True),
        ("https://host/c.mp3", True),
        (written(0.2), True),
        (written(0.2, kind="FLAC"), True),
        ("a.png", False),
        ("a wave", False),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 40, False),
        (("a.wav", "b.wav"), False),
    ],
)
def test_recordings_are_told_from_what_else_there_is(cell, is_one):
    assert AUDIO.recognises(cell) is is_one
    if is_one:
        assert sniff([cell]) is AUDIO


def test_a_batch_has_a_position_for_each_stride_and_a_mask():
    cells = [written(0.5, 1), written(1.0, 2)]
    batch = AUDIO.collate(cells, ["", ""], READS, View())
    assert batch["mel"].shape == (2, 55, 32) and batch["mel"].dtype == np.float32
    assert batch["attention_mask"].sum(1).tolist() == [30, 55]
    assert not batch["mel"][0, 30:].any()
    sound = np.random.default_rng(2).normal(0, 0.1, RATE)
    assert batch["mel"][1].reshape(-1, 16).shape == log_mel(np.pad(sound, (0, 1600)), 16).shape


def test_a_row_is_the_same_in_any_batch():
    cells = [written(0.3, 1), written(1.7, 2)]
    both = AUDIO.collate(cells, ["", ""], READS, View())
    alone = AUDIO.collate(cells[:1], [""], READS, View())
    np.testing.assert_array_equal(both["mel"][0, : alone["mel"].shape[1]], alone["mel"][0])


def test_of_long_recordings_the_beginning_is_read_or_all_in_pieces():
    cell = written(5.0)
    batch = AUDIO.collate([cell], [""], READS, View())
    assert batch["mel"].shape == (1, 100, 32)
    (extent,) = AUDIO.extents([cell], READS)
    assert (extent.size, extent.read) == (500, 200)
    chunks = Preprocessing({**READS.settings, "long": "chunks"}, {})
    (count,) = AUDIO.pieces([cell], chunks)
    assert count == len(AUDIO.collate([cell], [""], chunks, View())["mel"]) >= 3
    assert AUDIO.pieces([cell], READS) == [1]


def test_small_models_read_a_picture_of_the_spectrum_or_its_statistics():
    cells = [written(0.2), written(3.0)]
    pixels = AUDIO.collate(cells, ["", ""], Preprocessing({"size": 24}, {}), View())["pixels"]
    assert pixels.shape == (2, 3, 24, 24) and pixels.dtype == np.uint8 and pixels.std() > 1
    said = AUDIO.collate(cells, ["", ""], Preprocessing({"statistics": 8}, {}), View())
    assert said["statistics"].shape == (2, 48) and np.isfinite(said["statistics"]).all()


def test_rows_are_ordered_by_length():
    cells = [written(seconds) for seconds in (0.5, 2.0, 1.0)]
    assert AUDIO.sizes(cells) == [50, 200, 100]
    assert AUDIO.order(cells) == [1, 2, 0]


def test_sketches_of_the_same_recording_lie_together():
    sound = np.random.default_rng(0).normal(0, 0.1, 2 * RATE) * np.linspace(0, 1, 2 * RATE)
    cells = []
    for heard, rate, kind in ((sound, RATE, "WAV"), (0.5 * sound, RATE, "OGG")):
        out = io.BytesIO()
        soundfile.write(out, heard, rate, format=kind)
        cells.append(out.getvalue())
    other = np.sin(np.arange(2 * RATE) / 20) * 0.2
    out = io.BytesIO()
    soundfile.write(out, other, RATE, format="WAV")
    same, again, apart = AUDIO.sketch([*cells, out.getvalue()])
    assert same @ again > 0.95 > 0.7 > same @ apart
    np.testing.assert_allclose(np.linalg.norm([same, again, apart], axis=1), 1, atol=1e-5)


def test_traits_tell_how_it_was_recorded():
    cells = [written(1.0, rate=8_000), written(2.0, level=0.02, kind="FLAC")]
    found = {trait.name: trait.values for trait in AUDIO.traits(cells)}
    assert found["sampling rate"] == (8_000, RATE) and found["format"] == ("WAV", "FLAC")
    assert found["length"] == pytest.approx((1.0, 2.0))
    assert found["level"] == pytest.approx((0.1, 0.02), rel=0.05)


def test_bad_recordings_are_named():
    with pytest.raises(Unreadable, match="an empty file"):
        AUDIO.check(b"")
    once = written(0.5)
    again = io.BytesIO()
    soundfile.write(again, soundfile.read(io.BytesIO(once), dtype="int16")[0], RATE, format="FLAC")
    assert AUDIO.check(once) == AUDIO.check(again.getvalue()) != AUDIO.check(written(0.5, 1))


def test_it_is_drawn():
    drawn = AUDIO.render(written(1.5))
    assert drawn.startswith("<svg") and "1.5 s" in drawn and "nan" not in drawn


def test_a_long_recording_is_read_in_parts_cut_where_it_is_quiet(tmp_path):
    loud, quiet = np.full(12_000, 0.5, np.float32), np.zeros(4_000, np.float32)
    sound = np.concatenate([loud, quiet] * 5)
    soundfile.write(tmp_path / "long.wav", sound, 16_000, subtype="FLOAT")
    reads = Preprocessing({"seconds": 1.1}, {})
    parts = list(AUDIO.excerpts(tmp_path / "long.wav", reads))
    heard = [samples(part.cell, 16_000) for part in parts]
    np.testing.assert_array_equal(np.concatenate(heard), sound)
    assert [part.begin for part in parts[1:]] == [part.end for part in parts[:-1]]
    assert all(len(one) <= 1.1 * 16_000 for one in heard)
    assert 5 <= len(parts) <= 7
    for part in parts[:-1]:
        assert part.end % 1 > 0.75  # where it is silent
    [short] = AUDIO.excerpts(tmp_path / "long.wav", Preprocessing({}, {}))
    assert (short.cell, short.begin, short.end) == (tmp_path / "long.wav", 0.0, 5.0)


def test_a_network_may_hear_the_samples_themselves():
    cells = [written(0.05, 1), written(0.075, 2)]
    heard = {"front": "wave", "first": 400, "step": 320, "normalised": True}
    batch = AUDIO.collate(cells, ["a", "b"], Preprocessing(heard, {}), View())
    assert batch["wave"].shape == (2, 400 + 2 * 320)
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert not batch["wave"][0, 720:].any()
    sound = samples(cells[1], RATE)
    [expected] = Wav2Vec2FeatureExtractor()(sound, sampling_rate=RATE)["input_values"]
    np.testing.assert_allclose(batch["wave"][1], expected[:1040], atol=1e-4)


def test_a_network_may_see_patches_of_kaldi_s_energies():
    cells = [written(seconds) for seconds in (0.05, 0.5, 0.3)]
    sees = {"front": "fbank", "bands": 16, "first": 8, "step": 5, "before": 2, "each": 3}
    sees |= {"mean": -4.0, "std": 2.0}
    batch = AUDIO.collate(cells, list("abc"), Preprocessing(sees, {}), View())
    assert batch["attention_mask"].sum(1).tolist() == [2 + 3 * 1, 2 + 3 * 9, 2 + 3 * 5]
    assert batch["fbank"].shape == (3, 8 + 5 * 8, 16)
    assert not batch["fbank"][0, 8:].any() and batch["fbank"][0, :3].any()


def test_windows_of_equal_loudness_are_filled_with_silence():
    hears = {"front": "energy", "bands": 8, "first": 12, "reach": 16, "step": 16, "each": 16}
    cells = [written(0.05), written(0.28, level=0.001), written(0.27, level=0.002)]
    batch = AUDIO.collate(cells, list("abc"), Preprocessing(hears, {}), View())
    assert batch["attention_mask"].sum(1).tolist() == [16, 32, 16]
    assert batch["energy"].shape == (3, 32, 8) and not batch["energy"][1, 28:].any()
    quiet = AUDIO.collate([written(0.28, level=0.0001)], ["b"], Preprocessing(hears, {}), View())
    np.testing.assert_allclose(
        quiet["energy"][0].mean(), batch["energy"][1].mean(), rtol=0.2
    )  # as loud, but for how 16 bits round what is quiet
