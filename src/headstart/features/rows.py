"""The store of rows: the features of each row by its content, whichever rows it comes with.

The cache of boundary values is keyed by a whole list of rows in their order. Cross-validation and
embedding see the same rows in ever other lists, so they keep them one by one.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from headstart.places import cache_folder
from headstart.sources.staged import Boundary

LIMIT = 5 * 2**30
"""Bytes on disk beyond which the rows used longest ago are deleted."""
KEPT = 256 * 2**20
"""Bytes of rows that stay in memory, so that looking them up again costs next to nothing."""
GRAIN = 3600
"""Seconds after which a row that is read counts as used anew."""
_ASKED = 500
"""Rows of one query."""
_PATIENCE = 30.0
"""Seconds to wait for another process that writes."""
_PAUSE = 0.02
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spaces (id INTEGER PRIMARY KEY, key TEXT UNIQUE, layout TEXT);
CREATE TABLE IF NOT EXISTS rows (
    space INTEGER, digest TEXT, value BLOB, checksum INTEGER, used INTEGER,
    PRIMARY KEY (space, digest)
);
CREATE INDEX IF NOT EXISTS by_use ON rows (used);
"""

Row = Mapping[str, np.ndarray]
"""Named vectors of one row, float32."""


class RowStore:
    """Named float32 vectors by (key, digest of the row), in an SQLite file that processes share.

    It is a cache: what is damaged counts as absent, and where the disk is full or the file cannot
    be opened, work goes on without it.

    Parameters
    ----------
    path
        The file; in the user's cache folder if None.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or cache_folder() / "rows.db"
        self._kept: OrderedDict[tuple[str, str], Row] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def load(self, key: str, digests: Sequence[str]) -> dict[str, Row]:
        """Return those of the rows that are there, by digest.

        Parameters
        ----------
        key
            Names everything but the row that its values depend on.
        digests
            Of the rows' contents.
        """
        found: dict[str, Row] = {}
        absent: list[str] = []
        with self._lock:
            for digest in dict.fromkeys(digests):
                row = self._kept.get((key, digest))
                if row is None:
                    absent.append(digest)
                else:
                    self._kept.move_to_end((key, digest))
                    found[digest] = row
        if absent:
            read = self._read(key, absent)
            self._keep(key, read)
            found |= read
        return found

    def save(self, key: str, digests: Sequence[str], values: Boundary) -> dict[str, Row]:
        """Keep the rows of `values`, each under its digest, and return them as `load` does.

        Parameters
        ----------
        values
            Named tensors (rows, width); anything but float vectors is refused.

        Raises
        ------
        ValueError
            If a value is not one vector a row.
        """
        wrong = [n for n, v in values.items() if v.ndim != 2 or not v.is_floating_point()]
        if wrong:
            raise ValueError(f"{wrong[0]} is not one vector a row")
        layout = {name: value.shape[1] for name, value in values.items()}
        whole = np.concatenate([v.float().numpy() for v in values.values()], axis=1)
        rows: dict[str, Row] = {d: _split(whole[i], layout) for i, d in enumerate(digests)}
        self._write(key, json.dumps(layout), dict(zip(digests, whole, strict=True)))
        self._keep(key, rows)
        return rows

    def size(self) -> int:
        """Return the bytes that the file takes."""
        return sum(path.stat().st_size for path in self._files() if path.is_file())

    def clear(self) -> None:
        """Delete everything that is kept."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0
        for path in self._files():
            path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return [self.path.with_name(self.path.name + ending) for ending in ("", "-wal", "-shm")]

    def _keep(self, key: str, rows: Mapping[str, Row]) -> None:
        """Hold rows in memory; those looked up longest ago make room."""
        with self._lock:
            for digest, row in rows.items():
                if (key, digest) not in self._kept:
                    self._bytes += _bytes(row)
                self._kept[key, digest] = row
            while self._bytes > KEPT and self._kept:
                self._bytes -= _bytes(self._kept.popitem(last=False)[1])

    def _read(self, key: str, digests: Sequence[str]) -> dict[str, Row]:
        found: dict[str, Row] = {}

        def read(database: sqlite3.Connection) -> None:
            stale: list[int] = []
            for space, text in database.execute(*_space(key)).fetchall():
                for number, digest, value, checksum, used in _asked(database, space, digests):
                    whole = isinstance(value, bytes)  # a damaged one may be of any type
                    if not whole or checksum != _checksum(text, digest, value):
                        continue
                    found[digest] = _split(np.frombuffer(value, np.float32), json.loads(text))
                    if used < _now() - GRAIN:
                        stale.append(number)
            _touch(database, stale)

        if self.path.is_file():
            self._operate(read)
        return found

    def _write(self, key: str, text: str, rows: Mapping[str, np.ndarray]) -> None:
        def write(database: sqlite3.Connection) -> None:
            with database:
                # from here on no one else writes: else two might add the same key
                database.execute("BEGIN IMMEDIATE")
                space = _own_space(database, key, text)
                values = ((digest, vector.tobytes()) for digest, vector in rows.items())
                database.executemany(
                    "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?)",
                    ((space, d, v, _checksum(text, d, v), _now()) for d, v in values),
                )
                _make_room(database)

        self._operate(write)

    def _operate(self, operation: Callable[[sqlite3.Connection], None]) -> None:
        """Open the file for one operation, so that no connection crosses threads or processes.

        Where another process writes it is begun anew: SQLite waits for some locks, not for all.
        What fails ends the operation quietly; a damaged file is deleted.
        """
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as database:
                    database.execute("PRAGMA journal_mode=WAL")
                    database.execute("PRAGMA synchronous=NORMAL")
                    database.executescript(_SCHEMA)
                    operation(database)
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:  # disk full, read-only
                    return
                time.sleep(_PAUSE)
            except OSError:
                return
            except sqlite3.DatabaseError:
                for path in self._files():
                    path.unlink(missing_ok=True)
                return


