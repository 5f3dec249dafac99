"""Coverage: what of the rows a source reads and knows, and what is said of it."""

from __future__ import annotations

import pytest

from headstart.data.modalities import Preprocessing
from headstart.features import coverage as module
from headstart.features.coverage import Coverage, coverage


@pytest.fixture
def reads(tokenizer):
    """A function that returns how a source with a window of four tokens reads texts."""

    def make(**settings):
        known = {"max_length": 4, "pad": 0, **settings}
        return Preprocessing(known, {"tokenizer.json": tokenizer})

    return make


LONG = " ".join(f"w{i}" for i in range(12))


@pytest.mark.parametrize(
    ("settings", "longer", "cut"),
    [({}, 0.5, 0.5), ({"long": "head-tail"}, 0.5, 0.5), ({"long": "chunks"}, 0, 0)],
)
def test_what_lies_outside_the_window_is_counted(reads, dataset_of, settings, longer, cut):
    found = coverage(dataset_of([LONG, "w1 w2 w3 w4"] * 10), reads(**settings))
    assert (found.longer, found.cut, found.unknown) == (longer, cut, 0)
    assert found.data() == {
        "long": settings.get("long", "truncate"),
        "window": 4,
        "rows": 20,
        "longer": longer,
        "cut": cut,
        "unknown": 0,
        "unit": "tokens",
        "of": "text",
    }


def test_what_is_unknown_is_counted(reads, dataset_of):
    found = coverage(dataset_of(["w1 w2 w3", "who knows w4"]), reads())
    assert found.unknown == pytest.approx(2 / 6, abs=1e-4) and found.longer == 0


def test_of_many_rows_some_at_even_distances_are_looked_at(reads, dataset_of, monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 10)
    found = coverage(dataset_of(["w1"] * 50 + [LONG] * 50), reads())
    assert (found.rows, found.longer) == (10, 0.5)


def test_of_pictures_all_is_read(dataset_of, toy_image):
    pictures = dataset_of(["a.png"], modality="image")
    assert coverage(pictures, toy_image.preprocessing) is None


def test_the_user_is_told_once_a_text_is_longer_and_how_more_is_read():
    [note] = Coverage("truncate", 128, 256, 0.37, 0.12, 0.0).notes("toy")
    assert note == (
        "toy reads the first 128 tokens of a text: 37% of the rows are longer, 12% of all tokens "
        "are not read (--long chunks reads more, --long head-tail reads the end, too)"
    )
    [note] = Coverage("head-tail", 128, 256, 0.37, 0.001, 0.0).notes("toy")
    assert "its beginning and its end" in note and "under 1% of all tokens" in note
    assert note.endswith("(--long chunks reads more)")
    [note] = Coverage("chunks", 128, 256, 0.01, 0.01, 0.0).notes("toy")
    assert "--long" not in note


@pytest.mark.parametrize(("unknown", "said"), [(0.0, 0), (0.049, 0), (0.63, 1)])
def test_unknown_word_pieces_are_spoken_of_when_they_are_many(unknown, said):
    notes = Coverage("truncate", 128, 256, 0.0, 0.0, unknown).notes("toy")
    assert len(notes) == said
    assert all("toy does not know 63% of the word pieces" in note for note in notes)


def test_of_long_recordings_the_seconds_are_told():
    [note] = Coverage("truncate", 30, 10, 0.5, 0.4, 0.0, "seconds", "recording").notes("toy")
    assert note == (
        "toy reads the first 30 seconds of a recording: 50% of the rows are longer, 40% of all "
        "seconds are not read (--long chunks reads more)"
    )
