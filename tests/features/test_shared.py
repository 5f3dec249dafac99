"""Shared extractors: one for each source of a process, anew when its files have changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headstart.features import shared
from headstart.sources.catalogue import SourceFile, sources
from headstart.sources.loading import LoadedSource


@pytest.fixture
def loaded(toy_text, own_cache, monkeypatch):
    """The list of sources that were loaded; each is a toy."""
    seen = []

    def load(source, _output):
        seen.append(source.id)
        return LoadedSource(source, toy_text, "toy")

    monkeypatch.setattr(shared, "load_source", load)
    monkeypatch.setattr(shared, "_open", type(shared._open)())
    return seen


def named(name, sha256="0"):
    return replace(
        sources.get("bundled/minilm"), id=name, files=(SourceFile("weights", sha256, ()),)
    )


def test_a_source_is_loaded_once(loaded, own_cache):
    first = shared.shared_extractor(named("a"))
    assert shared.shared_extractor(named("a")) is first
    assert loaded == ["a"]
    assert first.cache.folder == own_cache / "activations"


def test_it_is_loaded_anew_when_its_files_or_the_cache_folder_have_changed(
    loaded, tmp_path, monkeypatch
):
    shared.shared_extractor(named("a"))
    shared.shared_extractor(named("a", sha256="1"))
    assert loaded == ["a", "a"]
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "elsewhere"))
    shared.shared_extractor(named("a"))
    assert loaded == ["a", "a", "a"]


def test_the_source_used_longest_ago_makes_room(loaded):
    for name in ("a", "b", "c", "a", "d", "a", "b"):
        shared.shared_extractor(named(name))
    assert loaded == ["a", "b", "c", "d", "b"]
