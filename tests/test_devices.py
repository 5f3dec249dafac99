"""The device: what was asked for, else a GPU where there is one."""

from __future__ import annotations

import pytest
import torch

from headstart.devices import device, using
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
