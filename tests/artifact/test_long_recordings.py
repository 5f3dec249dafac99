"""Recordings longer than a window are written part by part, whatever lies beside them."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from headstart.artifact.predictor import Predictor
from headstart.artifact.saving import Artifact
from headstart.data.letters import letters_of
from headstart.data.modalities import Preprocessing, View, modalities
from headstart.errors import DataError
from headstart.models import Model, Response, Saved

RATE, SECONDS = 16_000, 3.0
SETTINGS = {"front": "wave", "seconds": SECONDS}


class Loudness(Model):
    """Writes down how loud what it reads is, from 0 to 9, and for how many tenths of a second."""

    preprocessing = Preprocessing(SETTINGS, {})

    def __init__(self) -> None:
        self.asked: list[int] = []

    def respond(self, rows):
        self.asked.append(len(rows))
        texts = []
        for cell in rows.inputs:
            read = modalities.get("audio").collate([cell], [""], self.preprocessing, View())
            sound = read["wave"][0]
            texts.append(f"{round(9 * float(np.abs(sound).max()))}x{len(sound) * 10 // RATE}")
        return Response(torch.from_numpy(letters_of(texts)).float(), torch.zeros(len(rows), 1))

    def saved(self):
        return Saved("loudness", {}, {})


@pytest.fixture
def writer():
    """A predictor of transcripts that reads three seconds at a time."""
    spec = {"name": "transcript", "letters": "0123456789x"}
    return Predictor(Artifact(Loudness(), "speech-recognition", spec, "cer"))


def recording(path, *parts, kind=None):
    """Write stretches of a tone: (loudness of one, seconds)."""
    sound = [
        loud * np.sin(2 * np.pi * 440 * np.arange(int(RATE * seconds)) / RATE)
        for loud, seconds in parts
    ]
    soundfile.write(path, np.concatenate(sound).astype("f4"), RATE, format=kind)
    return path


def test_a_long_one_is_cut_where_it_is_quiet(writer, tmp_path):
    long = recording(tmp_path / "long.wav", (0.5, 2.4), (0.0, 0.2), (1.0, 2.2))
    [answer] = writer.stream([long])
    begins = [part["begin"] for part in answer.data["segments"]]
    assert len(begins) == 2 and begins[0] == 0 and 2.4 <= begins[1] <= 2.6
    assert answer.data["prediction"].startswith("4x") and " 9x" in answer.data["prediction"]


def test_silence_in_it_is_no_reason_to_refuse_it_beside_what_is_broken(writer, tmp_path):
    pause = recording(tmp_path / "a.wav", (0.5, 2.5), (0.0, 6.0), (0.5, 2.5))
    silent = recording(tmp_path / "b.wav", (0.0, 2.0))
    alone = [answer.data for answer in writer.stream([pause, silent])]
    (tmp_path / "c.wav").write_bytes(b"no recording")
    found = list(writer.stream([pause, silent, tmp_path / "c.wav"]))
    assert [answer.problem for answer in found] == [
        "",
        "",
        "not a recording (Format not recognised)",
    ]
    assert [answer.data for answer in found[:2]] == alone
    with pytest.raises(DataError, match=r"c\.wav: not a recording"):
        writer.predict([pause, tmp_path / "c.wav"])


def test_one_that_is_damaged_further_on_is_said_to_be(writer, tmp_path):
    whole = recording(tmp_path / "whole.flac", *[(0.5, 2.0), (0.3, 1.0)] * 20)
    content = whole.read_bytes()
    half = tmp_path / "half.flac"
    half.write_bytes(content[: len(content) // 2])
    damaged, fine = writer.stream([half, whole])
    assert damaged.problem.startswith("the recording is damaged") and not damaged.data
    assert fine.data["segments"][-1]["end"] == pytest.approx(60.0, abs=0.01)


def test_without_a_sample_there_is_nothing_to_write(writer, tmp_path):
    empty = recording(tmp_path / "empty.wav", (0.0, 0.0))
    [answer] = writer.stream([empty])
    assert answer.problem == "a recording without a sample"


def test_an_answer_comes_as_soon_as_its_last_part_is_read(writer, tmp_path):
    paths = [recording(tmp_path / f"{i}.wav", (0.5, 7.0)) for i in range(40)]
    answers = writer.stream(paths)
    assert next(answers).problem == ""
    assert sum(writer.artifact.model.asked) <= 64, "of some 120 parts of all recordings"
    assert len(list(answers)) == 39


def test_a_format_without_a_header_is_set_aside(writer, tmp_path):
    raw = tmp_path / "sound.raw"
    raw.write_bytes(np.zeros(RATE, "<i2").tobytes())
    fine = recording(tmp_path / "fine.wav", (0.5, 1.0))
    [bad, good] = writer.stream([raw, fine])
    assert bad.problem.startswith("not a recording") and good.data["prediction"] == "4x10"
