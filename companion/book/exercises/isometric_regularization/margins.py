"""How far a point is from its nearest wall, in the representation and in the input: one check.

Explained in `book/distances/isometric_regularization`.
"""

__all__ = ["representation_margin"]

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from companion.book.exercises.answers import (
    Answer,
    Mistakes,
    Stopped,
    answering,
    attempted,
    finite,
    not_right,
    recognised,
    several,
    shaped,
)
from companion.book.exercises.readings import close
from companion.book.exercises.walls import gaps, normals

ITSELF = "the predicted class has no wall to itself."


@answering
def representation_margin(
    solution: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] | None,
) -> Answer:
    """Check a function of logits f (n, C), readout W (C, k), Jacobians J (n, k, D): two margins.

    With c the predicted class, m = min_j (f_c - f_j) / |w_c - w_j| is the distance to the decision
    set in the representation, r = min_j (f_c - f_j) / |J^T (w_c - w_j)| the one in the input, to
    first order; both (n,). Tried at points whose nearest wall is not that of the second highest
    logit, and not the same one in both spaces. Tolerance 0.1 %.

    >>> representation_margin(lambda f, W, J: None)
    not attempted yet
    >>> representation_margin(lambda f, W, J: (f.amax(1) - f.amin(1),) * 2)
    In the representation the first point came out at ...
    """
    f, weights, jacobian = _four_classes()
    found = several(
        attempted(solution)(f.clone(), weights.clone(), jacobian.clone()),
        2,
        asked="Two distances are asked for: return both, the one in the representation first.",
    )
    places = ("In the representation", "In the input")
    inside, outside = (
        _margin(part, len(f), place) for part, place in zip(found, places, strict=True)
    )
    m, r = (walls.amin(1) for walls in _walls(f, weights, jacobian))
    tables = _inner_mistakes(f, weights), _outer_mistakes(f, weights, jacobian)
    for place, given, right, table in zip(places, (inside, outside), (m, r), tables, strict=True):
        if not close(given, right):
            known = recognised(given, table)
            return not_right(
                f"{place}: {known}"
                if known
                else f"{place} the first point came out at {given[0]:.4g}: by how much does the "
                "gap of two logits shrink along a step of length one, at most?"
            )
    return Answer(True, "Right: one wall each, and it need not be the same one.")


def _four_classes() -> tuple[Float[Tensor, "24 4"], Float[Tensor, "4 3"], Float[Tensor, "24 3 5"]]:
    """Logits, readout and Jacobians of z = tanh(A x) with a linear readout."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(24, 5, generator=generator, dtype=torch.float64)
    # Axes of z that feel the input differently, and a class with steep scores: what is near in
    # one space, or has a high logit, need not be near in the other.
    mix = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    mix = mix * torch.tensor([[0.2], [0.5], [1.0]], dtype=torch.float64)
    z = torch.tanh(x @ mix.T)
    weights = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    weights[3] *= 4
    b = torch.tensor([0.5, 0.3, 0.0, -1.0], dtype=torch.float64)
    return z @ weights.T + b, weights, (1 - z.square())[:, :, None] * mix


def _margin(found: object, n: int, place: str) -> Float[Tensor, " n"]:
    given = shaped(
        found,
        (n,),
        kind="one distance for each point belongs into a tensor.",
        meaning=f"{place} each of {n} points has one distance; your answer has shape {{shape}}.",
    )
    finite(
        given,
        f"{place} a distance came out as NaN or infinite: the predicted class has no wall to "
        "itself, there it is 0 / 0.",
    )
    if (given < 0).any():
        raise Stopped(
            not_right(
                f"{place} a distance came out negative: the predicted class has the highest logit."
            )
        )
    return given


def _walls(
    f: Float[Tensor, "n C"], weights: Float[Tensor, "C k"], jacobian: Float[Tensor, "n k D"]
) -> tuple[Float[Tensor, "n C"], Float[Tensor, "n C"]]:
    """Distance to the wall of each class, in the representation and in the input."""
    gap, own = gaps(f)
    normal = normals(own, weights)
    return gap / normal.norm(dim=2), gap / (normal @ jacobian).norm(dim=2)


def _inner_mistakes(f: Float[Tensor, "n C"], weights: Float[Tensor, "C k"]) -> Mistakes:
    gap, own = gaps(f)
    normal, lengths = normals(own, weights), weights.norm(dim=1)
    walls, second = gap / normal.norm(dim=2), gap.argmin(1, keepdim=True)
    return {
        "the second highest logit need not belong to the nearest wall, one whose logit rises more "
        "steeply may be closer.": [walls.gather(1, second)[:, 0]],
        "this is a gap of logits and not a length: a readout twice as long would double it.": [
            gap.amin(1),
        ],
        "on the wall two logits are equal; its normal is made of both rows of W, not of one "
        "alone.": [
            gap.amin(1) / lengths[own],
            (gap / lengths).amin(1),
            gap.gather(1, second)[:, 0] / lengths[second[:, 0]],
        ],
        "this has the unit of a step along the weights, not of a length: try W twice as long.": [
            (gap / normal.square().sum(2)).amin(1),
        ],
        ITSELF: [torch.zeros_like(walls[:, 0])],
    }


def _outer_mistakes(
    f: Float[Tensor, "n C"], weights: Float[Tensor, "C k"], jacobian: Float[Tensor, "n k D"]
) -> Mistakes:
    gap, own = gaps(f)
    inner, outer = _walls(f, weights, jacobian)
    m, nearest, second = inner.amin(1), inner.argmin(1, keepdim=True), gap.argmin(1, keepdim=True)
    pulled = normals(own, weights) @ jacobian
    length = torch.linalg.matrix_norm(jacobian)
    foot = m[:, None] * torch.nn.functional.normalize(weights[own] - weights[nearest[:, 0]])
    back = torch.linalg.pinv(jacobian) @ foot[:, :, None]
    return {
        "the wall that is nearest in the representation need not be nearest here: the network "
        "stretches the way to another one more.": [outer.gather(1, nearest)[:, 0]],
        "you divided by the largest stretch, which gives a radius that is safe and too small: the "
        "way to this wall is stretched less.": [m / torch.linalg.matrix_norm(jacobian, 2)],
        "that is the stretch of a random direction, and an attack does not walk at random.": [
            m / length,
            m * jacobian.shape[2] ** 0.5 / length,
        ],
        "this is the distance in the representation once more.": [m],
        "the normal of the wall is made of both rows of W, not of one alone.": [
            gap.amin(1) / (weights[own][:, None] @ jacobian)[:, 0].norm(dim=1),
            (gap / (weights @ jacobian).norm(dim=2)).amin(1),
        ],
        "you looked for the way to the foot of the perpendicular in the representation; the wall "
        "is large, and another of its points may be reached sooner.": [back.norm(dim=(1, 2))],
        "you divided by the length of the weights twice, once on the way to m.": [
            (inner / pulled.norm(dim=2)).amin(1),
        ],
        "the second highest logit need not belong to the nearest wall.": [
            outer.gather(1, second)[:, 0],
        ],
        "this has the unit of a step along a gradient, not of a length: try W twice as long.": [
            (gap / pulled.square().sum(2)).amin(1),
        ],
        ITSELF: [torch.zeros_like(m)],
    }
