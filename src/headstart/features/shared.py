"""Extractors that all work of a process shares, so that a source is loaded and compiled once."""

from __future__ import annotations

import threading
from collections import OrderedDict

from headstart.digest import digest_data
from headstart.features.extract import Extractor
from headstart.places import cache_folder
from headstart.sources.catalogue import Source
from headstart.sources.families import Output
from headstart.sources.loading import load_source

MOST = 3
"""Sources that stay in memory."""
_open: OrderedDict[str, Extractor] = OrderedDict()
_lock = threading.Lock()


def shared_extractor(source: Source, output: Output = "pooled") -> Extractor:
    """Return the extractor of a source's features.

    Raises
    ------
    SourceError
        If the source cannot be fetched or loaded.
    """
    files = [[file.name, file.sha256] for file in source.files]
    key = digest_data([source.id, source.modality, output, files, str(cache_folder())])
    with _lock:
        if key not in _open:
            loaded = load_source(source, output)
            _open[key] = Extractor(loaded.backbone, loaded.digest)
        _open.move_to_end(key)
        while len(_open) > MOST:
            _open.popitem(last=False)
        return _open[key]
