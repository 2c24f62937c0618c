"""Rulers for clouds of points: distances, what a map does to them, and what a cloud looks like.

`metric` measures distances, `comparison` compares two views of the same samples, `cloud` describes
one view. Explained in the chapter `book/distances/metric_structure`.
"""

from companion.distances.cloud import Dimension, intrinsic_dimension, neural_collapse
from companion.distances.comparison import (
    Distortion,
    Procrustes,
    cka,
    correlation,
    distortion,
    procrustes,
)
from companion.distances.metric import pairwise, within_class

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
