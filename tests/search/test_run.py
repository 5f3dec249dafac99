"""A run that is stopped, killed or refused room at awkward moments: what is left, what goes on."""

from __future__ import annotations

import csv
import random
from dataclasses import replace

import pytest

import headstart as hs
from headstart.errors import ArtifactError, BudgetError, DataError, UsageError
from headstart.search import closing
from headstart.search import run as running
from headstart.search.budget import Stopped
from headstart.search.ledger import Ledger
from headstart.search.trial import refit
from headstart.training.learners import learners

WORDS = {"sport": "goal match team coach league", "money": "bank share fund loan debt"}
OPTIONS = {"label": "topic", "budget": "60m", "max_trials": 2}


@pytest.fixture(scope="module")
def news(tmp_path_factory):
    """A table of 80 headlines of two topics. Do not change it."""
    chance, path = random.Random(0), tmp_path_factory.mktemp("news") / "news.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(["headline", "topic"])
        for number in range(80):
            topic = list(WORDS)[number % 2]
            said = " ".join(chance.sample(WORDS[topic].split(), 3))
            table.writerow([f"the {said} of {number}", topic])
    return path


@pytest.fixture(scope="module")
def whole(news, tmp_path_factory):
    """A run that nothing disturbed. Do not change it."""
    return hs.fit(news, out=tmp_path_factory.mktemp("whole") / "run", **OPTIONS).result


def timeless(result):
    return {name: value for name, value in result.items() if name != "seconds"}


def stop(*_given):
    raise Stopped("interrupted")


def fail(*_given):
    raise RuntimeError("no memory is left\nwhere it was asked for")


def test_a_trial_whose_model_could_not_be_kept_is_run_again(news, whole, tmp_path, monkeypatch):
    kept, save = [], running.save_model

    def full(prepared, contender, model, found, folder, novelty=None):
        if contender.record.id == 2:
            raise ArtifactError("no room; make some and go on with --resume")
        kept.append(contender.record.id)
        save(prepared, contender, model, found, folder, novelty)

    with monkeypatch.context() as patched, pytest.raises(ArtifactError, match="no room"):
        patched.setattr(running, "save_model", full)
        hs.fit(news, out=tmp_path / "run", **OPTIONS)
    assert set(kept) == {1}
    ledger = Ledger(tmp_path / "run" / "ledger.db")
    assert [trial.id for trial in ledger.trials()] == [1]
    ledger.close()
    again = hs.fit(news, out=tmp_path / "run", resume=True, **OPTIONS).result
    assert timeless(again) == timeless(whole)


def test_one_that_was_stopped_while_it_was_kept_is_in_the_ledger(news, tmp_path, monkeypatch):
    save = running.save_model
    with monkeypatch.context() as patched:
        patched.setattr(running, "save_model", lambda *_: (patched.undo(), stop()))
        found = hs.fit(news, out=tmp_path / "run", **OPTIONS)
    assert running.save_model is save
    assert (found.result["status"], found.result["trials"]) == ("interrupted", 1)
    assert found.model.predict(["the goal"]) and found.result["winner"]["trial"] == 1


