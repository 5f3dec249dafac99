"""The decision-maker in made-up worlds: a part of those of `benchmarks/worlds`."""

import shutil

import numpy as np
import pytest

import headstart as hs
from worlds.judging import CLEAR, finalists, judged, summed_up
from worlds.making import KINDS, NO_GAIN, World, source


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The folder of each kind of source. Do not change."""
    place = tmp_path_factory.mktemp("sources")
    return {kind: source(kind, place) for kind, _, _ in KINDS.values()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_verdict_is_the_truth_where_that_is_clear_and_never_the_contrary(
    kind, sources, tmp_path
):
    for seed in (1, 2):
        world = World(kind, 300, 5, 0.0 if kind == "easy" else 0.1, seed)
        found = judged(world, sources[world.source], tmp_path / "run")
        shutil.rmtree(tmp_path / "run")
        side = {"helps": 1, "hurts": -1, "no evidence": 0}[found["transfer"]]
        assert side * found["true"] >= 0
        if kind in NO_GAIN:
            assert found["transfer"] == "no evidence"
        else:
            clear = abs(found["true"]) >= CLEAR * found["standard_error"]
            assert found["transfer"] == kind or not clear
            assert (found["true"] > 0) == (kind == "helps")


@pytest.mark.parametrize("kind", ("helps", "noise", "hurts"))
def test_few_rows_are_enough_where_much_is_to_be_gained(kind, sources, tmp_path, monkeypatch):
    monkeypatch.setattr("headstart.search.run.REPEATS", 1)
    world = World(kind, 60, 2, 0.0, seed=3)
    options = {"budget": 1e6, "max_trials": 3, "evaluation": "nested-cv"}
    study = hs.fit(world.draw(60), label="label", source=str(sources[world.source]),
                   out=tmp_path / "run", **options)  # fmt: skip
    assert study.result["verdict"]["transfer"] == kind.replace("noise", "no evidence")
    if kind == "hurts":
        assert study.result["winner"]["source"] is None


def test_a_world_is_the_same_for_a_seed_and_its_fresh_rows_are_others():
    world = World("helps", 50, 5, 0.1, seed=4)
    assert world.draw(50).equals(world.draw(50))
    fresh = world.draw(50, stream=1)
    assert not set(fresh["text"]) & set(world.draw(50)["text"])
    assert fresh["label"].nunique() == 5


def test_right_and_wrong_verdicts_are_counted():
    def one(kind, transfer, true):
        gain = {"value": true, "low": true - 0.1, "high": true + 0.1}
        return {
            "kind": kind, "transfer": transfer, "true": true, "gain": gain, "standard_error": 0.05
        }  # fmt: skip

    found = summed_up(
        [
            one("noise", "helps", 0.0),
            one("noise", "no evidence", 0.0),
            one("helps", "helps", 0.3),
            one("helps", "no evidence", 0.3),
            one("hurts", "helps", -0.1),
        ]
    )
    assert (found["false_verdicts"], found["without_gain"]) == (1, 2)
    assert (found["wrong_sign"], found["wrong_sign_rate"]) == (1, 0.2)
    assert (found["clear_gains"], found["clear_found"]) == (2, 0.5)
    assert found["intervals_that_hold_the_truth"] == 1.0


def test_finalists_of_a_run_are_seen(sources, tmp_path):
    world = World("helps", 60, 2, 0.0, seed=5)
    with finalists() as seen:
        hs.fit(world.draw(60), label="label", source=str(sources["knowing"]), budget=1e6,
               max_trials=3, evaluation="holdout", out=tmp_path / "run")  # fmt: skip
    [standing] = seen
    assert standing.transfer.model is not None and standing.scratch.model is not None
    assert np.isfinite(standing.transfer.record.score)
