"""The ledger keeps what it was told, across openings."""

from __future__ import annotations

import sqlite3

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
