"""What is measured before a trial begins."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from headstart.training import measuring
from headstart.training.measuring import fastest, step_seconds
from headstart.training.plan import HEAD
from headstart.training.precision import Numerics, all_numerics

pytestmark = pytest.mark.usefixtures("own_cache", "one_thread")

HALF, FULL = Numerics("bf16", "channels-last"), Numerics("f32", "channels-last")


@pytest.fixture(autouse=True)
def _with_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)


class Measured:
    """Answers known seconds, and counts how often it was asked."""

    def __init__(self, others, **known):
        self.others, self.known, self.asked = others, known, []

    def __call__(self, numerics, longest):
        self.asked.append(numerics)
        return self.known.get(f"{numerics.precision}_{numerics.layout[:4]}", self.others)


@pytest.mark.parametrize(
    ("measured", "best"),
    (
        (Measured(2.0, bf16_chan=1.0), HALF),
        (Measured(2.0, bf16_chan=1.0, f32_chan=0.95), HALF),  # no clear winner
        (Measured(2.0, bf16_chan=1.0, f32_chan=0.5), FULL),
        (Measured(2.0, bf16_chan=1.0, f32_cont=0.5), Numerics("f32", "contiguous")),
        (Measured(2.0, bf16_chan=1.0, bf16_cont=0.5, f32_chan=0.4), FULL),
    ),
)
def test_the_usual_numerics_are_left_for_a_clear_winner(measured, best):
    assert fastest("suffix", measured) == best
    assert measured.asked[:4] == all_numerics() and len(measured.asked) in (4, 6)


def test_a_winner_has_to_win_twice():
    """The usual numerics are slower on few rows only, or because of something else at first."""

    def seconds(numerics, longest):
        slow = numerics == HALF and longest == measuring.GLANCE
        return 3.0 if slow else 1.0

    assert fastest("suffix", seconds) == HALF


def test_a_winner_at_a_glance_may_lose_the_second_time():
    asked = []

    def seconds(numerics, longest):
        asked.append((numerics, longest))
        return 0.5 if numerics == FULL and longest == measuring.GLANCE else 1.0

    assert fastest("suffix", seconds) == HALF
    assert asked[4:] == [(HALF, measuring.LONGEST), (FULL, measuring.LONGEST)]


def test_it_is_measured_once_for_each_thing_and_kept():
    first = Measured(2.0, f32_chan=0.5)
    assert fastest(["a", {"x": [1, 2]}], first) == FULL
    later = Measured(2.0, bf16_chan=0.1)
    assert fastest(["a", {"x": [1, 2]}], later) == FULL and not later.asked
    assert fastest(["a", {"x": [1, 3]}], later) == HALF and later.asked


def test_another_number_of_threads_is_measured_anew(monkeypatch):
    fastest("a", Measured(1.0))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    later = Measured(1.0)
    fastest("a", later)
    assert later.asked


@pytest.mark.parametrize(
    "content", (b"", b"\xff\x00", b"[]", b"{}", b'{"precision": "f8", "layout": "contiguous"}')
)
def test_a_damaged_file_is_measured_again(own_cache, content):
    fastest("a", Measured(2.0, f32_chan=0.5))
    (file,) = own_cache.glob("numerics/*.json")
    file.write_bytes(content)
    assert fastest("a", Measured(2.0, f32_chan=0.5)) == FULL
    assert [f.name for f in own_cache.glob("numerics/*")] == [file.name]
    assert fastest("a", Measured(2.0, bf16_chan=0.1)) == FULL, "it was written again"


def test_where_nothing_can_be_kept_it_is_measured_each_time(own_cache):
    (own_cache / "numerics").write_text("a file in the place of the folder")
    for _ in range(2):
        measured = Measured(2.0, f32_chan=0.5)
        assert fastest("a", measured) == FULL and measured.asked


@pytest.mark.parametrize(
    ("batch", "once", "a_row", "most"),
    (
        (2, 0.0, 0.005, 2),
        (32, 0.0, 0.0005, 32),
        (400, 0.0, 0.002, 300),
        (64, 0.0, 9.0, 4),
        (32, 0.1, 0.0125, 16),
        (32, 0.3, 0.001, 7),
    ),
)
def test_a_step_s_seconds_are_those_of_its_rows(monkeypatch, batch, once, a_row, most):
    """In made-up time; what is dear is measured on fewer rows, and what it costs anyway is told."""
    layer, seen, now = nn.Linear(3, 2), [], [0.0]
    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def step(taken, epoch):
        seen.append(len(taken))
        assert taken.max() < batch
        now[0] += once + a_row * len(taken)
        return layer(torch.ones(len(taken), 3)).pow(2).mean()

    before = layer.weight.detach().clone()
    seconds = step_seconds(layer, {HEAD: list(layer.parameters())}, step, batch, "frozen")
    too_few = once and most < 8  # to tell what each costs: as if rows were all
    assert seconds == pytest.approx(
        batch * (once / most + a_row) if too_few else once + batch * a_row
    )
    assert max(seen) == pytest.approx(most, abs=1)
    torch.testing.assert_close(layer.weight, before, atol=1e-3, rtol=0)


def test_what_is_kept_says_the_seconds(own_cache):
    fastest("a", Measured(2.0, f32_chan=0.5))
    (file,) = own_cache.glob("numerics/*.json")
    assert '"f32 channels-last": 0.5' in file.read_text()
    assert measuring.CLEAR < 1
