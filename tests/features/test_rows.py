"""The store of rows: by content, shared between processes, never trusted further than its sums."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
import torch

from headstart.features import rows as module
from headstart.features.rows import RowStore

NAMES = [f"row {i}" for i in range(6)]


def values(rows=6, seed=0):
    random = torch.Generator().manual_seed(seed)
    return {
        "features": torch.randn(rows, 5, generator=random),
        "layers": torch.randn(rows, 3, generator=random),
    }


def same(found, expected, i):
    return found.keys() == expected.keys() and all(
        np.array_equal(vector, expected[name][i].numpy()) for name, vector in found.items()
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "rows.db"


@pytest.fixture
def store(path):
    """A store that holds six rows under the key ``key``."""
    made = RowStore(path)
    made.save("key", NAMES, values())
    return made


def test_rows_come_back_by_their_digest_from_memory_and_from_disk(store, path):
    for other in (store, RowStore(path)):
        found = other.load("key", ["row 4", "row 1", "nowhere", "row 4"])
        assert set(found) == {"row 4", "row 1"}
        assert same(found["row 4"], values(), 4) and same(found["row 1"], values(), 1)


def test_keys_are_apart(store, path):
    store.save("other", NAMES[:1], values(1, seed=1))
    fresh = RowStore(path)
    assert same(fresh.load("key", NAMES)["row 0"], values(), 0)
    assert same(fresh.load("other", NAMES)["row 0"], values(1, seed=1), 0)
    assert fresh.load("third", NAMES) == {}


def test_what_is_not_a_number_comes_back_as_it_was(path):
    odd = torch.tensor([[float("nan"), float("inf"), -0.0, 1e-45]])
    RowStore(path).save("key", ["odd"], {"features": odd})
    found = RowStore(path).load("key", ["odd"])["odd"]["features"]
    assert found.tobytes() == odd.numpy().tobytes()


def test_half_precision_is_kept_as_float32(path):
    RowStore(path).save("key", ["a"], {"features": torch.ones(1, 2, dtype=torch.bfloat16)})
    assert RowStore(path).load("key", ["a"])["a"]["features"].dtype == np.float32


def test_many_rows_are_asked_for_in_pieces(path, monkeypatch):
    monkeypatch.setattr(module, "_ASKED", 7)
    names = [str(i) for i in range(50)]
    RowStore(path).save("key", names, values(50))
    found = RowStore(path).load("key", names)
    assert all(same(found[name], values(50), i) for i, name in enumerate(names))


@pytest.mark.parametrize(
    "wrong", [{"features": torch.zeros(1, 2, 3)}, {"ids": torch.zeros(1, 2, dtype=torch.int64)}]
)
def test_what_is_not_one_vector_a_row_is_refused(store, wrong):
    with pytest.raises(ValueError, match="is not one vector a row"):
        store.save("key", ["a"], wrong)


def test_rows_of_another_layout_replace_those_there(store, path):
    store.save("key", ["new"], {"features": torch.ones(1, 2)})
    assert set(RowStore(path).load("key", [*NAMES, "new"])) == {"new"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no database at all, but some text" * 100),
        lambda path: path.write_bytes(path.read_bytes()[:4096]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:100] + bytes(len(path.read_bytes()))),
    ],
    ids=["text", "cut short", "empty", "zeros"],
)
def test_a_damaged_file_counts_as_absent_and_serves_again(store, path, damage):
    damage(path)
    assert RowStore(path).load("key", NAMES) == {}
    RowStore(path).save("key", NAMES, values())
    RowStore(path).save("key", NAMES, values())  # the first may have had to delete the file
    assert set(RowStore(path).load("key", NAMES)) == set(NAMES)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE rows SET value = zeroblob(length(value)) WHERE digest = 'row 2'",
        "UPDATE rows SET value = substr(value, 5) WHERE digest = 'row 2'",
        "UPDATE rows SET value = 'text' WHERE digest = 'row 2'",
        "UPDATE rows SET value = NULL WHERE digest = 'row 2'",
        "UPDATE rows SET digest = 'row 9' WHERE digest = 'row 2'",
        "UPDATE rows SET checksum = checksum + 1 WHERE digest = 'row 2'",
    ],
)
def test_a_damaged_row_counts_as_absent_and_its_neighbours_stay(store, path, change):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(change)
    found = RowStore(path).load("key", [*NAMES, "row 9"])
    assert set(found) == set(NAMES) - {"row 2"}


@pytest.mark.parametrize("layout", ['{"features": 3, "layers": 5}', "{", "[]"])
def test_a_damaged_layout_makes_its_rows_absent(store, path, layout):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE spaces SET layout = ?", [layout])
    assert RowStore(path).load("key", NAMES) == {}


@pytest.mark.parametrize("attempt", range(8))
def test_several_write_and_read_at_once(path, attempt):
    """Each with a store, so with connections, of its own; what locks them out is the file.

    All of them begin with a file that is not there yet, and which one makes it is chance.
    """

    def work(worker):
        mine = RowStore(path)
        for turn in range(5):
            names = [f"{(worker + i) % 8}-{turn}" for i in range(4)]
            mine.save("key", names, values(4, seed=turn))
            RowStore(path).load("key", names)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(RowStore(path).load("key", [f"{w}-{t}" for w in range(8) for t in range(5)])) == 40


def test_the_rows_used_longest_ago_go_first_when_room_is_short(path, monkeypatch):
    clock = iter(range(0, 10**9, 10_000))
    monkeypatch.setattr(module, "_now", lambda: next(clock))
    wide = {"features": torch.ones(1, 3000)}
    for i in range(20):
        RowStore(path).save("key", [str(i)], wide)
    RowStore(path).load("key", ["0", "1"])  # read just now
    used = path.stat().st_size
    monkeypatch.setattr(module, "LIMIT", used)
    for i in range(20, 26):
        RowStore(path).save("key", [str(i)], wide)
    left = set(RowStore(path).load("key", [str(i) for i in range(26)]))
    assert {"0", "1", "24", "25"} <= left and not {"2", "3"} & left
    assert path.stat().st_size < 1.2 * used


def test_memory_is_bounded(path, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 4 * 32)
    store = RowStore(path)
    store.save("key", NAMES, values())
    path.unlink()
    assert set(store.load("key", NAMES)) == set(NAMES[2:]), "eight numbers a row, four rows of six"
    store.load("key", ["row 2"])
    store.save("key", ["row 7"], values(1))
    assert set(store.load("key", [*NAMES, "row 7"])) == {"row 2", "row 4", "row 5", "row 7"}


def test_a_file_that_cannot_be_opened_does_not_stop_the_work(tmp_path):
    (tmp_path / "file").touch()
    store = RowStore(tmp_path / "file" / "rows.db")
    store.save("key", NAMES, values())
    assert same(store.load("key", NAMES)["row 3"], values(), 3), "it stays in memory"
    assert store.size() == 0 and RowStore(store.path).load("key", NAMES) == {}


def test_size_and_clear(store, path):
    assert store.size() >= path.stat().st_size > 0
    store.clear()
    assert store.size() == 0 and store.load("key", NAMES) == {}
    RowStore(path).clear()


def test_the_file_is_in_the_users_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    assert RowStore().path == tmp_path / "rows.db"
