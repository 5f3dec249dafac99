"""The ledger keeps what it was told, across openings."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest

from headstart.errors import ArtifactError
from headstart.search.ledger import Ledger, TrialRecord

RECORD = TrialRecord(1, "abc", {"recipe": "probe"}, "done", 0.5, 1.25, {"cut": "end"})


def test_facts_events_and_trials_survive_closing(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.note("seconds", 1.0)
    ledger.note("seconds", 2.5)
    ledger.event(0.5, "left out", entry="full")
    ledger.record(RECORD)
    ledger.close()
    again = Ledger(tmp_path / "ledger.db")
    assert again.fact("seconds") == 2.5
    assert again.fact("unheard of") is None
    assert again.events("left out") == [{"entry": "full"}]
    assert again.trials() == [RECORD]


def test_a_trial_is_recorded_once(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.record(RECORD)
    with pytest.raises(ArtifactError, match="ledger"):
        ledger.record(RECORD)


def test_a_killed_writer_loses_nothing_that_was_recorded(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.record(RECORD)  # never closed
    assert Ledger(tmp_path / "ledger.db").trials() == [RECORD]


def test_one_process_writes_at_a_time(tmp_path):
    first = Ledger(tmp_path / "ledger.db", writing=True)
    with pytest.raises(ArtifactError, match="another headstart is at work"):
        Ledger(tmp_path / "ledger.db", writing=True)
    Ledger(tmp_path / "ledger.db").note("seconds", 1.0)  # others may look
    first.close()
    Ledger(tmp_path / "ledger.db", writing=True).close()


def test_a_dead_process_holds_nothing(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from headstart.search.ledger import Ledger;"
        "held = Ledger(Path(sys.argv[1]), writing=True); os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "ledger.db"
    dead = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert dead.returncode < 0
    Ledger(path, writing=True).close()


def test_the_latest_event_is_known(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    assert ledger.latest == 0
    for at in (3.0, 7.5, 1.0):
        ledger.event(at, "begun")
    assert ledger.latest == 7.5


def test_a_newer_ledger_is_refused(tmp_path):
    Ledger(tmp_path / "ledger.db").note("schema", 99)
    with pytest.raises(ArtifactError, match="newer"):
        Ledger(tmp_path / "ledger.db")


def test_a_file_that_is_no_ledger_is_refused(tmp_path):
    (tmp_path / "ledger.db").write_bytes(b"something else entirely, and long enough" * 100)
    with pytest.raises(ArtifactError, match="cannot be used"):
        Ledger(tmp_path / "ledger.db")


def test_a_full_disk_is_said(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    ledger._db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(ArtifactError, match="make room"):
        for i in range(1000):
            ledger.note(f"fact {i}", "x" * 10_000)


def test_it_writes_ahead(tmp_path):
    Ledger(tmp_path / "ledger.db")
    mode = sqlite3.connect(tmp_path / "ledger.db").execute("PRAGMA journal_mode").fetchone()
    assert mode == ("wal",)
