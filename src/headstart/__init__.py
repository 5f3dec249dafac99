"""headstart: transfer learning that practitioners can trust."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

# Idle threads shall sleep, not spin: beside one other busy process spinning made training ten times
# slower. It must be set before torch is imported, and a user's own setting stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from headstart.api import Study, fit, load
    from headstart.auditing import Audit, audit
    from headstart.distilling import Distilled, distil
    from headstart.embedding import Embedding, embed
    from headstart.estimators import TransferClassifier, TransferRegressor
    from headstart.evidence.shortlist import Ranking
    from headstart.ranking import rank

__all__ = [
    "Audit",
    "Distilled",
    "Embedding",
    "Ranking",
    "Study",
    "TransferClassifier",
    "TransferRegressor",
    "audit",
    "distil",
    "embed",
    "fit",
    "load",
    "rank",
]
_PLACES = {
    "Audit": "auditing",
    "audit": "auditing",
    "Distilled": "distilling",
    "distil": "distilling",
    "Embedding": "embedding",
    "embed": "embedding",
    "Ranking": "evidence.shortlist",
    "rank": "ranking",
    "TransferClassifier": "estimators",
    "TransferRegressor": "estimators",
}

try:
    __version__ = version("headstart")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    """Import the one-call layer when it is first used: torch takes seconds to import."""
    if name in __all__:
        module = import_module(f"headstart.{_PLACES.get(name, 'api')}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
