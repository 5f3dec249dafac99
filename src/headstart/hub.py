"""The Hugging Face hub: whether it can be reached from here."""

from __future__ import annotations

import functools
import os
import urllib.error
import urllib.request


@functools.cache
def answers() -> bool:
    """Ask once whether the hub is there: its client would try for a long time where it is not."""
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=3).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
