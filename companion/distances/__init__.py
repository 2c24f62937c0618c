"""Rulers for clouds of points: distances, what a map does to them, and what a cloud looks like.

`metric` measures distances, `pairs` compares two sets of them, `similarity` two representations,
`cloud` describes one. Explained in the chapter `book/distances/metric_structure`.
"""

from companion.distances.cloud import Dimension, intrinsic_dimension, neural_collapse
from companion.distances.metric import pairwise, within_class
from companion.distances.pairs import Distortion, correlation, distortion
from companion.distances.similarity import Procrustes, cka, procrustes

__all__ = [
    "Dimension",
    "Distortion",
    "Procrustes",
    "cka",
    "correlation",
    "distortion",
    "intrinsic_dimension",
    "neural_collapse",
    "pairwise",
    "procrustes",
    "within_class",
]
