"""Several sources in one run: which of them are worth a race, and what each gains."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import timm
from safetensors.torch import save_file

import headstart as hs
from headstart.data.splits import units
from headstart.features.extract import Extractor
from headstart.search import run as runs
from headstart.search.budget import Clock
from headstart.search.examining import embed
from headstart.search.listener import Listener
from headstart.search.shortlisting import Shortlisting, rivals_of
from headstart.search.standing import entries
from headstart.search.trial import Bench
from headstart.sources.catalogue import Source, those
from headstart.sources.loading import load_source
from headstart.sources.opening import find_source
from headstart.tasks import metric_for, task_for, tasks
from headstart.training.learners import Rows

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
OURS = "bundled/efficientnet-lite0"
FRESH = ("test_efficientnet", "test_resnet", "test_vit")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Three small networks with random weights, as checkpoints of timm."""
    folder = tmp_path_factory.mktemp("fresh")
    paths = []
    for name in FRESH:
        paths.append(folder / f"{name}.fresh.safetensors")
        save_file(timm.create_model(name, num_classes=7).state_dict(), paths[-1])
    return [str(path) for path in paths]


class Told(Listener):
    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)


@pytest.fixture
def listing(squares, fresh):
    """A function that makes a shortlisting of painted squares with so many seconds left."""

    def make(budget: float) -> Shortlisting:
        sources = [find_source(path) for path in fresh]
        task = task_for(squares)
        dataset, spec = task.validate(squares)
        rows = Rows(dataset, task.encode(dataset, spec), units(dataset))

        def opened(source: Source) -> Extractor:
            loaded = load_source(source, "pooled")
            return Extractor(loaded.backbone, loaded.digest)

        bench = Bench(
            task=task,
            spec=spec,
            metric=metric_for(task, spec),
            train=rows,
            validation=rows,
            extractors={sources[0].id: opened(sources[0])},
            data="data",
            split="",
            seed=0,
        )
        clock, listener = Clock(60.0), Told()
        embedded = embed(dataset, bench, clock, listener)
        return Shortlisting(sources, opened, bench, embedded, rows, Clock(budget), listener)

    return make


def test_those_that_are_kept_embed_all_rows(listing, fresh):
    listed = listing(600.0)
    ranking = listed.run(None)
    assert set(ranking["shortlist"]) == set(fresh)
    assert list(listed.bench.extractors) == list(ranking["shortlist"])
    assert set(listed.embedded.values) == set(fresh)
    assert not ranking["left_out"]
    json.dumps(ranking)


def test_without_time_the_first_source_races_alone(listing, fresh):
    listed = listing(5.0)
    ranking = listed.run(None)
    assert list(ranking["shortlist"]) == fresh[:1]
    assert ranking["left_out"] == dict.fromkeys(fresh[1:], "no time to rank it")
    assert list(listed.bench.extractors) == fresh[:1]


def test_a_source_that_embeds_too_slowly_is_left_out(listing, fresh, monkeypatch):
    listed = listing(600.0)
    forecast = Extractor.forecast

    def slow(self, *given, **more):
        dear = self is listed.extractors.get(fresh[1])
        return 1e6 if dear else forecast(self, *given, **more)

    monkeypatch.setattr(Extractor, "forecast", slow)
    ranking = listed.run(None)
    assert ranking["left_out"] == {fresh[1]: "no time to embed all rows"}
    assert fresh[1] not in listed.bench.extractors


def test_where_no_other_embeds_in_time_the_first_source_stays(listing, fresh, monkeypatch):
    listed = listing(600.0)
    ranked = Shortlisting._ranked

    def without_first(self):
        found = ranked(self)
        others = {name: why for name, why in found.shortlist.items() if name != fresh[0]}
        monkeypatch.setattr(Extractor, "forecast", lambda *_given, **_more: 1e6)
        return replace(found, shortlist=others)

    monkeypatch.setattr(Shortlisting, "_ranked", without_first)
    ranking = listed.run(None)
    assert list(ranking["shortlist"]) == list(listed.bench.extractors) == fresh[:1]
    assert set(ranking["left_out"]) == set(fresh[1:])


def test_a_resumed_run_ranks_nothing_again(listing, fresh, monkeypatch):
    known = listing(600.0).run(None)
    listed = listing(5.0)
    monkeypatch.setattr(Shortlisting, "_ranked", lambda self: pytest.fail("ranked again"))
    again = listed.run(json.loads(json.dumps(known)))
    kept = [name for name in known["shortlist"] if name not in again["left_out"]]
    assert list(again["shortlist"]) == kept and fresh[0] in kept


