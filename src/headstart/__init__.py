"""headstart: transfer learning that practitioners can trust."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.api import Study, fit, load

__all__ = ["Study", "fit", "load"]

try:
    __version__ = version("headstart")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    """Import the one-call layer when it is first used: torch takes seconds to import."""
    if name in __all__:
        from headstart import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
