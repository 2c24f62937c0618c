"""The decision function of a pair of classes, and what it does around a sample.

F = f_rival - f_own: negative where we stand, 0 on the boundary of the two, positive behind it. Its
value over the length of its gradient is the distance to the boundary in first order, the gradient
the boundary's normal, which points away from us, and the Hessian over the same length its
curvature: attacks, margins, regions, curvature and detection are written on it. Done by hand in
`book/prologue`.
"""

from companion.decision.function import DecisionFunction
from companion.decision.gaps import logit_gap, logit_gaps
from companion.decision.taylor import Taylor

__all__ = ["DecisionFunction", "Taylor", "logit_gap", "logit_gaps"]
