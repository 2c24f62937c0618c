"""The exercises of `book/distances/isometric_regularization`, on small data of known geometry.

`penalty` asks for the penalty, `gauge` for the unit of a representation, `attack` for steps that
leave the data and for a step that climbs the penalty instead of the cross-entropy, `stopping` for
the end of a run.
"""

from companion.book.exercises.isometric_regularization.attack import (
    flattering_attack,
    off_the_data,
)
from companion.book.exercises.isometric_regularization.gauge import scale_gauge
from companion.book.exercises.isometric_regularization.penalty import isometry_penalty_by_hand
from companion.book.exercises.isometric_regularization.stopping import matched_stop

__all__ = [
    "flattering_attack",
    "isometry_penalty_by_hand",
    "matched_stop",
    "off_the_data",
    "scale_gauge",
]
