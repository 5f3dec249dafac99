"""Using a saved model: predictions, and scores on labelled rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from headstart.artifact import predictor as module
from headstart.artifact.predictor import Predictor
from headstart.artifact.saving import Artifact, save
from headstart.errors import DataError, UsageError
from headstart.models.heads import HeadSpec
from headstart.models.network import Network
from headstart.sources.catalogue import sources
from headstart.sources.loading import load_source
from headstart.tasks import tasks
from headstart.tasks.classification import Classification

TEXTS = ["w1 w2 w3", "w21 w22 w23", "w41 w45 w59"]
TOPICS = ["topic 0", "topic 1", "topic 2"]


@pytest.fixture
def reader(words):
    """A model for texts."""
    return Predictor(words)


@pytest.fixture
def viewer(pictures):
    """A model for pictures."""
    return Predictor(pictures)


def test_texts_are_predicted_in_their_order(reader):
    assert reader.predict(TEXTS) == TOPICS
    assert reader.predict(TEXTS[::-1]) == TOPICS[::-1]


def test_pictures_are_predicted_from_strings_and_paths(viewer, squares):
    some = [squares.inputs[i] for i in (0, 30, 60)]
    expected = [squares.targets[0].values[i] for i in (0, 30, 60)]
    assert viewer.predict(some) == viewer.predict([str(path) for path in some]) == expected


def test_text_files_are_read(reader, tmp_path):
    file = tmp_path / "a.txt"
    file.write_text(TEXTS[1])
    assert reader.predict([file]) == ["topic 1"]


@pytest.mark.parametrize("text", ("see w21 w22 in photo.png", "w21 w22.jpg", "w21 http://x/y.gif"))
def test_a_text_that_ends_like_a_picture_s_name_is_a_text(reader, text):
    assert reader.predict([text]) == ["topic 1"]


def test_probabilities_name_every_class_and_agree_with_the_prediction(reader):
    for given, found in zip(TEXTS, reader.predict_proba(TEXTS), strict=True):
        assert list(found) == TOPICS
        assert sum(found.values()) == pytest.approx(1, abs=1e-5)
        assert max(found, key=found.get) == reader.predict([given])[0]


@pytest.mark.parametrize("ask", ("predict", "predict_proba"))
def test_an_input_that_cannot_be_decoded_is_said(reader, viewer, squares, tmp_path, ask):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.png: not a picture\."):
        getattr(viewer, ask)([squares.inputs[0], broken])
    with pytest.raises(DataError, match="an empty text"):
        getattr(reader, ask)([TEXTS[0], "  "])


@pytest.mark.parametrize("ask", ("predict", "predict_proba"))
def test_inputs_of_another_kind_are_refused(reader, viewer, squares, tmp_path, ask):
    text = tmp_path / "a.txt"
    text.write_text("w1")
    with pytest.raises(DataError, match="for image inputs, but these are text"):
        getattr(viewer, ask)([text])
    with pytest.raises(DataError, match="for text inputs, but these are image"):
        getattr(reader, ask)([squares.inputs[0]])


def test_nothing_to_predict_is_said(reader, viewer):
    for predictor in (reader, viewer):
        with pytest.raises(DataError, match="there are no inputs"):
            predictor.predict([])


def test_a_task_without_probabilities_says_so(words, monkeypatch):
    class Silent(Classification):
        def decode(self, outputs, spec):
            return [{"prediction": spec["classes"][int(row.argmax())]} for row in outputs]

    predictor = Predictor(words)
    predictor.task = Silent("silent", "text")
    assert predictor.predict(TEXTS) == TOPICS
    with pytest.raises(UsageError, match="a model for silent gives no probabilities"):
        predictor.predict_proba(TEXTS)


def test_any_number_of_rows_streams_through(reader, headlines, monkeypatch):
    whole = list(reader.answers(headlines))
    monkeypatch.setattr(module, "_ROWS", 7)
    assert list(reader.answers(headlines)) == whole and len(whole) == 90


def test_files_folders_and_tables_are_read(reader, viewer, squares, tmp_path):
    table = tmp_path / "new.csv"
    table.write_text("id,text\n1,w1 w2\n2,\n")
    rows = reader.read([table], input="text")
    assert [answer["prediction"] for answer in reader.answers(rows)] == ["topic 0"]
    assert [aside.reason for aside in rows.set_aside] == ["an empty text"]
    folder = Path(squares.inputs[0]).parent
    assert len(viewer.read([folder])) == 24
    with pytest.raises(DataError, match="for image inputs"):
        viewer.read([table], input="text")


def table(path, rows, header="text,label"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_labelled_rows_are_scored_with_every_metric(reader, tmp_path):
    rows = [f"w{i} w{i + 1},topic {i // 20}" for i in (0, 5, 10, 22, 27, 33, 41, 48, 55)]
    rows[0] = rows[0].replace("topic 0", "topic 2")  # an error
    scores = reader.evaluate(table(tmp_path / "new.csv", rows))
    assert scores.rows == 9 and scores.metric == "accuracy" and scores.set_aside == ()
    assert set(scores.scores) == set(tasks.get("text-classification").metrics({}))
    accuracy = scores.scores["accuracy"]
    assert accuracy["value"] == pytest.approx(8 / 9, abs=1e-6)
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert scores.data()["set_aside"] == 0 and scores.data()["schema"] == 1


def test_rows_of_unknown_labels_are_set_aside(reader, tmp_path):
    rows = ["w1 w2,topic 0", "w3,weather", "w21 w22,topic 1", "w4,sport"]
    scores = reader.evaluate(table(tmp_path / "new.csv", rows))
    assert scores.rows == 2 and scores.scores["accuracy"]["value"] == 1
    assert [(aside.where, aside.reason) for aside in scores.set_aside] == [
        ("new.csv, line 3", "the model does not know the label 'weather'"),
        ("new.csv, line 5", "the model does not know the label 'sport'"),
    ]


def test_where_no_label_is_known_nothing_is_scored(reader, tmp_path):
    with pytest.raises(DataError, match="no row is left.*does not know the label 'sport'"):
        reader.evaluate(table(tmp_path / "new.csv", ["w1,sport", "w2,sport"]), label="label")


def test_columns_and_groups_are_the_user_s(reader, tmp_path):
    rows = [f"w{i},w{59 - i},topic {i // 20},author {i % 3}" for i in range(60)]
    data = table(tmp_path / "new.csv", rows, "said,unsaid,about,by")
    columns = {"input": "said", "label": "about"}
    alone = reader.evaluate(data, **columns).scores["accuracy"]
    grouped = reader.evaluate(data, **columns, group="by").scores["accuracy"]
    assert alone["value"] == grouped["value"] == 1
    assert reader.evaluate(data, input="unsaid", label="about").scores["accuracy"]["value"] < 0.7
    assert alone["low"] < 1 == grouped["low"], "three groups are resampled, all of them right"


def test_of_data_with_parts_the_test_part_is_scored(viewer, squares, tmp_path):
    for part, count in (("train", 3), ("test", 2)):
        for colour in ("blue", "green", "red"):
            folder = tmp_path / "data" / part / colour
            folder.mkdir(parents=True)
            found = Path(squares.path) / colour
            for i in range(count):
                (folder / f"{part}{i}.png").write_bytes((found / f"{i}.png").read_bytes())
    assert viewer.evaluate(tmp_path / "data").rows == 6


def test_labelled_rows_of_another_kind_are_refused(viewer, tmp_path):
    data = table(tmp_path / "new.csv", ["w1,topic 0", "w2,topic 1"])
    with pytest.raises(DataError, match="for image inputs, but these are text"):
        viewer.evaluate(data, label="label", input="text")


def test_it_loads_from_a_run_folder(sentences, tmp_path):
    save(sentences, tmp_path / "run" / "model")
    again = Predictor.load(tmp_path / "run")
    assert again.predict(TEXTS) == Predictor(sentences).predict(TEXTS)


def test_real_weights_survive_saving(squares, tmp_path):
    backbone = load_source(sources.get("bundled/efficientnet-lite0")).backbone
    backbone.preprocessing = replace(
        backbone.preprocessing, settings={**backbone.preprocessing.settings, "size": 64}
    )
    spec = HeadSpec("linear", backbone.width, 3)
    head = spec.build()
    torch.manual_seed(0)
    torch.nn.init.normal_(head.linear.weight)
    model = Network(backbone, head, spec)
    classes = {"name": "label", "classes": ["blue", "green", "red"]}
    save(Artifact(model, "image-classification", classes, "accuracy"), tmp_path / "model")
    again = Predictor.load(tmp_path / "model")
    few = squares.take([0, 30, 60])
    assert torch.equal(again.artifact.model.outputs(few), model.outputs(few))
    assert again.predict_proba(few.inputs) == list(
        answer["probabilities"] for answer in Predictor(again.artifact).answers(few)
    )
