"""The ranking of sources for a data set, real weights underneath."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

import headstart as hs
from headstart.errors import SourceError

EXAMPLES = Path(__file__).parent.parent / "examples"
OURS = "bundled/efficientnet-lite0"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A network of the same architecture with random weights, as a checkpoint of timm."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("fresh") / "tf_efficientnet_lite0.fresh.safetensors"
    save_file(timm.create_model("tf_efficientnet_lite0", num_classes=7).state_dict(), path)
    return str(path)


@pytest.fixture(scope="module")
def ranking(fresh):
    return hs.rank(EXAMPLES / "fashion", source=[fresh, OURS], rows=240)


def test_trained_weights_are_ranked_before_random_ones(ranking, fresh):
    assert [c.source for c in ranking.candidates] == [OURS, fresh]
    trained, random = ranking.candidates
    assert trained.probe > random.probe + 0.1
    assert ranking.rows == 240 and ranking.metric.name == "accuracy"
    assert trained.scores["nearest"] > random.scores["nearest"]
    assert trained.scores["leep"] is not None, "the file of the source has its own head"
    assert random.scores["leep"] is not None


def test_statistics_that_were_never_learnt_are_unlike_anything(ranking):
    trained, random = (candidate.similarity for candidate in ranking.candidates)
    assert trained.score > 0.4
    assert random.score is None


def test_the_table_names_the_shortlist(ranking, fresh):
    said = str(ranking)
    assert f"{OURS} *" in said and "among the best" in said
    assert said.splitlines()[0].split()[:2] == ["source", "accuracy"]


def test_it_is_json_data(ranking):
    data = json.loads(json.dumps(ranking.data()))
    assert data["schema"] == 1
    assert data["sources"][0]["source"] == OURS
    assert data["sources"][0]["similarity"]["says"].endswith("what it was trained on")


def test_a_source_for_other_inputs_is_refused():
    with pytest.raises(SourceError, match="is for text"):
        hs.rank(EXAMPLES / "fashion", source="bundled/minilm")


def test_what_is_not_on_this_machine_is_named(own_cache):
    (own_cache / "sources").unlink()
    (own_cache / "sources").mkdir()
    with pytest.raises(SourceError, match="headstart sources fetch"):
        hs.rank(EXAMPLES / "fashion")


def test_what_writes_is_ranked_by_what_it_writes(phrases):
    writes, silent = "bundled/whisper-tiny-en", "bundled/ge2e-speaker"
    found = hs.rank(phrases.path, source=[silent, writes], rows=8)
    assert [c.source for c in found.candidates] == [writes, silent]
    assert found.candidates[0].probe < -0.7, "no language is spoken in tones"
    assert found.candidates[1].probe is None
    assert list(found.shortlist) == [writes] and found.metric.name == "cer"