def test_once_the_test_rows_were_read_nothing_more_is_tried(news, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(running, "evaluate", stop)
        first = hs.fit(news, out=tmp_path / "run", **OPTIONS)
    assert first.result["status"] == "interrupted"
    more = {**OPTIONS, "max_trials": 9}
    again = hs.fit(news, out=tmp_path / "run", resume=True, **more).result
    assert timeless(again) == timeless(whole)


def test_a_stop_in_the_refit_ends_the_run(news, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "refitted", stop)
    monkeypatch.setattr(running, "curves", None)  # nothing is looked ahead any more
    found = hs.fit(news, out=tmp_path / "run", **OPTIONS)
    assert found.result["status"] == "complete" and not found.result["winner"]["refitted"]
    assert found.result["finalists"] == whole["finalists"]
    assert found.model.predict(["the goal"]) == ["sport"]
    assert not (tmp_path / "run" / "trials").exists()


def test_a_stop_after_the_refit_of_a_resumed_run_leaves_what_was_refitted(
    news, whole, tmp_path, monkeypatch
):
    with monkeypatch.context() as patched:
        patched.setattr(running, "evaluate", stop)
        hs.fit(news, out=tmp_path / "run", **OPTIONS)
    monkeypatch.setattr(running, "curves", stop)
    again = hs.fit(news, out=tmp_path / "run", resume=True, **OPTIONS)
    assert again.result["status"] == "complete" and again.result["winner"]["refitted"]
    card = (tmp_path / "run" / "model" / "README.md").read_text(encoding="utf-8")
    assert "not read" not in card and str(again.result["winner"]["rows"]) in card
    assert again.model.artifact.facts["decisions"]


@pytest.mark.parametrize(("needed", "fewest", "most"), ((0.9, 1, 1), (1.3, 0.5, 0.8), (3, 0, 0)))
def test_a_refit_has_as_many_epochs_as_there_is_time_for(
    news, tmp_path, monkeypatch, capsys, needed, fewest, most
):
    """It needs so many times the budget."""
    monkeypatch.setattr(closing, "_paces", lambda *_: (needed * 3600 / 80, 0.0))
    settled = []

    def noting(assignment):
        settled.append(assignment.carried_out.epochs)
        return refit(assignment)

    monkeypatch.setattr(closing, "refit", noting)
    monkeypatch.setattr(learners.get("words"), "fit", fail)  # it would win
    tune = learners.get("tune")
    monkeypatch.setattr(tune, "forecast", lambda one: 1.0 * one.carried_out.epochs)
    options = {**OPTIONS, "recipe": "finetune", "quiet": False}
    found = hs.fit(news, out=tmp_path / "run", **options)
    assert found.result["winner"]["refitted"] == bool(most)
    assert found.result["winner"]["rows"] == (80 if most else 40)
    assert all(fewest * 10 <= epochs <= most * 10 for epochs in settled), "of 80 texts it has ten"
    said = capsys.readouterr().err
    assert ("no time to refit" in said) == (not settled)
    assert ("% of its epochs" in said) == (0 < most < 1)


def test_a_source_that_is_not_there_any_more_takes_its_trials_along(news, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(running, "evaluate", stop)
        hs.fit(news, out=tmp_path / "run", **OPTIONS)
    ledger = Ledger(tmp_path / "run" / "ledger.db", writing=True)
    first = ledger.trials()[0]
    gone = {**first.spec, "source": "somewhere/else"}
    ledger.record(replace(first, id=9, key="another", spec=gone))
    ledger.close()
    again = hs.fit(news, out=tmp_path / "run", resume=True, **OPTIONS)
    assert again.result["winner"]["source"] != "somewhere/else"


def test_what_is_complete_is_not_given_for_other_data_or_settings(news, tmp_path):
    hs.fit(news, out=tmp_path / "run", **OPTIONS)
    ledger = Ledger(tmp_path / "run" / "ledger.db")
    [engines] = ledger.fact("engines").values()
    ledger.close()
    assert engines[0]["name"] and engines[0]["cosine"] > 0.98
    again = hs.fit(news, out=tmp_path / "run", resume=True, **OPTIONS)
    assert again.result["status"] == "complete"
    other = tmp_path / "other.csv"
    other.write_bytes(news.read_bytes())
    with pytest.raises(UsageError, match="is a run of .*news.csv, not of .*other.csv"):
        hs.fit(other, out=tmp_path / "run", resume=True, **OPTIONS)
    with pytest.raises(UsageError, match="other settings \\(seed\\)"):
        hs.fit(news, out=tmp_path / "run", resume=True, seed=1, **OPTIONS)


def test_after_a_failure_at_the_end_the_run_can_be_gone_on_with_in_the_same_process(
    news, tmp_path, monkeypatch
):
    note = Ledger.note

    def full(self, name, value):
        if name == "seconds":
            raise OSError(28, "No space left on device")
        note(self, name, value)

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space") as kept:
        patched.setattr(Ledger, "note", full)
        hs.fit(news, out=tmp_path / "run", **OPTIONS)
    assert kept.traceback  # which holds every frame, as a notebook does
    assert hs.fit(news, out=tmp_path / "run", resume=True, **OPTIONS).model.predict(["the goal"])


def test_what_fails_after_the_verdict_takes_nothing_away(
    news, whole, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(closing, "refit", fail)
    monkeypatch.setattr(running, "curves", fail)
    found = hs.fit(news, out=tmp_path / "run", quiet=False, **OPTIONS)
    said = capsys.readouterr().err
    assert "not refitted: RuntimeError: no memory is left" in said
    assert "would bring is not known: RuntimeError: no memory is left" in said
    assert found.result["status"] == "complete"
    assert found.result["verdict"] == whole["verdict"]
    assert found.model.predict(["the goal"]) == ["sport"]


def test_where_no_time_is_left_to_go_on_the_earlier_model_is_named(news, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "evaluate", stop)
    hs.fit(news, out=tmp_path / "run", **OPTIONS)

    def late(*_given):
        raise Stopped("budget")

    monkeypatch.setattr(running, "prepare", late)
    with pytest.raises(BudgetError, match="the best model so far is in .*/run/model"):
        hs.fit(news, out=tmp_path / "run", resume=True, **OPTIONS)
    assert hs.load(tmp_path / "run").predict(["the goal"]) == ["sport"]


def test_without_rows_to_choose_by_it_is_said(news, tmp_path):
    rows = news.read_text(encoding="utf-8").splitlines()
    (tmp_path / "few.csv").write_text("\n".join(rows[:5]), encoding="utf-8")
    (tmp_path / "test.csv").write_text("\n".join([rows[0], *rows[40:]]), encoding="utf-8")
    with pytest.raises(DataError, match="none are left to choose models by"):
        hs.fit(tmp_path / "few.csv", test=tmp_path / "test.csv", out=tmp_path / "run", **OPTIONS)


def test_a_seed_below_zero_is_refused(news, tmp_path):
    with pytest.raises(UsageError, match="--seed must be 0 or more"):
        hs.fit(news, out=tmp_path / "run", seed=-1, **OPTIONS)
