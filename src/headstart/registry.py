"""Registries: the one mechanism by which sources, modalities, tasks, recipes and engines are found.

A thing is added in one file, which registers itself by one call. The files of the package that a
registry names are imported when something is first looked up, so that nothing needs a list of them
and `headstart --help` imports none of them.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

from headstart.errors import UsageError

T = TypeVar("T")


class Registry(Generic[T]):
    """Named things of one kind.

    Parameters
    ----------
    noun
        What one entry is called in messages, such as ``"source"``.
    package
        Package whose modules register the built-in entries when they are imported.
    error
        Exception raised for a name that is not registered.
    """

    def __init__(self, noun: str, package: str, error: type[Exception] = UsageError) -> None:
        self.noun = noun
        self._package = package
        self._error = error
        self._entries: dict[str, T] = {}
        self._discovered = False
        self._discovering = False
        self._discovery = threading.RLock()

    def register(self, name: str, entry: T) -> T:
        """Add `entry` under `name` and return it; a name is given once (`ValueError` else)."""
        if name in self._entries:
            raise ValueError(f"{self.noun} {name!r} is registered twice")
        self._entries[name] = entry
        return entry

    def unregister(self, name: str) -> None:
        """Take `name` out again; for plug-ins and tests that come and go."""
        del self._entries[name]

    def get(self, name: str) -> T:
        """Return the entry called `name`; an unknown name is answered with its near matches."""
        self._discover()
        if name not in self._entries:
            raise self._error(self._unknown(name))
        return self._entries[name]

    def names(self) -> list[str]:
        """Return all names, sorted."""
        self._discover()
        return sorted(self._entries)

    def __iter__(self) -> Iterator[T]:
        return iter([self._entries[name] for name in self.names()])

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def _discover(self) -> None:
        """Import the modules that register entries; other threads wait until all are there."""
        if self._discovered:
            return
        with self._discovery:
            if self._discovered or self._discovering:  # a module may look something up itself
                return
            self._discovering = True
            try:
                package = importlib.import_module(self._package)
                for module in pkgutil.iter_modules(package.__path__):
                    importlib.import_module(f"{self._package}.{module.name}")
                self._discovered = True
            finally:  # where it failed the next look-up shall fail in the same way
                self._discovering = False

    def _unknown(self, name: str) -> str:
        known = self.names()
        short = {full.split("/")[-1]: full for full in known}
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or [
            short[match]
            for match in difflib.get_close_matches(name.split("/")[-1], short, n=3, cutoff=0.4)
        ]
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        return f"There is no {self.noun} called {name!r}.{hint} Known: {', '.join(known)}."
