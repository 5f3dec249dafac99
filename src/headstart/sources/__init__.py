"""Floor 2: the catalogue of pre-trained models, fetching and loading them, cutting backbones."""
