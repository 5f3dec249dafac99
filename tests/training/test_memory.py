"""What is done where memory runs out, with made-up limits."""

from __future__ import annotations

import mmap
import time

import pytest
import torch
from torch import nn

from headstart.training import memory
from headstart.training.memory import (
    AtOnce,
    NotEnoughMemory,
    available_memory,
    kept_bytes,
    out_of_memory,
    peak_memory,
    rows_that_fit,
)

SAID_BY_TORCH = "[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory"
SAID_ON_WINDOWS = "DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."


@pytest.mark.parametrize(
    ("error", "is_it"),
    (
        (MemoryError(), True),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError(SAID_BY_TORCH), True),
        (RuntimeError(SAID_ON_WINDOWS), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ),
)
def test_what_means_that_memory_ran_out(error, is_it):
    assert out_of_memory(error) == is_it


class Machine:
    """Works on so many rows at most."""

    def __init__(self, most):
        self.most = most
        self.tried = []

    def work(self, rows):
        self.tried.append(len(rows))
        if len(rows) > self.most:
            raise RuntimeError(SAID_BY_TORCH)
        return rows.tolist()


@pytest.mark.parametrize(
    ("most", "left", "parts"),
    ((10, 10, [10]), (9, 5, [5, 5]), (4, 3, [3, 3, 3, 1]), (1, 1, [1] * 10)),
)
def test_rows_are_halved_until_they_fit_and_stay_so(most, left, parts):
    machine, at_once, begun = Machine(most), AtOnce(10), []
    for _ in range(2):
        found = at_once.over(torch.arange(10), machine.work, lambda: begun.append(1))
        assert [row for part in found for row in part] == list(range(10))
        assert [len(part) for part in found] == parts
    assert at_once.rows == left
    failed = sum(size > most for size in machine.tried)
    assert len(begun) == failed + 2 and machine.tried[-len(parts) :] == parts


def test_a_part_that_is_smaller_than_the_limit_halves_from_its_own_size():
    at_once = AtOnce(64)
    assert at_once.over(torch.arange(6), Machine(3).work) == [[0, 1, 2], [3, 4, 5]]
    assert at_once.rows == 3


def test_a_single_row_that_does_not_fit_is_said():
    with pytest.raises(NotEnoughMemory, match="not even a single row"):
        AtOnce(8).over(torch.arange(8), Machine(0).work)


def test_other_errors_pass():
    def broken(rows):
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        AtOnce(8).over(torch.arange(8), broken)


def test_bytes_that_forward_keeps():
    """A linear layer keeps its input for the weight's gradient; a sigmoid its answer."""
    layer, value = nn.Linear(10, 20), torch.ones(4, 10)
    assert kept_bytes(layer, lambda: layer(value).sum()) == 4 * 10 * 4
    assert kept_bytes(layer, lambda: layer(value).sigmoid().sum()) == 4 * 10 * 4 + 4 * 20 * 4


@pytest.mark.parametrize(
    ("free", "rows"), ((None, 32), (1e9, 32), (129e3, 32), (127e3, 16), (33e3, 8), (100.0, 1))
)
def test_rows_that_fit_into_half_of_the_memory(free, rows):
    """A row keeps 1,000 bytes, so that a step takes 2,000 for each."""
    assert rows_that_fit(32, 1e3, nn.Identity(), free) == rows


def test_weights_and_their_moments_take_their_part():
    layer = nn.Linear(1000, 1, bias=False)  # 16,000 bytes in four copies
    assert rows_that_fit(32, 1e3, layer, 129e3) == 16
    assert rows_that_fit(32, 1e3, layer, 161e3) == 32


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_available_is_the_least_that_is_told(tmp_path):
    write(tmp_path, "proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
    assert available_memory(tmp_path) == 4000 * 1024
    write(tmp_path, "sys/fs/cgroup/memory.max", "max\n")
    write(tmp_path, "sys/fs/cgroup/memory.current", "1000\n")
    assert available_memory(tmp_path) == 4000 * 1024
    write(tmp_path, "sys/fs/cgroup/memory.max", "3000000\n")
    assert available_memory(tmp_path) == 2_999_000
    write(tmp_path, "sys/fs/cgroup/memory.stat", "anon 700\ninactive_file 400\nfile 900\n")
    assert available_memory(tmp_path) == 2_999_400.0
    write(tmp_path, "sys/fs/cgroup/memory/memory.limit_in_bytes", "500\n")
    write(tmp_path, "sys/fs/cgroup/memory/memory.usage_in_bytes", "700\n")
    assert available_memory(tmp_path) == 0


def test_this_machine_tells():
    found = available_memory()
    assert found is None or found > 1e6


def test_the_peak_is_told_though_memory_is_given_back():
    size = 50 * 2**20
    with peak_memory() as found:
        # of its own, since what Python has freed before would serve without growth
        held = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for page in range(0, size, mmap.PAGESIZE):
            held[page] = 1
        time.sleep(0.1)
        held.close()
    assert len(found) == 1 and 45 * 2**20 < found[0] < 90 * 2**20


def test_where_the_system_does_not_tell_nothing_is_said(monkeypatch):
    monkeypatch.setattr(memory, "anonymous", lambda: 0)
    with peak_memory() as found:
        pass
    assert found == []
