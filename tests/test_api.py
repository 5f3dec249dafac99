"""The one-call layer, end to end on real weights."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

import headstart as hs
from headstart.errors import DataError, SourceError, UsageError
from headstart.recipes import recipes_for
from headstart.search import closing, preparation
from headstart.search import run as running
from headstart.search.budget import Stopped
from headstart.search.ledger import Ledger

WORDS = {
    "sport": "goal match team coach league striker referee season cup stadium",
    "money": "shares profit market bank investor inflation bond tax merger dividend",
    "weather": "rain storm cloud sunshine frost wind forecast snow thunder drizzle",
}


def news(path: Path, rows: int = 25, seed: int = 0) -> Path:
    """Write headlines of three topics, in groups of five that stand for one author each."""
    chance = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(["headline", "topic", "author"])
        for topic, words in WORDS.items():
            for i in range(rows):
                said = chance.sample(words.split(), 4)
                table.writerow([f"The {said[0]} and the {said[1]}, {said[2]}, {said[3]}", topic,
                                f"{topic}-{i // 5}"])  # fmt: skip
    return path


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Two runs of the same call. Do not change them."""
    place = tmp_path_factory.mktemp("api")
    data = news(place / "news.csv")
    options = {"label": "topic", "group": "author", "budget": "60m", "max_trials": 3}
    return [hs.fit(data, out=place / f"run-{i}", **options) for i in range(2)]


def test_the_same_call_gives_the_same_result_apart_from_times(studies):
    first, second = ({k: v for k, v in s.result.items() if k != "seconds"} for s in studies)
    assert first == second


def test_the_verdict_agrees_with_its_interval(studies):
    found = studies[0].result["verdict"]
    low, high = found["gain"]["low"], found["gain"]["high"]
    expected = "helps" if low > 0 else "hurts" if high < 0 else "no evidence"
    assert found["transfer"] == expected
    assert studies[0].verdict.startswith(expected)


def test_the_model_predicts_and_is_the_one_that_was_saved(studies):
    texts = ["the referee stopped the match", "snow and frost tonight"]
    assert studies[0].model.predict(texts) == ["sport", "weather"]
    loaded = hs.load(studies[0].folder / "model")
    assert loaded.predict_proba(texts) == studies[0].model.predict_proba(texts)


def test_groups_stay_on_one_side(studies):
    result = studies[0].result
    assert all(result["data"][part] % 5 == 0 for part in ("train", "validation", "test"))


def test_a_study_prints_its_summary(studies):
    assert "Did the head start help?" in str(studies[0])


def test_own_test_rows_are_used_and_leaks_set_aside(tmp_path):
    data, test = news(tmp_path / "train.csv"), tmp_path / "test.csv"
    rows = list(csv.reader(news(tmp_path / "more.csv", seed=1).open()))
    leaked = list(csv.reader(data.open()))[1:4]
    with test.open("w", newline="") as out:
        csv.writer(out).writerows(rows[:40] + leaked)
    options = {"label": "topic", "input": "headline", "budget": "60s", "max_trials": 2}
    study = hs.fit(data, test=test, out=tmp_path / "run", **options)
    assert study.result["verdict"]["method"] == "given"
    assert study.result["data"]["test"] == 42
    aside = {row.where for row in study.set_aside if "in the given test rows" in row.reason}
    assert {f"train.csv, line {line}" for line in (2, 3, 4)} <= aside


