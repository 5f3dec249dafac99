"""The page shows trials, scores and rows set aside, and lets no data act as markup."""

from __future__ import annotations

import pytest

from headstart.report.page import write_page
from headstart.search.ledger import Ledger, TrialRecord

SCORE = {"value": 0.8, "low": 0.7, "high": 0.9}
RESULT = {
    "status": "complete",
    "headstart": "0.1.0",
    "task": "text-classification",
    "metric": "accuracy",
    "data": {
        **{"path": "a<b>.csv", "rows": 10, "test": 3, "quarantined": 1, "left_out": 0},
        "classes": ["x", "y"],
    },
    "winner": {
        **{"source": None, "recipe": "tfidf-linear", "cut": "none", "refitted": False},
        "validation": SCORE,
        "test": SCORE,
    },
    "finalists": {"transfer": None, "scratch": {"recipe": "tfidf-linear", "test": SCORE}},
    "baselines": {"scratch-same-architecture": "not measured"},
    "verdict": {"transfer": "no evidence", "gain": None, "reason": "nothing to compare"},
    "left_out": ["full of bundled/minilm"],
    "seconds": {"total": 1.0},
}


@pytest.fixture
def run(tmp_path):
    """A run folder whose ledger has one failed and one finished trial, and a nasty row."""
    ledger = Ledger(tmp_path / "ledger.db")
    spec = {"recipe": {"name": "probe"}, "source": "bundled/minilm"}
    ledger.record(TrialRecord(1, "a", spec, "failed", None, 1.0, {"reason": "Diverged: nan"}))
    spec = {"recipe": {"name": "tfidf-linear"}, "source": None}
    ledger.record(TrialRecord(2, "b", spec, "done", 0.8, 2.0, {"cut": "none"}))
    ledger.note("set aside", [["row <script>alert(1)</script>", "an empty text"]])
    ledger.close()
    return tmp_path


def test_the_page_shows_what_happened(run):
    page = write_page(RESULT, run).read_text()
    for said in ("tfidf-linear", "Diverged: nan", "failed", "nothing to compare", "<svg"):
        assert said in page
    assert "full of bundled/minilm" in page


def test_data_never_act_as_markup(run):
    page = write_page(RESULT, run).read_text()
    assert "<script>" not in page and "a<b>" not in page
    assert "&lt;script&gt;" in page


def test_the_plan_of_the_model_that_is_handed_back_is_drawn(run):
    plan = ["head  ████", "b     ·███", "a     ··██"]
    spec = {"recipe": {"name": "gradual"}, "source": "bundled/minilm"}
    ledger = Ledger(run / "ledger.db")
    ledger.record(TrialRecord(3, "c", spec, "done", 0.9, 2.0, {"cut": "a", "plan": plan}))
    ledger.close()
    handed = {**RESULT, "winner": {**RESULT["winner"], "trial": 3}}
    page = write_page(handed, run).read_text()
    assert "\n".join(plan) in page
    assert "How it was tuned" not in write_page(RESULT, run).read_text()
