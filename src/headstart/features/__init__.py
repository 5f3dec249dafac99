"""Floor 3: running frozen layers once: engines, and the cache of boundary values."""
