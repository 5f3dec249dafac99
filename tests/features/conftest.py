"""Tiny networks run on one thread: two that wait for each other are slow where others compute."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def always_one_thread(one_thread):
    """Use the shared fixture in every test of this floor."""
