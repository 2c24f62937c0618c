"""The decision function of a pair of classes, and what it does around a sample.

F = f_rival - f_own: negative where we stand, 0 on the boundary of the two, positive behind it. Its
value over the length of its gradient is the distance to the boundary in first order, the gradient
the boundary's normal, which points away from us, and the Hessian over the same length its
curvature: attacks, margins, regions, curvature and detection are written on it. `walk` says how
far one walks along a given direction until the answer changes, `shortest_walk` which direction
needs least. Done by hand in `book/prologue`.
"""

from companion.decision.function import DecisionFunction
from companion.decision.gaps import logit_gap, logit_gaps
from companion.decision.taylor import Taylor
from companion.decision.walks import linear_line, linear_walk, shortest_walk, walk

__all__ = [
    "DecisionFunction",
    "Taylor",
    "linear_line",
    "linear_walk",
    "logit_gap",
    "logit_gaps",
    "shortest_walk",
    "walk",
]


def __dir__() -> list[str]:
    return __all__
