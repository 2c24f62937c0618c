"""The exercises of `book/distances/metric_structure`, on small data whose geometry is known.

`pairs` asks for distances and for how two lists of them agree, `shapes` for what a motion, a
dimension and two rulers see of a set of points.
"""

from companion.book.exercises.metric_structure.pairs import (
    pairwise_distances,
    within_class_correlation,
)
from companion.book.exercises.metric_structure.shapes import (
    blind_rulers,
    intrinsic_dimension,
    rigid_copy,
)

__all__ = [
    "blind_rulers",
    "intrinsic_dimension",
    "pairwise_distances",
    "rigid_copy",
    "within_class_correlation",
]
