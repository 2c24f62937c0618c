"""Rulers for clouds of points: distances, what a map does to them, and what a cloud looks like.

`metric` measures distances, `pairs` compares two sets of them, `classes` follows those of labelled
samples through a network, `similarity` compares two representations, `cloud` describes one.
Explained in the chapters `book/distances/metric_structure` and, the last two, `rulers`.
"""

from companion.distances.classes import (
    Fate,
    Lost,
    Neighbours,
    between_within,
    lost,
    nearest,
    through,
)
from companion.distances.cloud import Dimension, intrinsic_dimension, neural_collapse
from companion.distances.metric import pairwise, within_class
from companion.distances.pairs import Distortion, correlation, distortion
from companion.distances.similarity import Procrustes, cka, procrustes

__all__ = [
    "Dimension",
    "Distortion",
    "Fate",
    "Lost",
    "Neighbours",
    "Procrustes",
    "between_within",
    "cka",
    "correlation",
    "distortion",
    "intrinsic_dimension",
    "lost",
    "nearest",
    "neural_collapse",
    "pairwise",
    "procrustes",
    "through",
    "within_class",
]


def __dir__() -> list[str]:
    return __all__
