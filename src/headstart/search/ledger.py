"""The ledger: the durable record of a run, in SQLite; only the driver writes it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from headstart.errors import ArtifactError

SCHEMA = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trials (
    id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL,
    score REAL, seconds REAL NOT NULL, details TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (at REAL NOT NULL, kind TEXT NOT NULL, details TEXT NOT NULL);
"""


@dataclass(frozen=True)
class TrialRecord:
    """One trial as the ledger has it.

    `status` is ``done`` or ``failed``; `score` is on the validation rows, in the metric's own
    direction; `details` holds what was settled, the cut, the history, or the reason of a failure.
    """

    id: int
    key: str
    spec: dict[str, Any]
    status: str
    score: float | None
    seconds: float
    details: dict[str, Any]

    @property
    def joins(self) -> tuple[int, ...]:
        """Return the trials whose models answer together; none where it is a trial itself."""
        return tuple(self.details.get("settled", {}).get("members", ()))


class Ledger:
    """The record of one run folder.

    Parameters
    ----------
    path
        Of the file.
    writing
        A run writes it, until it is closed; no other process can meanwhile. One that has died holds
        nothing.

    Raises
    ------
    ArtifactError
        If the file is no ledger, is of a newer headstart, cannot be written, or another process
        writes it.
    """

    def __init__(self, path: Path, writing: bool = False) -> None:
        self._lock = FileLock(path.with_suffix(".lock"), timeout=0)
        if writing:
            try:
                self._lock.acquire()
            except Timeout:
                raise ArtifactError(
                    f"another headstart is at work in {path.parent}. Wait for it, or choose "
                    "another --out."
                ) from None
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.executescript(_TABLES)
        except sqlite3.Error as error:
            raise ArtifactError(f"{path} cannot be used as a ledger ({error}).") from None
        schema = self.fact("schema")
        if schema is None:
            self.note("schema", SCHEMA)
        elif schema > SCHEMA:
            raise ArtifactError(f"{path} was written by a newer headstart. Update headstart.")

    def note(self, name: str, value: Any) -> None:
        """Record a fact of the run, such as its options; a later value replaces it."""
        self._write("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def fact(self, name: str) -> Any:
        """Return a recorded fact, or None."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def event(self, at: float, kind: str, **details: Any) -> None:
        """Record that something happened `at` seconds of the budget."""
        self._write("INSERT INTO events VALUES (?, ?, ?)", (at, kind, json.dumps(details)))

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the details of all events of a kind, oldest first."""
        rows = self._db.execute("SELECT details FROM events WHERE kind = ? ORDER BY at", (kind,))
        return [json.loads(row[0]) for row in rows]

    @property
    def ended(self) -> int:
        """Return how many trials have ended."""
        return int(self._db.execute("SELECT count(*) FROM trials").fetchone()[0])

    @property
    def latest(self) -> float:
        """Return at how many seconds of the budget the latest event was."""
        row = self._db.execute("SELECT max(at) FROM events").fetchone()
        return float(row[0] or 0.0)

    def record(self, trial: TrialRecord) -> None:
        """Record a trial that has ended."""
        values = (trial.id, trial.key, json.dumps(trial.spec), trial.status, trial.score)
        more = (trial.seconds, json.dumps(trial.details))
        self._write("INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, ?)", values + more)

    def trials(self) -> list[TrialRecord]:
        """Return all trials in the order in which they ended."""
        rows = self._db.execute(
            "SELECT id, key, spec, status, score, seconds, details FROM trials ORDER BY id"
        )
        return [
            TrialRecord(i, key, json.loads(spec), status, score, seconds, json.loads(details))
            for i, key, spec, status, score, seconds, details in rows
        ]

    def close(self) -> None:
        """Close the file."""
        self._db.close()
        self._lock.release()

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        try:
            self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise ArtifactError(
                f"the ledger cannot be written ({error}); make room and go on with --resume"
            ) from None
