"""Checks of the exercises: each says what is geometrically wrong, and never the answer.

A check takes the reader's function, tries it on small data whose geometry is known, and returns an
`Answer` that shows itself as one sentence when it stands last in a cell. One module or package for
each chapter: `book/prologue`, `book/distances/metric_structure`,
`book/distances/isometric_regularization`; beside them `answers` and `walls`, which they share.
"""

from companion.book.exercises.answers import Answer
from companion.book.exercises.exercise import Exercise, Mistake
from companion.book.exercises.isometric_regularization import (
    flattering_attack,
    isometry_penalty_by_hand,
    off_the_data,
    representation_margin,
    scale_gauge,
)
from companion.book.exercises.metric_structure import (
    blind_rulers,
    intrinsic_dimension,
    pairwise_distances,
    rigid_copy,
    within_class_correlation,
)
from companion.book.exercises.prologue import (
    classifier_margin,
    cube_step,
    linear_margin,
    linearised_step,
    median_line,
)
from companion.book.exercises.stacked_isometric_layers import (
    frozen_step,
    later_ceiling,
    nested_labels,
    tree_distance,
)

__all__ = [
    "Answer",
    "Exercise",
    "Mistake",
    "blind_rulers",
    "classifier_margin",
    "cube_step",
    "flattering_attack",
    "frozen_step",
    "intrinsic_dimension",
    "isometry_penalty_by_hand",
    "later_ceiling",
    "linear_margin",
    "linearised_step",
    "median_line",
    "nested_labels",
    "off_the_data",
    "pairwise_distances",
    "representation_margin",
    "rigid_copy",
    "scale_gauge",
    "tree_distance",
    "within_class_correlation",
]
