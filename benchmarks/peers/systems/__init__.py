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
    colour
        Of its line in pictures; colour-blind people can tell these apart (Okabe and Ito).
    modalities
        What it is asked to learn from.
    apart
        Whether it needs an environment of its own (``requirements/NAME.txt``); else it runs where
        headstart does.
    budgeted
        Whether it keeps a budget: it is then run once for each.
    """

    title: str
    colour: str
    modalities: tuple[str, ...] = ("image", "text")
    apart: bool = True
    budgeted: bool = False


SYSTEMS = {
    "headstart": System("headstart", "#d55e00", apart=False, budgeted=True),
    "script": System("OpenVINO + LogisticRegression", "#0072b2", apart=False),
    "fastai": System("fastai", "#009e73", modalities=("image",)),
    "trainer": System("Hugging Face Trainer", "#cc79a7"),
    "setfit": System("SetFit", "#e69f00", modalities=("text",)),
    "autogluon": System("AutoGluon MultiModal", "#56b4e9"),
}
"""By the names of their scripts, in the order in which they are run and drawn."""
