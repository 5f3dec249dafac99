"""Places on this machine: small files written in one step, and room made for large ones."""

from __future__ import annotations

import os
import time

import pytest

from headstart import places
from headstart.errors import UsageError
from headstart.places import cache_limit, make_room, read_json, size_of, write_json


def filled(folder, sizes):
    """Files of these sizes, the first used longest ago."""
    for i, size in enumerate(sizes):
        path = folder / f"key {i}" / "file"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"0" * size)
        os.utime(path, (1000 + i, 1000 + i))
        os.utime(path.parent, (1000 + i, 1000 + i))


@pytest.mark.parametrize(
    ("text", "limit"),
    [("500", 500), ("5GB", 5 * 10**9), (" 1.5 mb ", 1_500_000), ("2tb", 2 * 10**12)],
)
def test_the_limit_is_a_size(monkeypatch, text, limit):
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", text)
    assert cache_limit() == limit


@pytest.mark.parametrize("text", ["", "much", "-1", "5 G", "GB"])
def test_a_limit_that_is_no_size_is_refused(monkeypatch, text):
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", text)
    with pytest.raises(UsageError, match="is no size; write it as 500MB or 5GB"):
        cache_limit()


def test_without_a_setting_the_limit_is_the_default(monkeypatch):
    monkeypatch.delenv("HEADSTART_CACHE_LIMIT", raising=False)
    assert cache_limit() == places.LIMIT


@pytest.mark.parametrize("pattern", ["*/file", "*/"])
@pytest.mark.parametrize(
    ("wanted", "left"), [(0, 4), (10, 4), (11, 3), (30, 2), (31, 2), (70, 1), (71, 0), (100, 0)]
)
def test_what_was_used_longest_ago_goes_until_there_is_room(tmp_path, pattern, wanted, left):
    filled(tmp_path, [10, 20, 30, 30])
    assert make_room(tmp_path, pattern, wanted, 100)
    kept = sorted(path.parent.name for path in tmp_path.glob("*/file"))
    assert kept == [f"key {i}" for i in range(4 - left, 4)]
    assert size_of(tmp_path, pattern) + wanted <= 100


def test_what_never_fits_drives_nothing_out(tmp_path):
    filled(tmp_path, [10, 20])
    assert not make_room(tmp_path, "*/file", 101, 100)
    assert size_of(tmp_path, "*/file") == 30


def test_a_disk_that_is_nearly_full_leaves_less_room(tmp_path, monkeypatch):
    filled(tmp_path, [10, 20, 30])
    usage = type(places.shutil.disk_usage(tmp_path))(100, 100, 0)
    monkeypatch.setattr(places.shutil, "disk_usage", lambda _path: usage)
    assert make_room(tmp_path, "*/file", 0, 10**9)
    assert size_of(tmp_path, "*/file") == 30, "half of what is free or taken already"


def test_files_that_were_never_finished_are_swept_once_they_are_old(tmp_path):
    filled(tmp_path, [10])
    old, new = (tmp_path / "key 0" / f"{name}.part" for name in ("old", "new"))
    for path in (old, new):
        path.touch()
    days_ago = time.time() - 3 * places.ABANDONED
    os.utime(old, (days_ago, days_ago))
    assert make_room(tmp_path, "*/file", 0, 100)
    assert new.exists() and not old.exists()


def test_small_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "facts.json"
    assert read_json(path) is None
    write_json(path, {"a": [1, "ä"]})
    assert read_json(path) == {"a": [1, "ä"]}
    path.write_text('{"a": [1')
    assert read_json(path) is None

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    write_json(path, {})
    assert path.read_text() == '{"a": [1'
