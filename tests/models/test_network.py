"""A backbone with a head: what it answers, and that it answers the same once restored."""

from __future__ import annotations

import json

import pytest
import torch

from headstart.data.letters import texts_of
from headstart.data.modalities import Preprocessing
from headstart.errors import UsageError
from headstart.features.extract import Extractor
from headstart.models import network as module
from headstart.models import restore
from headstart.models.heads import HeadSpec
from headstart.models.network import OWN, Network, digest_weights
from headstart.sources.catalogue import sources
from headstart.sources.families import families
from headstart.sources.loading import load_source


def headed(backbone, outputs=3):
    """Return a network with a random head."""
    spec = HeadSpec("linear", backbone.width, outputs)
    head = spec.build()
    torch.manual_seed(1)
    torch.nn.init.normal_(head.linear.weight)
    torch.nn.init.normal_(head.linear.bias)
    return Network(backbone, head, spec)


@pytest.fixture(params=("image", "text"))
def network_and_rows(request, own_cache, eager):
    names = {"image": ("toy_image", "squares"), "text": ("toy_text", "headlines")}
    backbone, rows = map(request.getfixturevalue, names[request.param])
    return headed(backbone), rows


def test_outputs_are_those_of_the_head_on_the_whole_backbone(network_and_rows):
    network, rows = network_and_rows
    found = network.outputs(rows)
    backbone = network.backbone
    inputs = Extractor(backbone, "", cache=None).extract(rows.take([5]), 0).whole()
    with torch.no_grad():
        alone = network.head(backbone.model(**inputs))
    assert found.shape == (len(rows), 3) and found.dtype == torch.float32
    torch.testing.assert_close(found[5:6], alone, atol=1e-4, rtol=1e-4)


def test_restored_it_answers_the_same(network_and_rows):
    network, rows = network_and_rows
    saved = network.saved()
    json.dumps(saved.config)
    again = restore(saved)
    assert torch.equal(again.outputs(rows), network.outputs(rows))
    assert again.backbone.preprocessing == network.backbone.preprocessing
    assert again.spec == network.spec and again.output == network.output


def test_an_extractor_that_is_given_serves(toy_text, headlines, own_cache, eager):
    extractor = Extractor(toy_text, "known", cache=None)
    network = headed(toy_text)
    given = Network(toy_text, network.head, network.spec, extractor=extractor)
    assert torch.equal(given.outputs(headlines), network.outputs(headlines))
    assert list(extractor.chosen) != []


def test_engines_are_chosen_once(toy_text, headlines, own_cache, monkeypatch):
    network = headed(toy_text)
    first = network.outputs(headlines)
    monkeypatch.setattr("headstart.features.extract.choose", None)
    assert torch.equal(network.outputs(headlines), first)


@pytest.mark.parametrize("name", ("network.bn1.running_mean", "network.conv_stem.weight"))
def test_the_digest_changes_with_every_weight_and_statistic(toy_image, name):
    before = digest_weights(toy_image.model)
    assert digest_weights(toy_image.model) == before
    toy_image.model.state_dict()[name].view(-1)[0] += 1e-3
    assert digest_weights(toy_image.model) != before


def test_the_digest_does_not_change_with_the_layout(toy_image):
    before = digest_weights(toy_image.model)
    toy_image.model.to(memory_format=torch.channels_last)
    assert digest_weights(toy_image.model) == before


def test_real_weights_in_the_fastest_engine_answer_alike_once_restored(dataset_of):
    backbone = load_source(sources.get("bundled/minilm")).backbone
    network = headed(backbone)
    texts = ["a cat on a mat", "shares fell as banks lost money", "rain"]
    rows = dataset_of(texts)
    found, again = network.outputs(rows), restore(network.saved()).outputs(rows)
    assert torch.equal(found, again)


def test_equal_weights_read_otherwise_do_not_share_a_compiled_network(
    toy_image, squares, own_cache
):
    """Normalising is part of the network but no weight: a network that was compiled before for
    other means would be found, would disagree, and would be left for slow eager PyTorch."""
    settings = {**toy_image.preprocessing.settings, "mean": [0.1, 0.2, 0.3], "std": [0.2, 0.2, 0.2]}
    other = families.get(toy_image.family).build(
        toy_image.config, Preprocessing(settings, {}), "pooled"
    )
    other.model.load_state_dict(toy_image.model.state_dict())
    found = []
    for backbone in (toy_image, other):
        network = headed(backbone)
        network.outputs(squares.take(range(4)))
        found.extend(network._extractor.chosen.values())
    assert [(chosen.name, chosen.refused) for chosen in found] == [("openvino", ())] * 2


def test_features_are_the_head_s_input_pooled_and_come_in_the_same_pass(
    toy_image, squares, monkeypatch
):
    network = headed(toy_image)
    passes = []
    extract = Extractor.extract
    monkeypatch.setattr(
        Extractor, "extract", lambda *given, **named: passes.append(1) or extract(*given, **named)
    )
    response = network.respond(squares.take(range(6)))
    assert len(passes) == 1 and response.features.shape == (6, toy_image.width)
    with torch.no_grad():
        expected = network.head({"features": response.features})
    torch.testing.assert_close(response.outputs, expected)
    assert torch.equal(network.outputs(squares.take(range(6))), response.outputs)


@pytest.fixture
def writing(toy_speech, eager):
    """A network that writes, as a random source would."""
    return Network(toy_speech, toy_speech.writer, HeadSpec(OWN, toy_speech.width, 0), "text")


def test_what_is_written_stands_in_the_order_of_the_rows(writing, phrases, monkeypatch):
    """Rows are written together with those of their length, few at a time."""
    together = writing.respond(phrases)
    assert together.writing > 0
    monkeypatch.setattr(module, "AT_ONCE", 5)
    found = writing.respond(phrases)
    assert texts_of(found.outputs) == texts_of(together.outputs)
    torch.testing.assert_close(found.features, together.features)
    torch.testing.assert_close(writing.features(phrases), together.features)
    alone = writing.respond(phrases.take([7]))
    assert texts_of(alone.outputs) == texts_of(found.outputs)[7:8]


def test_more_beginnings_may_be_followed(writing, network_and_rows, phrases):
    greedy = texts_of(writing.outputs(phrases.take(range(4))))
    writing.follow(3)
    assert writing.head.beams == 3
    assert texts_of(writing.outputs(phrases.take(range(4)))) != greedy
    with pytest.raises(UsageError, match="for models that write a text word by word"):
        network_and_rows[0].follow(3)