def test_a_source_of_an_earlier_session_that_is_gone_is_left_out(listing, fresh):
    listed = listing(600.0)
    known = {"shortlist": dict.fromkeys([*fresh[:2], "gone"], "why"), "left_out": {}}
    listed.sources = listed.sources[:2]
    again = listed.run(known)
    assert list(again["shortlist"]) == list(listed.bench.extractors) == fresh[:2]
    assert again["left_out"] == {"gone": "it is not on this machine any more"}


def test_what_is_much_slower_than_the_others_is_not_looked_at(listing, fresh):
    listed = listing(600.0)
    speeds = (0.0, 1.0, 300.0)
    listed.sources = [replace(s, speed=v) for s, v in zip(listed.sources, speeds, strict=True)]
    ranking = listed.run(None)
    assert ranking["left_out"] == {fresh[1]: "it is more than ten times slower than most others"}
    assert set(ranking["shortlist"]) == {fresh[0], fresh[2]}


def test_what_cannot_be_opened_is_left_out_with_the_reason(listing, fresh):
    listed = listing(600.0)
    broken = replace(listed.sources[2], config={"name": "no_such_network", "arguments": {}})
    listed.sources = [*listed.sources[:2], broken]
    assert "no_such_network" in listed.run(None)["left_out"][fresh[2]]


def test_rivals_are_on_this_machine(own_cache):
    default = [source for source in those("image") if source.default]
    assert all(source.id != OURS for source in rivals_of(default, "image"))
    (own_cache / "sources").unlink()
    (own_cache / "sources").mkdir()
    assert rivals_of(default, "image") == []


def test_every_source_takes_part_and_scratch_once():
    planned = entries(tasks.get("image-classification"), ["a", "b"])
    alone = entries(tasks.get("image-classification"), ["a"])
    assert [entry for entry in planned if entry.source != "b"] == alone
    others = [entry.recipe for entry in planned if entry.source == "b"]
    assert others == [entry.recipe for entry in alone if entry.recipe.has_head_start]
    assert [entry.source for entry in planned if entry.recipe.start == "random"] == ["a"]


def test_rates_were_chosen_on_the_default_sources_and_are_ranged_for_others():
    planned = entries(tasks.get("image-classification"), [OURS, "timm/resnet18"])
    for entry in planned:
        tunes = entry.recipe.learner == "tune" and entry.recipe.has_head_start
        assert entry.recipe.ranged is (tunes and entry.source != OURS), entry.name


@pytest.fixture(scope="module")
def study(fresh, tmp_path_factory):
    """A run on 150 pictures of five kinds of clothes, with our source among random ones.

    Its models answer alone, as what each source gains is of one model.
    """
    place = tmp_path_factory.mktemp("study")
    for kind in sorted((EXAMPLES / "fashion").iterdir())[:5]:
        (place / "data" / kind.name).mkdir(parents=True)
        for picture in sorted(kind.glob("*.png"))[:30]:
            shutil.copy(picture, place / "data" / kind.name)
    named = [fresh[0], OURS, *fresh[1:]]
    given = {"source": named, "budget": "10m", "max_trials": 6, "refit": False}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runs, "joined", lambda *_: None)
        return hs.fit(place / "data", out=place / "run", **given)


def test_fit_races_the_three_that_suit(study, fresh):
    ranking = study.result["ranking"]
    assert len(ranking["sources"]) == 4 and len(ranking["shortlist"]) == 3
    assert ranking["sources"][0]["source"] == OURS
    assert study.result["winner"]["source"] == OURS


def test_each_source_is_compared_with_the_error_of_all_under_control(study):
    compared = study.result["verdict"]["comparisons"]
    kept = study.result["ranking"]["shortlist"]
    assert {c["source"] for c in compared} <= set(kept) and len(compared) > 1
    assert all(c["level"] == pytest.approx(1 - 0.05 / len(compared), abs=1e-4) for c in compared)
    ours = next(c for c in compared if c["source"] == OURS)
    gain = study.result["verdict"]["gain"]
    assert ours["gain"]["value"] == pytest.approx(gain["value"])
    assert ours["gain"]["low"] < gain["low"] and gain["high"] < ours["gain"]["high"]
    assert (ours["transfer"] == "helps") is (ours["gain"]["low"] > 0)


def test_summary_and_page_tell_of_them(study, fresh):
    said = str(study)
    assert "Each source over the model from scratch" in said
    page = (Path(study.folder) / "report.html").read_text()
    assert "Which source suits" in page and "not raced" in page
