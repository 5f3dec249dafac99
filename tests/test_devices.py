"""The device: what was asked for, else a GPU where there is one."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
import torch

from headstart import devices
from headstart.devices import AHEAD, TIMED, device, on_cores, using
from headstart.errors import UsageError


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_a_gpu_is_used_where_there_is_one(monkeypatch, there, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert device().type == expected
    with using("auto"):
        assert device().type == expected


def test_what_was_asked_for_holds_until_the_end_of_the_call(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(KeyError), using("cpu"):
        assert device().type == "cpu"
        with using("cuda"):
            assert device().type == "cuda"
        assert device().type == "cpu"
        raise KeyError
    assert device().type == "cuda"


@pytest.mark.parametrize(
    ("name", "said"), [("tpu", "is not known; it is auto, cpu, cuda"), ("cuda", "finds no GPU")]
)
def test_what_is_not_there_is_said(monkeypatch, name, said):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=said), using(name):
        pass


@pytest.mark.parametrize("seconds", [0, 2e-3])
@pytest.mark.parametrize("items", [0, 1, TIMED, 40])
def test_short_work_is_done_in_one_thread_and_long_work_in_as_many_as_there_are_cores(
    seconds, items, monkeypatch
):
    monkeypatch.setattr(devices, "cores", lambda: 3)
    threads = set()

    def work(item):
        time.sleep(seconds)
        threads.add(threading.current_thread())
        return 10 * item

    assert list(on_cores(work, list(range(items)))) == [10 * item for item in range(items)]
    assert len(threads) == (4 if seconds and items > TIMED else min(1, items))


def test_what_goes_wrong_in_a_thread_is_raised():
    def work(item):
        time.sleep(2e-3)
        return 1 / (item - 9)

    with pytest.raises(ZeroDivisionError):
        list(on_cores(work, range(20)))


def test_where_no_more_is_asked_for_only_a_few_items_ahead_were_begun(monkeypatch):
    monkeypatch.setattr(devices, "cores", lambda: 2)
    begun = []

    def work(item):
        time.sleep(2e-3)
        begun.append(item)
        return item

    with contextlib.closing(on_cores(work, range(1000))) as found:
        assert [next(found) for _ in range(10)] == list(range(10))
    assert len(begun) <= 10 + AHEAD * 2 + 1
