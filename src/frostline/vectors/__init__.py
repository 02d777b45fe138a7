"""Static word vectors: read from the usual formats, pruned, stored, looked up, compared.

What reads them in a network is `frostline.StaticVectors.v1`, in embedding/static_vectors.py.
"""

from __future__ import annotations

from frostline.vectors.store import open_vectors, write_vectors
from frostline.vectors.table import Neighbour, Vectors

__all__ = ["Neighbour", "Vectors", "open_vectors", "write_vectors"]
