"""The catalogue: every entry is complete, and what it says is true of the network it builds."""

from __future__ import annotations

import re

import pytest

from headstart.data.modalities import modalities
from headstart.errors import SourceError, UsageError
from headstart.sources.catalogue import HubOrigin, SdistOrigin, WheelOrigin, sources, those
from headstart.sources.families import families
from headstart.sources.loading import load_source

SHA256 = re.compile(r"[0-9a-f]{64}")
EVERY = pytest.mark.parametrize("name", sources.names())


def test_the_bundled_sources_are_there():
    pictures = {"efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"}
    pictures |= {"squeezenet", "vgg16-hed"}
    others = {"ge2e-speaker", "minilm", "smollm2", "whisper-base", "whisper-tiny-en"}
    assert {f"bundled/{name}" for name in pictures | others} == set(sources.names())


def test_one_source_of_each_modality_is_tried_where_none_is_named():
    default = {source.modality: source.id for source in sources if source.default}
    assert default == {
        "audio": "bundled/whisper-tiny-en",
        "image": "bundled/efficientnet-lite0",
        "text": "bundled/minilm",
    }
    assert len(default) == sum(source.default for source in sources)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, set(sources.names())),
        ({"modality": "text"}, {"bundled/minilm", "bundled/smollm2"}),
        ({"licence": "mit", "modality": "image"}, {"bundled/squeezenet", "bundled/vgg16-hed"}),
        ({"licence": "MIT", "modality": "Text"}, set()),
        ({"licence": "APACHE-2.0", "modality": "text"}, {"bundled/minilm", "bundled/smollm2"}),
    ],
)
def test_sources_are_found_by_modality_and_licence_in_any_case(asked, found):
    assert {source.id for source in those(**asked)} == found


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"licence": "apache"}, "No source has the licence 'apache'. Did you mean Apache-2.0?"),
        ({"licence": "gpl"}, "No source has the licence 'gpl'. Known: Apache-2.0, MIT"),
        ({"modality": "sound"}, "No source has the modality 'sound'. Known: audio, image, text"),
    ],
)
def test_a_modality_or_licence_that_no_source_has_is_answered_with_those_there_are(asked, said):
    with pytest.raises(UsageError) as caught:
        those(**asked)
    assert said in str(caught.value)


@EVERY
def test_an_entry_is_complete_and_refers_to_things_that_are_registered(name):
    source = sources.get(name)
    assert source.id == name and name.startswith("bundled/")
    assert source.modality in modalities and source.family in families
    assert families.get(source.family).modality == source.modality
    for said in ("title", "architecture", "pretraining", "licence", "prefer"):
        assert getattr(source, said).strip()
    assert source.speed > 0
    files = [file.name for file in source.files]
    assert len(files) == len(set(files)) and (source.read or source.weights in files)
    assert set(source.texts) <= set(files)
    if isinstance(source.config, str):
        assert source.config in files


@EVERY
def test_every_file_has_a_digest_and_can_come_from_a_package_index(name):
    for file in sources.get(name).files:
        assert SHA256.fullmatch(file.sha256)
        packages = [o for o in file.origins if isinstance(o, WheelOrigin | SdistOrigin)]
        assert packages, "behind a proxy that reaches only a package index, this cannot be fetched"
        for origin in packages:
            assert SHA256.fullmatch(origin.sha256) and "==" in origin.requirement
        for origin in file.origins:
            if isinstance(origin, HubOrigin):
                assert origin.repository.count("/") == 1 and origin.revision


@EVERY
def test_the_number_of_parameters_is_that_of_the_backbone(name):
    source = sources.get(name)
    backbone = load_source(source).backbone
    assert sum(p.numel() for p in backbone.model.parameters()) == source.parameters


def test_an_unknown_source_is_answered_with_near_matches():
    with pytest.raises(
        SourceError, match=r"no source called 'minilm'. Did you mean bundled/minilm"
    ):
        sources.get("minilm")
