"""The exercises of `book/prologue`, tried at walls whose distance is known in closed form.

`steps` asks for the shortest way to a wall, `lines` for random ones.
"""

from companion.book.exercises.prologue.lines import block_directions, median_line
from companion.book.exercises.prologue.steps import classifier_margin, cube_step, linearised_step

__all__ = [
    "block_directions",
    "classifier_margin",
    "cube_step",
    "linearised_step",
    "median_line",
]