def _now() -> int:
    return int(time.time())


def _bytes(row: Row) -> int:
    return sum(vector.nbytes for vector in row.values())


def _checksum(layout: str, digest: str, value: bytes) -> int:
    return zlib.crc32(value, zlib.crc32(f"{layout} {digest}".encode()))


def _space(key: str) -> tuple[str, list[str]]:
    return "SELECT id, layout FROM spaces WHERE key = ?", [key]


def _own_space(database: sqlite3.Connection, key: str, layout: str) -> int:
    """Return the number under which the rows of `key` are kept; none of another layout stay."""
    known = database.execute(*_space(key)).fetchone()
    if known is not None and known[1] == layout:
        return int(known[0])
    if known is not None:
        database.execute("DELETE FROM rows WHERE space = ?", known[:1])
        database.execute("DELETE FROM spaces WHERE id = ?", known[:1])
    added = database.execute("INSERT INTO spaces (key, layout) VALUES (?, ?)", [key, layout])
    assert added.lastrowid is not None
    return added.lastrowid


def _split(whole: np.ndarray, layout: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Return the named vectors that lie side by side in `whole`."""
    ends = np.cumsum(list(layout.values()))
    return dict(zip(layout, np.split(whole, ends[:-1]), strict=True))


def _asked(
    database: sqlite3.Connection, space: int, digests: Sequence[str]
) -> Iterator[tuple[int, str, bytes, int, int]]:
    """Yield (row's number, digest, value, checksum, when used) of the rows that are there."""
    for start in range(0, len(digests), _ASKED):
        some = digests[start : start + _ASKED]
        yield from database.execute(
            "SELECT rowid, digest, value, checksum, used FROM rows WHERE space = ? "
            f"AND digest IN ({', '.join('?' * len(some))})",
            [space, *some],
        )


def _touch(database: sqlite3.Connection, rows: Sequence[int]) -> None:
    if rows:
        with database:
            database.executemany(
                "UPDATE rows SET used = ? WHERE rowid = ?", ((_now(), row) for row in rows)
            )


def _make_room(database: sqlite3.Connection) -> None:
    """Delete the rows used longest ago until a tenth of the limit is free again.

    The file does not shrink, but its free pages are used again.
    """
    page, pages, free = (
        database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_size", "page_count", "freelist_count")
    )
    used = page * (pages - free)
    if used <= LIMIT:
        return
    count = database.execute("SELECT count(*) FROM rows").fetchone()[0]
    gone = int(np.ceil(count * (1 - 0.9 * LIMIT / used)))
    database.execute(
        "DELETE FROM rows WHERE rowid IN (SELECT rowid FROM rows ORDER BY used, rowid LIMIT ?)",
        [gone],
    )
