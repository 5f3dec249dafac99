"""The systems that are compared: one script each, run in an environment of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """A system as the harness sees it.

    Attributes
    ----------
    title
        Its name for people.
    modalities
        What it is asked to learn from.
    apart
        Whether it needs an environment of its own (``requirements/NAME.txt``); else it runs where
        headstart does.
    budgeted
        Whether it keeps a budget: it is then run once for each.
    """

    title: str
    modalities: tuple[str, ...] = ("image", "text")
    apart: bool = True
    budgeted: bool = False


SYSTEMS = {
    "headstart": System("headstart", apart=False, budgeted=True),
    "script": System("OpenVINO + LogisticRegression", apart=False),
    "fastai": System("fastai", modalities=("image",)),
    "trainer": System("Hugging Face Trainer"),
    "setfit": System("SetFit", modalities=("text",)),
    "autogluon": System("AutoGluon MultiModal"),
}
"""By the names of their scripts, in the order in which they are run and drawn."""
