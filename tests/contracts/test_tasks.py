"""Tasks other than classification, from files to predictions, on real weights."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import headstart as hs
from headstart.errors import UsageError
from headstart.recipes import Phase, recipes

SHAPES = {"square": (200, 60, 50), "disc": (60, 170, 80), "bar": (60, 80, 200)}
WORDS = {
    "sport": "goal match team coach league striker referee season cup stadium",
    "money": "shares profit market bank investor inflation bond tax merger dividend",
    "weather": "rain storm cloud sunshine frost wind forecast snow thunder drizzle",
}
ROWS = 60


def write(file: Path, rows: list[list[str]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows(rows)
    return file


def pictures(folder: Path, form: str) -> Path:
    """Write pictures of shapes: which of them are there, or the share of the disc's area."""
    chance = random.Random(0)
    rows = [["picture", "label"]]
    for i in range(ROWS):
        picture = Image.new("RGB", (48, 48), tuple(chance.randint(190, 255) for _ in range(3)))
        draw = ImageDraw.Draw(picture)
        if form == "regression":
            radius = chance.uniform(3, 20)
            x, y = (chance.uniform(radius, 48 - radius) for _ in range(2))
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=SHAPES["disc"])
            label = f"{np.pi * radius**2 / 48**2:.4f}"
        else:
            there = [shape for shape in SHAPES if chance.random() < 0.5] or ["disc"]
            for shape in there:
                x, y = (chance.randint(2, 30) for _ in range(2))
                box = (x, y, x + 16, y + (5 if shape == "bar" else 16))
                (draw.ellipse if shape == "disc" else draw.rectangle)(box, fill=SHAPES[shape])
            label = "|".join(there)
        picture.save(folder / f"{i}.png")
        rows.append([f"{i}.png", label])
    return write(folder / "data.csv", rows)


def texts(folder: Path, form: str) -> Path:
    """Write headlines: which topics they have words of, or the share of their words on sport."""
    chance = random.Random(0)
    rows = [["headline", "label"]]
    for i in range(ROWS):
        if form == "regression":
            share = chance.randint(0, 8)
            words = chance.sample(WORDS["sport"].split(), share)
            words += chance.sample(WORDS["money"].split(), 8 - share)
            label = f"{share / 8 + chance.uniform(-0.02, 0.02):.3f}"
        else:
            there = [topic for topic in WORDS if chance.random() < 0.5] or ["money"]
            words = [w for topic in there for w in chance.sample(WORDS[topic].split(), 3)]
            label = "|".join(there)
        chance.shuffle(words)
        rows.append([f"{' '.join(words)} {i}", label])
    return write(folder / "data.csv", rows)


@pytest.fixture(scope="module", params=[f"{m}-{t}" for m in ("image", "text")
                                        for t in ("multilabel", "regression")])  # fmt: skip
def study(request, tmp_path_factory):
    """A run of each task: the probe, the layers and the small model. Do not change it."""
    modality, form = request.param.split("-")
    folder = tmp_path_factory.mktemp(request.param)
    data = (pictures if modality == "image" else texts)(folder, form)
    with pytest.MonkeyPatch.context() as patch:
        short = [
            r.__class__(**{**vars(r), "phases": (Phase(6, 3e-3),)})
            for r in recipes.get("small-cnn")
        ]
        patch.setitem(recipes._entries, "small-cnn", tuple(short))
        found = hs.fit(data, label="label", budget="5m", max_trials=3, out=folder / "run")
    assert found.result["task"] == request.param, "inferred"
    return found


def test_the_result_says_what_was_learnt(study):
    result = study.result
    form = result["task"].split("-")[1]
    assert result["status"] == "complete"
    assert result["metric"] == {"multilabel": "mAP", "regression": "rmse"}[form]
    assert result["greater_is_better"] is (form == "multilabel")
    classes = {"multilabel": 3, "regression": 0}[form]
    assert len(result["data"]["classes"]) == classes
    assert result["data"]["outputs"] == ([] if classes else ["label"])
    assert result["winner"]["test"]["low"] <= result["winner"]["test"]["value"]


def test_it_is_better_than_the_trivial_answer(study):
    sign = 1 if study.result["greater_is_better"] else -1
    test, trivial = study.result["winner"]["test"], study.result["baselines"]["majority"]
    assert sign * test["value"] > sign * trivial["test"]["value"]
    assert trivial["says"] in str(study)


def test_the_verdict_agrees_with_its_interval(study):
    found = study.result["verdict"]
    low, high = found["gain"]["low"], found["gain"]["high"]
    expected = "helps" if low > 0 else "hurts" if high < 0 else "no evidence"
    assert found["transfer"] == expected
    sign = 1 if study.result["greater_is_better"] else -1
    sides = [study.result["finalists"][s]["test"]["value"] for s in ("transfer", "scratch")]
    assert sign * (sides[0] - sides[1]) == pytest.approx(found["gain"]["value"], abs=2e-6)


def test_predictions_are_those_of_the_saved_model(study):
    folder = study.folder.parent
    rows = list(csv.reader((folder / "data.csv").open()))[1:7]
    pictures = study.result["task"].startswith("image")
    inputs = [str(folder / row[0]) if pictures else row[0] for row in rows]
    answers = study.model.predict(inputs)
    assert hs.load(study.folder / "model").predict(inputs) == answers
    if study.result["task"].endswith("regression"):
        assert all(isinstance(answer, float) for answer in answers)
    else:
        known = set(study.result["data"]["classes"])
        assert all(isinstance(answer, list) and set(answer) <= known for answer in answers)
        assert set(study.model.predict_proba(inputs)[0]) == known


def test_the_page_and_the_card_are_written(study):
    assert (study.folder / "report.html").is_file()
    card = (study.folder / "model" / "README.md").read_text()
    assert study.result["task"] in card and "lasses" not in card


def test_it_is_evaluated_on_labelled_rows(study):
    scores = study.model.evaluate(study.folder.parent / "data.csv")
    assert scores.rows == ROWS and study.result["metric"] in scores.scores
    json.dumps(scores.data())


def test_rare_classes_are_weighed_and_the_decision_tuned_where_that_is_asked_for(tmp_path):
    chance = random.Random(0)
    rows = [["headline", "label"]]
    for i in range(120):
        topic = "sport" if i % 8 == 0 else "money"
        words = chance.sample(" ".join(WORDS.values()).split(), 3)
        words += chance.sample(WORDS[topic].split(), 1)
        rows.append([f"{' '.join(words)} {i}", topic])
    data = write(tmp_path / "data.csv", rows)
    options = {"metric": "macro_f1", "class_weights": "balanced", "source": "bundled/minilm"}
    study = hs.fit(data, label="label", max_trials=2, out=tmp_path / "run", **options)
    artifact = json.loads((study.folder / "model" / "artifact.json").read_text())
    assert artifact["target"]["class_weights"][1] == pytest.approx(4, abs=1.5)
    assert artifact["model"]["kind"] == "adjusted"
    assert study.result["winner"]["refitted"]
    text = ["the striker of the team"]
    assert hs.load(study.folder).predict_proba(text) == study.model.predict_proba(text)


def test_class_weights_are_for_classes(tmp_path):
    with pytest.raises(UsageError, match="balanced or nothing, not 'much'"):
        hs.fit(tmp_path, class_weights="much")
