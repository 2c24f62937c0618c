"""The exercises of `book/distances/metric_structure`, on small data whose geometry is known.

`pairs` asks for distances and for how two lists of them agree, `maps` for a map that tears.
"""

from companion.book.exercises.metric_structure.maps import tear_untrained
from companion.book.exercises.metric_structure.pairs import (
    pairwise_distances,
    within_class_correlation,
)

__all__ = ["pairwise_distances", "tear_untrained", "within_class_correlation"]
