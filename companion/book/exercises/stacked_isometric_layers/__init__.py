"""The exercises of `book/distances/stacked_isometric_layers`.

`labels` asks for hierarchies of labels, what a level can still tell and the tree of the leaves,
`blocks` for a step that trains one block and leaves the one below it in its place, `keeping` for a
penalty on the shape of a class.
"""

from companion.book.exercises.stacked_isometric_layers.blocks import frozen_step
from companion.book.exercises.stacked_isometric_layers.keeping import shape_penalty
from companion.book.exercises.stacked_isometric_layers.labels import (
    later_ceiling,
    nested_labels,
    tree_distance,
)

__all__ = ["frozen_step", "later_ceiling", "nested_labels", "shape_penalty", "tree_distance"]
