"""Recordings: every format, bad ones named, long ones in little memory."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from headstart.data import sounds
from headstart.data.sounds import Heard, begins_like_a_recording, heard, length, samples
from headstart.errors import Unreadable

RATE = 16_000


def tone(seconds=1.0, rate=RATE, hertz=440.0, size=0.3):
    return (size * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype("f4")


def written(content, rate=RATE, kind="WAV", subtype=None):
    out = io.BytesIO()
    soundfile.write(out, content, rate, format=kind, subtype=subtype)
    return out.getvalue()


FORMATS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAV", "PCM_U8"),
    ("WAV", "ULAW"),
    ("WAV", "IMA_ADPCM"),
    ("WAV", "MS_ADPCM"),
    ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
]


@pytest.mark.parametrize(("kind", "subtype"), FORMATS, ids=[f"{k}-{s}" for k, s in FORMATS])
def test_every_format_is_heard(kind, subtype, tmp_path):
    content = written(tone(), kind=kind, subtype=subtype)
    assert begins_like_a_recording(content[:64])
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(content)
    for cell in (content, path):
        found = heard(cell)
        assert found.rate == RATE and found.seconds == pytest.approx(1.0, abs=0.15)
        assert found.loudest == pytest.approx(0.3, abs=0.08)
    assert abs(np.abs(np.fft.rfft(samples(content, RATE)[:RATE])).argmax() - 440) <= 2


@pytest.mark.parametrize("rate", (8_000, 11_025, 44_100, 192_000))
def test_any_rate_becomes_the_one_that_is_asked_for(rate):
    content = written(tone(1.5, rate), rate)
    found = samples(content, RATE)
    assert len(found) == pytest.approx(1.5 * RATE, abs=2)
    assert np.abs(np.fft.rfft(found[:RATE])).argmax() == 440


def test_channels_become_their_mean():
    eight = np.stack([tone() * share for share in np.linspace(0, 1, 8)], 1)
    found = heard(written(eight))
    assert found.channels == 8 and found.loudest == pytest.approx(0.15, abs=0.01)


def test_some_seconds_are_read_from_any_place():
    rising = np.linspace(0, 0.9, 4 * RATE, dtype="f4")
    content = written(rising, subtype="FLOAT")
    part = samples(content, RATE, begin=1.0, seconds=0.5)
    np.testing.assert_allclose(part, rising[RATE : RATE + RATE // 2], atol=1e-6)
    assert len(samples(content, RATE, begin=9.0)) == 0


def test_content_decides_the_digest_and_not_the_container():
    exact = np.round(tone() * 32768) / 32768
    digests = {
        heard(written(exact, kind=kind, subtype=subtype)).digest
        for kind, subtype in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("WAV", "PCM_24"))
    }
    assert len(digests) == 1
    assert heard(written(tone(hertz=441))).digest not in digests
    assert heard(written(exact, 22_050)).digest not in digests


BAD = {
    "zero bytes": (b"", "an empty file"),
    "a text": (b"not at all a recording" * 9, "not a recording"),
    "one sample": (written(np.array([0.5], "f4")), "the least"),
    "silence": (written(np.zeros(RATE, "f4")), "a silent recording"),
    "NaN": (written(np.full(RATE, np.nan, "f4"), subtype="FLOAT"), "no numbers"),
    "clipped": (written(np.sign(tone()), subtype="FLOAT"), "clipped"),
    "a header": (written(tone())[:44], "the least|not a recording"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_bad_is_named(name, tmp_path):
    content, reason = BAD[name]
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    for cell in (content, path):
        with pytest.raises(Unreadable, match=reason):
            heard(cell)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Unreadable, match="no such file"):
        heard(tmp_path / "none.wav")


@pytest.mark.parametrize(("kind", "subtype"), FORMATS, ids=[f"{k}-{s}" for k, s in FORMATS])
@pytest.mark.parametrize("share", (0.02, 0.5, 0.9))
def test_what_is_cut_short_is_read_as_far_as_it_goes_or_named(kind, subtype, share):
    content = written(tone(2.0), kind=kind, subtype=subtype)
    try:
        assert heard(content[: int(share * len(content))]).seconds <= 2.2
    except Unreadable as why:
        assert str(why)


@given(
    st.binary(max_size=200),
    st.sampled_from([written(tone(0.2), kind=k) for k in ("WAV", "FLAC", "OGG")]),
    st.integers(0, 2_000),
)
def test_damage_is_never_a_traceback(noise, content, place):
    damaged = content[:place] + noise + content[place + len(noise) :]
    try:
        assert isinstance(heard(damaged), Heard)
    except Unreadable as why:
        assert str(why)


def test_hours_are_heard_in_little_memory(tmp_path):
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8_000, 1) as out:
        for _ in range(90):
            out.write(np.zeros(8_000 * 60))
        out.write(tone(1.0, 8_000))
    tracemalloc.start()
    found = heard(path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    assert found.seconds == pytest.approx(90 * 60 + 1) and found.floor == 0.0
    assert length(path) == pytest.approx(found.seconds)


def test_too_long_is_refused_by_the_header(tmp_path, monkeypatch):
    monkeypatch.setattr(sounds, "LONGEST", 0.5)
    with pytest.raises(Unreadable, match="hours"):
        heard(written(tone()))


def test_without_the_package_it_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(Unreadable, match=r"pip install 'headstart\[audio\]'"):
        heard(written(tone()))
