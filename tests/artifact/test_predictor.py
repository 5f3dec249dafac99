"""Using a saved model: predictions, and scores on labelled rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from headstart.artifact import predictor as module
from headstart.artifact.predictor import Predictor
from headstart.artifact.saving import Artifact, save
from headstart.data.columns import Roles
from headstart.data.modalities import image
from headstart.errors import DataError, UsageError
from headstart.features.cache import ActivationCache
from headstart.features.extract import Extractor
from headstart.models.constant import Constant
from headstart.models.heads import HeadSpec
from headstart.models.network import Network
from headstart.recipes import Recipe
from headstart.sources.catalogue import sources
from headstart.sources.loading import load_source
from headstart.tasks import tasks
from headstart.tasks.classification import Classification
from headstart.training.learners import learners

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


@pytest.mark.parametrize(
    ("beams", "message"), [(0, "must be 1 or more"), (2, "for text-classification")]
)
def test_beams_are_for_what_writes(words, beams, message):
    with pytest.raises(UsageError, match=message):
        Predictor(words, beams)


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
    broken = tmp_path / f"{'deep' * 30}" / "broken.png"
    broken.parent.mkdir()
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


@pytest.mark.parametrize("strange", [3.5, None, ["a", "b"], object()])
def test_what_is_no_input_at_all_is_refused(reader, strange):
    with pytest.raises(DataError, match="expected a text, a path, a PIL picture"):
        reader.predict([strange])


def test_pictures_of_pillow_are_predicted_as_their_files(viewer, squares):
    with Image.open(squares.inputs[0]) as picture:
        assert viewer.predict([picture]) == viewer.predict([squares.inputs[0]])


@pytest.fixture
def pairs(words):
    """A reader of two texts a row."""
    return Predictor(replace(words, facts={**words.facts, "inputs": ["question", "answer"]}))


def test_a_row_that_lacks_an_input_is_not_answered(pairs, tmp_path):
    assert len(pairs.predict([("what is rain", "water")])) == 1
    with pytest.raises(DataError, match="the model reads 'question' and 'answer' of a row"):
        pairs.predict(("what is rain", "water"))
    (tmp_path / "one.csv").write_text("question,reply\nwhat is rain,water\n")
    with pytest.raises(DataError, match="there is no column 'answer'"):
        list(pairs.stream(tmp_path / "one.csv"))


def test_one_input_may_be_given_alone(reader, viewer, squares):
    assert reader.predict(TEXTS[1]) == ["topic 1"]
    assert viewer.predict(squares.inputs[0]) == viewer.predict([squares.inputs[0]])


def test_files_folders_and_tables_are_read(reader, viewer, squares, tmp_path):
    rows = tmp_path / "new.csv"
    rows.write_text("id,text\n1,w1 w2\n2,\n")
    first, second = reader.stream([rows], ("text",))
    assert first.name == "new.csv, line 2" and first.data["prediction"] == "topic 0"
    assert first.columns == {"id": "1", "text": "w1 w2"} and first.problem == ""
    assert (second.data, second.problem) == ({}, "an empty text")
    folder = Path(squares.inputs[0]).parent
    answers = list(viewer.stream(str(folder)))
    assert [answer.name for answer in answers] == sorted(map(str, folder.iterdir()))
    assert all(answer.columns is None for answer in answers)


def test_files_of_another_kind_are_refused_and_odd_ones_set_aside(
    reader, viewer, squares, tmp_path
):
    text, rows = tmp_path / "a.txt", tmp_path / "new.csv"
    text.write_text("w1")
    rows.write_text("text\nw1 w2 and others\n")
    for wrong in (text, rows):
        with pytest.raises(DataError, match="for image inputs, but these are text"):
            next(viewer.stream([wrong]))
    picture = squares.inputs[0]
    with pytest.raises(DataError, match="for text inputs, but these are image"):
        next(reader.stream([picture]))
    found = viewer.stream([tmp_path / "b.png", text, picture])
    assert [answer.problem for answer in found] == ["no such file", "not a picture", ""]


class Spy:
    """Counts how often each picture is decoded, and how many were when an answer came."""

    def __init__(self, monkeypatch):
        self.seen = Counter()
        load = image.load

        def spied(cell, at_least=None):
            self.seen[str(cell)] += 1
            return load(cell, at_least)

        monkeypatch.setattr(image, "load", spied)


@pytest.fixture
def folder(squares, tmp_path):
    """Seventy-two pictures by number."""
    place = tmp_path / "many"
    place.mkdir()
    for i, path in enumerate(squares.inputs):
        (place / f"{i:02d}.png").write_bytes(path.read_bytes())
    return place


def test_answers_come_at_once_and_nothing_is_decoded_twice(viewer, folder, monkeypatch):
    expected = viewer.predict(sorted(folder.iterdir()))  # the engine is chosen
    monkeypatch.setattr(module, "_FIRST", 4)
    monkeypatch.setattr(module, "_ROWS", 10)
    spy = Spy(monkeypatch)
    found, ahead = [], []
    for answer in viewer.stream([folder]):
        found.append(answer.data["prediction"])
        ahead.append(len(spy.seen) - len(found))
    assert found == expected and len(found) == 72
    assert set(spy.seen.values()) == {1}
    assert ahead[0] == 3 and max(ahead) == 9, "no more than is answered together was looked at"


def test_bad_inputs_are_set_aside_in_their_place_and_the_others_are_answered(
    viewer, folder, monkeypatch
):
    expected = viewer.predict(sorted(folder.iterdir()))
    monkeypatch.setattr(module, "_FIRST", 4)
    monkeypatch.setattr(module, "_ROWS", 10)
    for bad in (3, 40, 41):
        (folder / f"{bad:02d}.png").write_bytes(b"no picture")
    (folder / "odd.bin").touch()
    spy = Spy(monkeypatch)
    answers = list(viewer.stream([folder]))
    aside = {i: answer.problem for i, answer in enumerate(answers) if answer.problem}
    assert aside == {
        **{bad: "not a picture" for bad in (3, 40, 41)},
        72: "no recording, picture or text, by its name",
    }
    good = [i for i in range(72) if i not in aside]
    assert [answers[i].data["prediction"] for i in good] == [expected[i] for i in good]
    assert spy.seen[str(folder / "10.png")] == 1, "rows beside no bad one are decoded once"


def test_files_that_are_gone_are_set_aside(sentences, tmp_path):
    predictor = Predictor(sentences)
    there = tmp_path / "a.txt"
    there.write_text(TEXTS[1])
    predictor.predict([there])  # the engine is chosen
    with pytest.raises(DataError, match=r"gone\.txt: No such file"):
        predictor.predict([there, tmp_path / "gone.txt"])


def test_a_model_that_does_not_look_at_its_rows_does_not_answer_for_bad_ones(folder):
    artifact = Artifact(
        Constant(torch.zeros(2)), "image-classification", {"classes": ["a", "b"]}, "accuracy"
    )
    (folder / "05.png").write_bytes(b"no picture")
    answers = list(Predictor(artifact).stream([folder]))
    assert [answer.problem for answer in answers].count("") == 71
    assert answers[5].problem == "not a picture"
    assert answers[0].data["unlike"] is None


def test_values_of_other_rows_are_never_taken_from_the_cache(
    squares, toy_image, assign, own_cache, folder
):
    """Rows are not digested before they are predicted, so that nothing is cached for them."""
    recipe = Recipe("probe", "any", "source", "probe", rank=1, solved=True)
    assignment = assign(recipe, squares, toy_image)
    caching = replace(assignment, extractor=Extractor(toy_image, "toy", ActivationCache()))
    model = learners.get("probe").fit(caching).model
    viewer = Predictor(Artifact(model, assignment.task.name, assignment.spec, "accuracy"))
    some = [squares.inputs[i] for i in (0, 30, 60)]
    assert viewer.predict(some) == viewer.predict(some[::-1])[::-1]


def test_rows_unlike_the_training_rows_are_flagged(wary, headlines):
    predictor = Predictor(wary)
    strange = [f"there is nothing of it in topic {i}" for i in range(3)]
    known, new = predictor._answers_to(headlines.inputs[60:63]), predictor._answers_to(strange)
    assert [data["unlike"] for data in known + new] == [False] * 3 + [True] * 3
    assert all(data["novelty"] <= 0.01 for data in new) and list(new[0])[-2:] == [
        "unlike",
        "novelty",
    ]


def test_where_nothing_is_known_of_unlike_rows_nothing_is_said(reader, wary, headlines):
    few = replace(wary, novelty=replace(wary.novelty, held=wary.novelty.held[:98]))
    (silent,), (unsure,) = (p._answers_to(TEXTS[:1]) for p in (reader, Predictor(few)))
    assert silent["unlike"] is None and silent["novelty"] is None
    assert unsure["unlike"] is None and unsure["novelty"] > 0


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
        reader.evaluate(
            table(tmp_path / "new.csv", ["w1,sport", "w2,sport"]), Roles.of(label="label")
        )


def test_columns_and_groups_are_the_user_s(reader, tmp_path):
    rows = [f"w{i},w{59 - i},topic {i // 20},author {i % 3}" for i in range(60)]
    data = table(tmp_path / "new.csv", rows, "said,unsaid,about,by")
    columns = {"input": "said", "label": "about"}
    alone = reader.evaluate(data, Roles.of(**columns)).scores["accuracy"]
    grouped = reader.evaluate(data, Roles.of(**columns, group="by")).scores["accuracy"]
    assert alone["value"] == grouped["value"] == 1
    assert reader.evaluate(data, Roles.of("unsaid", "about")).scores["accuracy"]["value"] < 0.7
    assert 0.3 < grouped["low"] < 0.5 < 0.9 < alone["low"], "three groups, all of them right"


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
        viewer.evaluate(data, Roles.of("text", "label"))


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
    answers = [answer.data["probabilities"] for answer in again.stream(few.inputs)]
    assert again.predict_proba(few.inputs) == answers


def with_decisions(reader, sure, right):
    decisions = {"sure": list(sure), "right": list(right)}
    return Predictor(replace(reader.artifact, facts={"decisions": decisions}))


def test_answers_say_whether_they_keep_a_wanted_precision(reader, tmp_path):
    paths = []
    for i, text in enumerate([*TEXTS, "w1 w22 w45"]):
        paths.append(tmp_path / f"{i}.txt")
        paths[-1].write_text(text)
    likely = [max(row.values()) for row in reader.predict_proba([p.read_text() for p in paths])]
    # of rows that were tested, those were right that were as sure as the second surest here
    least = sorted(likely)[-2]
    known = with_decisions(reader, [least] * 200 + [least / 2] * 200, [1] * 200 + [0] * 200)
    assert known.threshold(0.9) == least
    said = [answer.data["sure"] for answer in known.stream(paths, precision=0.9)]
    assert said == [one >= least for one in likely] and 0 < sum(said) < len(said)
    assert "sure" not in next(known.stream(paths)).data


def test_a_precision_that_cannot_be_promised_is_refused(reader):
    few = with_decisions(reader, [0.9] * 20, [1] * 20)
    with pytest.raises(UsageError, match="of 20 answers to test rows 20 were right"):
        few.threshold(0.99)
    with pytest.raises(UsageError, match="between 0 and 1, not 95"):
        few.threshold(95)
    with pytest.raises(UsageError, match="saved before its test rows were read"):
        reader.threshold(0.9)
