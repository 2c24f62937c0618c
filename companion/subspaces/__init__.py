"""Directions of the input: subspaces, those of the discrete cosine transform, and filters.

`subspace` holds what a subspace is and its complement, `families` makes them (blocks of
frequencies, random ones), `frequencies` transforms images and filters them. Of images nothing as
large as D x D is made: the transform goes along one axis after the other. Explained in the
chapters that use them, `book/boundaries/invariant_directions` and
`book/boundaries/held_boundaries`.
"""

from companion.subspaces.families import dct_diagonal, random
from companion.subspaces.frequencies import (
    cut_low,
    dct,
    flip_frequencies,
    high_pass,
    inverse_dct,
    low_pass,
)
from companion.subspaces.subspace import Subspace, complement

__all__ = [
    "Subspace",
    "complement",
    "cut_low",
    "dct",
    "dct_diagonal",
    "flip_frequencies",
    "high_pass",
    "inverse_dct",
    "low_pass",
    "random",
]


def __dir__() -> list[str]:
    return __all__