def test_a_data_frame_gives_the_same_study_as_its_file(studies, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = pd.read_csv(news(tmp_path / "news.csv"))
    options = {"label": "topic", "group": "author", "budget": "60m", "max_trials": 3}
    study = hs.fit(frame, **options)
    assert study.folder == Path("runs/dataframe") and study.result["data"]["path"] == "DataFrame"
    changed = ("seconds", "data", "findings")  # rows of the latter have other names
    first, second = (
        {k: v for k, v in s.result.items() if k not in changed} for s in (study, studies[0])
    )
    assert first == second
    told = [[f["says"] for f in s.result["findings"]] for s in (study, studies[0])]
    assert told[0] == told[1]
    assert study.result["data"]["fingerprint"] == studies[0].result["data"]["fingerprint"]
    assert study.model.predict(frame) == study.model.predict(frame["headline"])
    scores = study.model.evaluate(frame)
    assert scores.rows == len(frame) and scores.set_aside == ()


def test_errors_are_raised_as_they_are_said(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        hs.fit(tmp_path / "nowhere", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(DataError, match=r"type builtins\.dict\. It reads"):
        hs.fit({"text": []}, out=tmp_path / "run")
    with pytest.raises(UsageError, match="budget"):
        hs.fit(tmp_path, budget="soon")


def test_a_picture_and_a_text_of_a_row_are_read_together(tmp_path):
    """What is wanted needs both: the colour of the picture and the topic of the text."""
    chance = random.Random(0)
    data = tmp_path / "posts.csv"
    with data.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(["picture", "caption", "kind"])
        for i in range(90):
            colour, topic = ("red", "blue")[i % 2], ("sport", "money")[i // 2 % 2]
            shade = {"red": (200 + i % 50, 20, 30), "blue": (20, 30, 200 + i % 50)}[colour]
            Image.new("RGB", (40, 40), shade).save(tmp_path / f"{i}.png")
            said = chance.sample(WORDS[topic].split(), 4)
            table.writerow([f"{i}.png", " and ".join(said), f"{colour} {topic}"])
    options = {"input": ["caption", "picture"], "budget": "60m", "max_trials": 3}
    study = hs.fit(data, out=tmp_path / "run", **options)
    assert study.result["task"] == "image+text-classification"
    assert study.result["finalists"]["transfer"]["source"] == (
        "bundled/efficientnet-lite0+bundled/minilm"
    )
    assert study.result["finalists"]["transfer"]["test"]["value"] > 0.9
    assert study.result["finalists"]["scratch"]["recipe"] == "small-fused"
    picture, text = str(tmp_path / "4.png"), "the league and the referee"
    assert study.model.predict([(picture, text)]) == ["red sport"]
    first, *_ = study.model.stream(data)
    assert first.data["prediction"] == "red sport", "its columns are those it was fitted on"
    assert hs.load(study.folder).evaluate(data).scores["accuracy"]["value"] > 0.9
    both, columns = "bundled/efficientnet-lite0+bundled/minilm", {"input": options["input"]}
    embedded = hs.embed(data, label="kind", **columns)
    assert embedded.source == both and embedded.values.shape == (90, 1280 + 384)
    assert hs.rank(data, label="kind", source=both, **columns).rows == 90
    with pytest.raises(SourceError, match=r"these rows have 2 inputs, image\+text"):
        hs.embed(data, source=f"{both}+bundled/minilm", label="kind", **columns)


@pytest.fixture(scope="module")
def repeats(tmp_path_factory):
    """Long pairs of texts, of which the second repeats the first or not, and a run. Do not change.

    Returns (data, options, study).
    """
    place = tmp_path_factory.mktemp("pairs")
    data, chance = place / "pairs.csv", random.Random(0)
    known = " ".join(WORDS.values()).split()
    words = [f"{one}{other}" for one in known for other in known]
    with data.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(["first", "second", "repeats"])
        for i in range(120):
            first = chance.sample(words, 60)
            second = chance.sample(first if i % 2 else words, 20)
            table.writerow([" ".join(first), " ".join(second), "yes" if i % 2 else "no"])
    options = {
        "input": ["first", "second"],
        "label": "repeats",
        "budget": "60m",
        "long": "chunks",
    }
    return data, options, hs.fit(data, out=place / "run", **options)


@pytest.mark.parametrize("time", ("enough", "too little"))
def test_rows_left_out_of_the_race_are_learnt_from_if_there_is_time(tmp_path, monkeypatch, time):
    monkeypatch.setattr(preparation, "affordable", lambda *_: 45)
    if time == "too little":
        monkeypatch.setattr(closing, "_computing", lambda *_: 1e9)
    study = hs.fit(news(tmp_path / "news.csv"), label="topic", budget="5m", max_trials=2,
                   out=tmp_path / "run")  # fmt: skip
    known = study.result["data"]
    assert (known["rows"], known["left_out"]) == (45, 30)
    notes = Ledger(tmp_path / "run" / "ledger.db").fact("notes")
    assert "45 of 75 rows" in notes[-1]
    assert known["train"] + known["validation"] + known["test"] == 45
    assert study.result["winner"]["refitted"]
    assert study.result["winner"]["rows"] == (75 if time == "enough" else 45)


def test_a_pair_is_read_as_two_texts(repeats):
    data, _, study = repeats
    scratch = study.result["finalists"]["scratch"]
    assert scratch["recipe"] == "tfidf-linear" and scratch["test"]["value"] > 0.9
    with data.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:20]
    found = study.model.predict([(row["first"], row["second"]) for row in rows])
    assert sum(f == row["repeats"] for f, row in zip(found, rows, strict=True)) >= 18


def test_chunks_are_said_kept_and_leave_out_what_tunes(repeats):
    _, _, study = repeats
    known = study.result["sources"]["bundled/minilm"]
    assert (known["long"], known["window"], known["rows"]) == ("chunks", 128, 120)
    assert known["longer"] == known["cut"] == known["unknown"] == 0
    assert "full of bundled/minilm" in study.result["left_out"]
    assert study.result["finalists"]["transfer"]["recipe"] in ("probe", "layers")
    assert study.result["trials"] == 3


def test_a_recipe_may_read_whole_texts_where_the_others_read_their_beginnings(repeats, tmp_path):
    data, options, study = repeats
    options = {**options, "long": "truncate", "recipe": "windows", "max_trials": 2}
    found = hs.fit(data, out=tmp_path / "run", **options)
    transfer = found.result["finalists"]["transfer"]
    assert transfer["recipe"] == "windows" and found.result["sources"]["bundled/minilm"]["cut"] > 0
    whole = study.result["baselines"]["probe"]["test"]["value"]
    assert transfer["test"]["value"] == pytest.approx(whole), "the same features, and the same head"
    ranks = {r.name: r.rank for r in recipes_for("text", "pooled", "fast")}
    assert ranks["tfidf-linear"] < ranks["windows"], "a verdict comes first"


def test_where_texts_are_short_there_are_no_windows(tmp_path):
    options = {"label": "topic", "budget": "60m", "recipe": ["probe", "windows"]}
    found = hs.fit(news(tmp_path / "news.csv"), out=tmp_path / "run", **options)
    assert found.result["left_out"] == ["windows of bundled/minilm"]


def test_a_run_in_chunks_that_was_stopped_goes_on_to_the_same_result(
    repeats, tmp_path, monkeypatch
):
    data, options, study = repeats

    def stop(*_given):
        raise Stopped("interrupted")

    with monkeypatch.context() as patched:
        patched.setattr(running, "evaluate", stop)
        first = hs.fit(data, out=tmp_path / "run", **options)
    assert first.result["status"] == "interrupted"
    with pytest.raises(UsageError, match="begun with other settings \\(long\\)"):
        hs.fit(data, out=tmp_path / "run", resume=True, **{**options, "long": "head-tail"})
    again = hs.fit(data, out=tmp_path / "run", resume=True, **options).result
    assert {k: v for k, v in again.items() if k != "seconds"} == {
        k: v for k, v in study.result.items() if k != "seconds"
    }


@pytest.mark.parametrize(
    ("long", "message"),
    [("middle", "--long middle is not known"), ("chunks", "--long chunks is not for pictures")],
)
def test_a_way_to_read_long_texts_without_meaning_is_refused(tmp_path, long, message):
    for i in range(24):
        place = tmp_path / "data" / str(i % 2)
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (i, 50, 99)).save(place / f"{i}.png")
    with pytest.raises(UsageError, match=message):
        hs.fit(tmp_path / "data", long=long, out=tmp_path / "run")


def test_rows_of_one_input_are_refused(tmp_path):
    data = tmp_path / "same.csv"
    data.write_text("text,label\n" + "".join(f"the same text,{'ab'[i % 2]}\n" for i in range(40)))
    for _ in range(2):  # and the folder of the run that did not begin is free again
        with pytest.raises(DataError, match="all 40 rows have the same input.*--input COL"):
            hs.fit(data, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_recordings_go_all_the_way(tmp_path):
    chance = np.random.default_rng(0)
    for name, hertz in (("low", 300), ("middle", 700), ("high", 1_500)):
        (tmp_path / "tones" / name).mkdir(parents=True)
        for i in range(20):
            seconds, level = chance.uniform(0.3, 0.6), chance.uniform(0.05, 0.3)
            at = np.arange(int(16_000 * seconds)) / 16_000
            sound = level * np.sin(2 * np.pi * hertz * chance.uniform(0.9, 1.1) * at)
            sound += chance.normal(0, level / 3, len(sound))
            soundfile.write(tmp_path / "tones" / name / f"{i}.wav", sound, 16_000)
    (tmp_path / "tones" / "low" / "empty.wav").write_bytes(b"")
    options = {"budget": "5m", "max_trials": 3, "evaluation": "holdout", "out": tmp_path / "run"}
    study = hs.fit(tmp_path / "tones", **options)
    assert study.result["task"] == "audio-classification"
    assert study.result["finalists"]["transfer"]["source"] == "bundled/whisper-tiny-en"
    assert study.result["finalists"]["scratch"]["recipe"] == "bands-linear"
    assert [aside.reason for aside in study.set_aside] == ["an empty file"]
    asked = [str(tmp_path / "tones" / name / "3.wav") for name in ("low", "high")]
    assert study.model.predict(asked) == ["low", "high"]
    assert "<svg" in (tmp_path / "run" / "report.html").read_text()


def test_speech_goes_all_the_way(phrases, tmp_path):
    options = {"budget": "5m", "evaluation": "holdout", "out": tmp_path / "run"}
    asked = {"source": "bundled/whisper-tiny-en", "recipe": ["zero-shot", "decoder"]}
    study = hs.fit(phrases.path, **asked, **options)
    assert study.result["task"] == "speech-recognition" and study.result["metric"] == "cer"
    assert study.result["finalists"]["transfer"]["recipe"] == "decoder"
    assert study.result["finalists"]["scratch"]["recipe"] == "small-recogniser"
    assert study.result["baselines"]["as_it_is"]["test"]["value"] > 0.7
    assert study.result["verdict"]["adapted"]["transfer"] == "helps"
    assert "over the source as it is" in str(study.verdict)
    assert "the source as it is" in (tmp_path / "run" / "report.html").read_text()
    trials = Ledger(tmp_path / "run" / "ledger.db").trials()
    tried = {trial.spec["recipe"]["name"]: trial.score for trial in trials}
    assert tried["decoder"] < 0.7 < tried["zero-shot"]  # no language is spoken in tones
    asked = str(Path(phrases.path).parent / "3.wav")
    [answer] = study.model.stream([asked])
    assert answer.data["segments"][0]["text"] == answer.data["prediction"]
    assert set(answer.data["prediction"]) <= set("abcd .")
    found = study.model.evaluate(phrases.path).scores["cer"]
    assert found["low"] <= found["value"] <= found["high"] < 0.7
