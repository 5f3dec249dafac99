"""Finding registered things, and what is said of things that are not there."""

from __future__ import annotations

import importlib
import sys
import threading

import pytest

from headstart.errors import SourceError, UsageError
from headstart.registry import Registry


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `plugged` whose one module notes each time that it is imported."""
    folder = tmp_path / "plugged"
    folder.mkdir()
    (folder / "__init__.py").write_text("imported = []\n")
    (folder / "one.py").write_text("import plugged\nplugged.imported.append('one')\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "plugged"
    for name in [name for name in sys.modules if name.split(".")[0] == "plugged"]:
        del sys.modules[name]


def test_get_returns_what_was_registered(package):
    registry = Registry("thing", package)
    entry = registry.register("a", object())
    assert registry.get("a") is entry
    assert "a" in registry and "b" not in registry


def test_another_thread_waits_until_all_are_there(package, tmp_path):
    (tmp_path / "plugged" / "two.py").write_text(
        "import time, plugged\n"
        "plugged.registry.register('early', 1)\n"
        "plugged.begun.set()\n"
        "time.sleep(0.3)\n"
        "plugged.registry.register('late', 2)\n"
    )
    plugged = importlib.import_module("plugged")
    plugged.registry, plugged.begun = Registry("thing", package), threading.Event()
    first = threading.Thread(target=plugged.registry.names)
    first.start()
    plugged.begun.wait()
    assert plugged.registry.get("late") == 2
    first.join()


def test_names_and_iteration_are_sorted_whatever_the_order_of_registration(package):
    registry = Registry("thing", package)
    for name in ("b", "c", "a"):
        registry.register(name, name.upper())
    assert registry.names() == ["a", "b", "c"]
    assert list(registry) == ["A", "B", "C"]


def test_a_name_is_given_only_once(package):
    registry = Registry("thing", package)
    registry.register("a", 1)
    with pytest.raises(ValueError, match="thing 'a' is registered twice"):
        registry.register("a", 2)
    registry.unregister("a")
    assert registry.register("a", 2) == 2


def test_modules_are_imported_at_the_first_look_and_not_before(package):
    registry = Registry("thing", package)
    registry.register("a", 1)
    assert package not in sys.modules
    registry.names()
    registry.names()
    assert sys.modules[package].imported == ["one"]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("bundled/minilmm", "bundled/minilm"),
        ("minilm", "bundled/minilm"),
        ("MiniLM", "bundled/minilm"),
        ("efficientnet", "bundled/efficientnet-lite0"),
    ],
)
def test_unknown_name_is_answered_with_near_matches_and_all_that_is_known(package, asked, meant):
    registry = Registry("source", package, SourceError)
    for name in ("bundled/minilm", "bundled/efficientnet-lite0"):
        registry.register(name, name)
    with pytest.raises(SourceError) as caught:
        registry.get(asked)
    said = str(caught.value)
    assert f"There is no source called {asked!r}. Did you mean {meant}" in said
    assert said.endswith("Known: bundled/efficientnet-lite0, bundled/minilm.")


def test_a_name_like_no_other_gets_no_hint(package):
    registry = Registry("thing", package)
    registry.register("alpha", 1)
    with pytest.raises(UsageError) as caught:
        registry.get("zzz")
    assert str(caught.value) == "There is no thing called 'zzz'. Known: alpha."


def test_a_module_that_cannot_be_imported_is_said_at_every_look(package, tmp_path):
    (tmp_path / "plugged" / "two.py").write_text("raise OSError('no room')\n")
    registry = Registry("thing", package)
    registry.register("a", 1)
    for _ in range(2):
        with pytest.raises(OSError, match="no room"):
            registry.names()
