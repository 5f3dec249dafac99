"""The catalogue: every entry is complete, and what it says is true of the network it builds."""

from __future__ import annotations

import re

import pytest

from headstart.data.modalities import modalities
from headstart.errors import SourceError
from headstart.sources.catalogue import HubOrigin, WheelOrigin, sources
from headstart.sources.families import families
from headstart.sources.loading import load_source

SHA256 = re.compile(r"[0-9a-f]{64}")
EVERY = pytest.mark.parametrize("name", sources.names())


def test_the_two_bundled_sources_are_there():
    assert {"bundled/efficientnet-lite0", "bundled/minilm"} <= set(sources.names())


@EVERY
def test_an_entry_is_complete_and_refers_to_things_that_are_registered(name):
    source = sources.get(name)
    assert source.id == name and name.startswith("bundled/")
    assert source.modality in modalities and source.family in families
    assert families.get(source.family).modality == source.modality
    for said in ("title", "architecture", "pretraining", "licence", "prefer"):
        assert getattr(source, said).strip()
    files = [file.name for file in source.files]
    assert len(files) == len(set(files)) and source.weights in files
    assert set(source.texts) <= set(files)
    if isinstance(source.config, str):
        assert source.config in files


@EVERY
def test_every_file_has_a_digest_and_can_come_from_a_package_index(name):
    for file in sources.get(name).files:
        assert SHA256.fullmatch(file.sha256)
        wheels = [origin for origin in file.origins if isinstance(origin, WheelOrigin)]
        assert wheels, "behind a proxy that reaches only a package index, this cannot be fetched"
        for origin in wheels:
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
