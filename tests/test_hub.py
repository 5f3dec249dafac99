"""Whether the hub can be reached is asked once."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from headstart import hub


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (urllib.error.HTTPError("x", 403, "no", {}, None), True),
        (urllib.error.URLError("no route"), False),
        (TimeoutError(), False),
    ],
)
def test_any_answer_counts_and_silence_does_not(monkeypatch, failure, expected):
    asked = []

    def fail(*given, **_options):
        asked.append(given)
        raise failure

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    hub.answers.cache_clear()
    assert [hub.answers(), hub.answers()] == [expected] * 2 and len(asked) == 1
    hub.answers.cache_clear()
