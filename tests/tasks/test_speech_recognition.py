"""Speech recognition: transcripts as targets, and what is told of them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.dataset import Column, Dataset
from headstart.data.letters import letters_of, normalised
from headstart.errors import DataError
from headstart.tasks import task_for, tasks
from headstart.tasks.transcripts import TRANSCRIPTS

TASK = tasks.get("speech-recognition")
SAID = ["una rana", "dos perros", "tres gatos", "una casa", "un pez", "el sol", "la luna"]


def sound(seconds):
    out = io.BytesIO()
    soundfile.write(out, np.zeros(int(8_000 * seconds)), 8_000, format="WAV")
    return out.getvalue()


SHORT = sound(0.2)


def rows(transcripts, sounds=()):
    count = len(transcripts)
    return Dataset(
        path="rows.csv",
        modality="audio",
        inputs=tuple(sounds) or (SHORT,) * count,
        names=tuple(f"{i}.wav" for i in range(count)),
        digests=tuple(f"{i:012x}" for i in range(count)),
        targets=(Column("said", tuple(transcripts)),),
        groups=None,
        parts=(None,) * count,
    )


def scores(written, said):
    outputs, targets = torch.from_numpy(letters_of(written)).float(), letters_of(said)
    return {name: metric.score(outputs, targets) for name, metric in TRANSCRIPTS.items()}


def test_error_rates_are_those_of_letters_and_words():
    found = scores(["una rama", "Perros!"], ["Una rana.", "dos perros"])
    assert found["cer"] == pytest.approx((1 + 4) / (8 + 10))
    assert found["wer"] == pytest.approx((1 + 1) / (2 + 2))
    assert found["exact_match"] == 0
    assert scores(["UNA  rana"], ["una rana."]) == {"cer": 0, "wer": 0, "exact_match": 1}
    assert scores(["a b c d"], ["a"])["wer"] == 3  # what is added counts as well


@given(st.lists(st.tuples(st.text(), st.text("ab c", min_size=1)), min_size=1, max_size=6))
def test_rates_of_resampled_rows_are_those_of_the_rows_repeated(pairs):
    written, said = zip(*pairs, strict=True)
    metric = TRANSCRIPTS["cer"]
    outputs, targets = torch.from_numpy(letters_of(written)).float(), letters_of(said)
    times = np.arange(1, len(pairs) + 1)
    [weighed] = metric.aggregate(metric.statistics(outputs, targets), times[None].astype(float))
    again = np.repeat(np.arange(len(pairs)), times)
    assert weighed == pytest.approx(metric.score(outputs[torch.from_numpy(again)], targets[again]))


@given(st.lists(st.sampled_from(SAID), min_size=1))
def test_what_was_said_is_right(said):
    found = scores([text.upper() for text in said], said)
    assert found == {"cer": 0, "wer": 0, "exact_match": 1}


def test_texts_that_seldom_recur_are_transcripts_and_others_classes():
    assert task_for(rows(SAID)).name == "speech-recognition"
    assert task_for(rows(["spanish", "french"] * 9)).name == "audio-classification"
    assert task_for(rows([f"{i}.5" for i in range(20)])).name == "audio-regression"


def test_rows_without_words_are_set_aside_by_name():
    dataset, spec = TASK.validate(rows([*SAID, "…", ""]))
    assert len(dataset) == len(SAID)
    assert [aside.where for aside in dataset.set_aside] == ["7.wav", "8.wav"]
    assert set(spec["letters"]) == set("".join(map(normalised, SAID)))


@pytest.mark.parametrize(
    ("transcripts", "why"), [(["uno"] * 9, "all transcripts are 'uno'"), (["a", "b"], "only 2")]
)
def test_what_cannot_be_learnt_is_said(transcripts, why):
    with pytest.raises(DataError, match=why):
        TASK.validate(rows(transcripts))


def test_what_is_too_long_to_be_read_whole_is_set_aside_by_name():
    dataset, _ = TASK.validate(rows(SAID, [sound(31), *[SHORT] * (len(SAID) - 1)]))
    assert len(dataset) == len(SAID) - 1
    [aside] = dataset.set_aside
    assert aside.where == "0.wav" and aside.reason.startswith("31 seconds long, over 30")


def test_the_trivial_answer_is_the_most_frequent_transcript_or_the_shortest():
    for said, expected in ((["b c", "a", "b c"], "b c"), (["long", "b", "c"], "b")):
        outputs = TASK.constant(letters_of(said), {}).outputs(rows(said))
        assert TASK.decode(outputs, {}) == [{"prediction": expected}] * 3


def test_transcripts_differ_by_their_words_alone():
    a, b = letters_of(["Una rana.", "una rana"]), letters_of(["una  RANA", "una rama"])
    assert TASK.differ(a, b).tolist() == [False, True]
