"""Adapters: small parts of a stage that train in place of all of it. One file each.

What is trained is put into the network's own weights in the end, so that a model that was adapted
is saved, cut and converted as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from headstart.registry import Registry


def _nothing(_network: nn.Module) -> None:
    """Leave the network as it is: its own parameters were trained."""


@dataclass(frozen=True)
class Adapter:
    """What of the stages trains.

    Attributes
    ----------
    attach
        Returns the parameters that train within the modules of these names; it may add some to the
        network, which must then give what it gave before. None where the network has no such parts.
    merge
        Takes what was added out again, its effect put into the network's own weights.
    """

    attach: Callable[[nn.Module, Sequence[str]], list[nn.Parameter]]
    merge: Callable[[nn.Module], None] = _nothing


adapters: Registry[Adapter] = Registry("adapter", __name__)


def within(network: nn.Module, names: Sequence[str]) -> Iterator[tuple[str, nn.Module]]:
    """Yield every module under those of these names, by its full name."""
    for name in names:
        for inner, module in network.get_submodule(name).named_modules():
            yield ".".join(part for part in (name, inner) if part), module
