"""headstart against its peers: the same weights, rows, input size and threads for all."""
