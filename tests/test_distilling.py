"""Distillation: a small model that answers as its teacher does, from rows without labels."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import soundfile
import torch

import headstart as hs
from headstart.artifact.saving import Artifact, save
from headstart.data.dataset import Dataset
from headstart.data.sounds import samples
from headstart.errors import BudgetError, DataError, UsageError
from headstart.models import Model, Response, Saved, model_kinds
from headstart.models.word_model import WordModel
from headstart.tasks import TargetSpec

WORDS = {"goal": 8.0, "match": 6.0, "team": 5.0, "vote": -8.0, "party": -6.0, "law": -5.0}
FILLERS = [f"filler{i}" for i in range(30)]
CLASSES = ["politics", "sport"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A model that knows six words."""
    weight = torch.tensor([list(WORDS.values())])
    model = WordModel(
        list(WORDS), torch.ones(len(WORDS)), torch.cat([-weight, weight]), torch.zeros(2)
    )
    folder = tmp_path_factory.mktemp("teacher") / "model"
    facts = {"inputs": ["text"], "labels": ["label"], "source": None, "licence": None}
    spec = {"name": "label", "classes": CLASSES}
    save(Artifact(model, "text-classification", spec, "accuracy", facts=facts), folder)
    return folder


def sentences(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return (text, class): words of one class among fillers, with one label in ten wrong."""
    random = np.random.default_rng(seed)
    words, found = list(WORDS), []
    for number in range(count):
        sport = bool(random.integers(2))
        own = random.choice(words[:3] if sport else words[3:], 2, replace=False)
        text = [*own, *random.choice(FILLERS, 6), f"row{number}"]
        right = random.random() > 0.1
        found.append((" ".join(random.permutation(text)), CLASSES[sport == right]))
    return found


def table(path, rows, labelled=True):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"] if labelled else ["text"])
        writer.writerows(rows if labelled else [[text] for text, _ in rows])
    return path


@pytest.fixture(scope="module")
def taught(teacher, tmp_path_factory):
    place = tmp_path_factory.mktemp("taught")
    return hs.distil(teacher, table(place / "rows.csv", sentences(400)), out=place / "small")


def test_the_small_model_answers_as_its_teacher(taught):
    assert taught.agreement.value > 0.9 and taught.agreement.low > 0.8
    assert 0.5 < taught.explained <= 1.0
    assert taught.rows == 400 and taught.held == 120
    assert taught.model.predict(["goal match filler3", "vote party filler9"]) == [
        "sport",
        "politics",
    ]


def test_labels_score_both_and_their_difference(taught):
    teacher, small = taught.scores["teacher"], taught.scores["small"]
    assert 0.8 < teacher.value < 0.98, "one label in ten is wrong"
    difference = taught.scores["difference"]
    assert difference.value == pytest.approx(small.value - teacher.value)
    assert difference.low <= 0.0 <= difference.high
    assert not taught.notes


def test_probabilities_are_as_sure_as_they_are_right(taught):
    rows = sentences(300, seed=1)
    answers = taught.model.predict_proba([text for text, _ in rows])
    sure = np.mean([max(answer.values()) for answer in answers])
    right = np.mean(
        [max(a, key=a.get) == label for a, (_, label) in zip(answers, rows, strict=True)]
    )
    assert abs(sure - right) < 0.06


def test_no_labels_are_needed(teacher, tmp_path):
    rows = table(tmp_path / "rows.csv", sentences(200), labelled=False)
    found = hs.distil(teacher, rows, out=tmp_path / "small")
    assert found.agreement.value > 0.85
    assert not found.scores
    assert "accuracy" not in str(found) and "times larger: 0.0" in str(found)


def test_it_is_json_data(taught):
    data = json.loads(json.dumps(taught.data()))
    assert data["scores"].keys() == {"teacher", "small", "difference"}
    assert data["milliseconds"].keys() == data["megabytes"].keys() == {"teacher", "small"}


def test_the_artifact_tells_what_it_is(taught):
    card = (taught.folder / "README.md").read_text()
    assert "distil" in card and "as its teacher" in card
    answers = list(taught.model.stream([taught.folder.parent / "rows.csv"]))
    assert len(answers) == 400 and all(answer.data["novelty"] is not None for answer in answers)


def test_that_the_teacher_knows_the_rows_is_said(teacher, tmp_path):
    rows = table(tmp_path / "rows.csv", sentences(100))
    known = hs.distil(teacher, rows, out=tmp_path / "first")
    description = teacher / "artifact.json"
    content = json.loads(description.read_text())
    fingerprint = json.loads((known.folder / "artifact.json").read_text())["facts"]["fingerprint"]
    content["facts"]["fingerprint"] = fingerprint
    other = tmp_path / "teacher"
    other.mkdir()
    for file in teacher.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    (other / "artifact.json").write_text(json.dumps(content))
    (note,) = hs.distil(other, rows, out=tmp_path / "second").notes
    assert "flatters" in note


def test_few_rows_are_refused(teacher, tmp_path):
    rows = table(tmp_path / "rows.csv", sentences(20))
    with pytest.raises(DataError, match="20 rows are too few to teach by"):
        hs.distil(teacher, rows, out=tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_other_inputs_are_refused(teacher, squares, tmp_path):
    with pytest.raises(DataError, match="reads text inputs, but these are image"):
        hs.distil(teacher, squares.path, out=tmp_path / "small")


def test_without_time_it_is_said(teacher, tmp_path, monkeypatch):
    rows = table(tmp_path / "rows.csv", sentences(100))

    def failing(_assignment):
        from headstart.search.trial import TrialResult

        return TrialResult(None, None, 0.1, "OutOfTime: the deadline came")

    monkeypatch.setattr("headstart.distilling.run_trial", failing)
    with pytest.raises(BudgetError, match="no small model came out of it"):
        hs.distil(teacher, rows, out=tmp_path / "small")


class Shade(Model):
    """A teacher of pictures that looks at their colours alone."""

    def respond(self, rows: Dataset) -> Response:
        from headstart.data.modalities import Preprocessing
        from headstart.features.extract import inputs

        pixels = inputs(rows, Preprocessing({"size": 24}, {})).whole()["pixels"]
        means = pixels.float().mean((2, 3)) / 30
        order = [2, 1, 0]  # blue, green, red
        return Response(means[:, order])

    def saved(self) -> Saved:
        return Saved("shade", {}, {"none": torch.zeros(1)})


@pytest.fixture
def shade(tmp_path, monkeypatch):
    monkeypatch.setitem(model_kinds._entries, "shade", lambda _saved: Shade())
    spec: TargetSpec = {"name": "label", "classes": ["blue", "green", "red"]}
    save(Artifact(Shade(), "image-classification", spec, "accuracy"), tmp_path / "shade")
    return tmp_path / "shade"


def test_pictures_are_taught_too(shade, squares, tmp_path):
    found = hs.distil(shade, squares.path, out=tmp_path / "small")
    assert found.agreement.value > 0.9
    assert found.scores["small"].value > 0.9
    assert hs.load(tmp_path / "small").predict([squares.inputs[0]]) == ["blue"]


class Pitch(Model):
    """A teacher of recordings that looks at how steep they are alone."""

    def respond(self, rows: Dataset) -> Response:
        heard = [samples(cell, 16_000) for cell in rows.inputs]
        steep = torch.tensor([float(abs(np.diff(x)).mean() / abs(x).mean()) for x in heard])
        return Response(torch.stack([4 * (steep - 0.3), 4 * (0.3 - steep)], 1))

    def saved(self) -> Saved:
        return Saved("pitch", {}, {"none": torch.zeros(1)})


def test_recordings_are_taught_too(tmp_path, monkeypatch):
    monkeypatch.setitem(model_kinds._entries, "pitch", lambda _saved: Pitch())
    spec: TargetSpec = {"name": "label", "classes": ["high", "low"]}
    save(Artifact(Pitch(), "audio-classification", spec, "accuracy"), tmp_path / "pitch")
    random, times = np.random.default_rng(0), np.arange(6_400) / 16_000
    for number in range(72):
        hertz = random.uniform(*((900, 1_600) if number % 2 else (200, 500)))
        wave = 0.3 * np.sin(2 * np.pi * hertz * times) + random.normal(0, 0.01, len(times))
        folder = tmp_path / "tones" / ("high" if number % 2 else "low")
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{number}.wav", wave, 16_000)
    found = hs.distil(tmp_path / "pitch", tmp_path / "tones", out=tmp_path / "small")
    assert found.agreement.value > 0.9
    assert found.scores["small"].value > 0.9
    asked = [tmp_path / "tones" / "high" / "1.wav", tmp_path / "tones" / "low" / "2.wav"]
    assert hs.load(tmp_path / "small").predict(asked) == ["high", "low"]


def test_a_task_without_a_small_model_is_refused(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr("headstart.distilling.recipes.get", lambda _name: ())
    with pytest.raises(UsageError, match="no small model for text-classification"):
        hs.distil(teacher, tmp_path, out=tmp_path / "small")
