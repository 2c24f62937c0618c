"""How far a point is from its nearest wall, in the representation and in the input: one exercise.

Explained in `book/distances/isometric_regularization`.
"""

__all__ = ["representation_margin"]

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from companion.book.exercises.exercise import Exercise, Mistake
from companion.book.exercises.readings import Parts, Points, close
from companion.book.exercises.walls import gaps, normals

Margins = tuple[Tensor, Tensor]
PLACES = ("In the representation", "In the input")


def _four_classes() -> list[tuple[Tensor, Tensor, Tensor]]:
    """Logits (24, 4), readout (4, 3) and Jacobians (24, 3, 5) of z = tanh(A x)."""
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
    return [(z @ weights.T + b, weights, (1 - z.square())[:, :, None] * mix)]


class _Walls(NamedTuple):
    """Gaps of the logits, normals of the walls in both spaces, predicted classes."""

    gap: Tensor
    normal: Tensor
    pulled: Tensor
    own: Tensor

    @property
    def inner(self) -> Tensor:
        return self.gap / self.normal.norm(dim=2)

    @property
    def outer(self) -> Tensor:
        return self.gap / self.pulled.norm(dim=2)


def _walls(f: Tensor, W: Tensor, J: Tensor) -> _Walls:
    gap, own = gaps(f)
    normal = normals(own, W)
    return _Walls(gap, normal, normal @ J, own)


def _right(f: Tensor, W: Tensor, J: Tensor) -> Margins:
    walls = _walls(f, W, J)
    return walls.inner.amin(1), walls.outer.amin(1)


def _inside(measure: Callable) -> Callable:
    """A solution whose margin in the input is right, the other one made of the walls and W."""

    def solution(f: Tensor, W: Tensor, J: Tensor) -> Margins:
        return measure(_walls(f, W, J), W), _right(f, W, J)[1]

    return solution


def _outside(measure: Callable) -> Callable:
    """A solution whose margin in the representation is right, the other one made of the rest."""

    def solution(f: Tensor, W: Tensor, J: Tensor) -> Margins:
        return _right(f, W, J)[0], measure(_walls(f, W, J), W, J)

    return solution


def _at(walls: Tensor, k: Tensor) -> Tensor:
    return walls.gather(1, k[:, None])[:, 0]


def _to_the_foot(walls: _Walls, W: Tensor, J: Tensor) -> Tensor:
    """The shortest way to the foot of the perpendicular in the representation."""
    m, nearest = walls.inner.min(1)
    foot = m[:, None] * torch.nn.functional.normalize(W[walls.own] - W[nearest])
    return (torch.linalg.pinv(J) @ foot[:, :, None]).norm(dim=(1, 2))


def _both(given: Margins, other: Margins, *, by: Callable = close) -> bool:
    return by(given[0], other[0]) and by(given[1], other[1])


def _first(given: Margins, other: Margins, *, by: Callable = close) -> bool:
    return by(given[0], other[0])


def _inner(sentence: str, *measures: Callable) -> Mistake:
    wrong = tuple(map(_inside, measures))
    return Mistake(f"{PLACES[0]}: {sentence}", wrong, agree=_first)


def _outer(sentence: str, *measures: Callable) -> Mistake:
    return Mistake(f"{PLACES[1]}: {sentence}", tuple(map(_outside, measures)))


def _numbers(given: Margins, *case: Tensor) -> dict:
    place = int(_first(given, _right(*case)))
    return {"place": PLACES[place], "first": given[place][0]}


ITSELF = "the predicted class has no wall to itself."

representation_margin = Exercise(
    """Check a function of logits f (n, C), readout W (C, k), Jacobians J (n, k, D): two margins.

    With c the predicted class, m = min_j (f_c - f_j) / |w_c - w_j| is the distance to the decision
    set in the representation, r = min_j (f_c - f_j) / |J^T (w_c - w_j)| the one in the input, to
    first order; both (n,). Tried at points whose nearest wall is not that of the second highest
    logit, and not the same one in both spaces. Tolerance 0.1 %.

    >>> representation_margin(lambda f, W, J: (f.amax(1) - f.amin(1),) * 2)
    In the representation the first point came out at ...
    """,
    cases=_four_classes,
    returns=Parts(
        "Two distances are asked for: return both, the one in the representation first.",
        tuple(
            Points(
                lambda f, *_: (len(f),),
                kind="one distance for each point belongs into a tensor.",
                meaning=f"{place} each of {{n}} points has one distance; your answer has shape "
                "{shape}.",
                nan=f"{place} a distance came out as NaN or infinite: the predicted class has no "
                "wall to itself, there it is 0 / 0.",
            )
            for place in PLACES
        ),
    ),
    right=_right,
    agree=_both,
    praise="Right: one wall each, and it need not be the same one.",
    mistakes=(
        *(
            Mistake(
                f"{place} a distance came out negative: the predicted class has the highest "
                "logit.",
                wrong,
                when=lambda given, *_, k=k: bool((given[k] < 0).any()),
            )
            for k, (place, wrong) in enumerate(zip(PLACES, (
                _inside(lambda walls, W: -walls.inner.amin(1)),
                _outside(lambda walls, W, J: -walls.outer.amin(1)),
            ), strict=True))
        ),
        _inner(
            "the second highest logit need not belong to the nearest wall, one whose logit rises "
            "more steeply may be closer.",
            lambda walls, W: _at(walls.inner, walls.gap.argmin(1)),
        ),
        _inner(
            "this is a gap of logits and not a length: a readout twice as long would double it.",
            lambda walls, W: walls.gap.amin(1),
        ),
        _inner(
            "on the wall two logits are equal; its normal is made of both rows of W, not of one "
            "alone.",
            lambda walls, W: walls.gap.amin(1) / W.norm(dim=1)[walls.own],
            lambda walls, W: (walls.gap / W.norm(dim=1)).amin(1),
            lambda walls, W: walls.gap.amin(1) / W.norm(dim=1)[walls.gap.argmin(1)],
        ),
        _inner(
            "this has the unit of a step along the weights, not of a length: try W twice as long.",
            lambda walls, W: (walls.gap / walls.normal.square().sum(2)).amin(1),
        ),
        _inner(ITSELF, lambda walls, W: 0 * W[walls.own, 0]),
        _outer(
            "the wall that is nearest in the representation need not be nearest here: the network "
            "stretches the way to another one more.",
            lambda walls, W, J: _at(walls.outer, walls.inner.argmin(1)),
        ),
        _outer(
            "you divided by the largest stretch, which gives a radius that is safe and too small: "
            "the way to this wall is stretched less.",
            lambda walls, W, J: walls.inner.amin(1) / torch.linalg.matrix_norm(J, 2),
        ),
        _outer(
            "that is the stretch of a random direction, and an attack does not walk at random.",
            lambda walls, W, J: walls.inner.amin(1) / J.norm(dim=(1, 2)),
            lambda walls, W, J: walls.inner.amin(1) / J.norm(dim=(1, 2)) * J.shape[2] ** 0.5,
        ),
        _outer(
            "this is the distance in the representation once more.",
            lambda walls, W, J: walls.inner.amin(1),
        ),
        _outer(
            "the normal of the wall is made of both rows of W, not of one alone.",
            lambda walls, W, J: walls.gap.amin(1) / _at((W @ J).norm(dim=2), walls.own),
            lambda walls, W, J: (walls.gap / (W @ J).norm(dim=2)).amin(1),
        ),
        _outer(
            "you looked for the way to the foot of the perpendicular in the representation; the "
            "wall is large, and another of its points may be reached sooner.",
            _to_the_foot,
        ),
        _outer(
            "you divided by the length of the weights twice, once on the way to m.",
            lambda walls, W, J: (walls.inner / walls.pulled.norm(dim=2)).amin(1),
        ),
        _outer(
            "the second highest logit need not belong to the nearest wall.",
            lambda walls, W, J: _at(walls.outer, walls.gap.argmin(1)),
        ),
        _outer(
            "this has the unit of a step along a gradient, not of a length: try W twice as long.",
            lambda walls, W, J: (walls.gap / walls.pulled.square().sum(2)).amin(1),
        ),
        _outer(ITSELF, lambda walls, W, J: 0 * J[:, 0, 0]),
    ),
    otherwise=Mistake(
        "{place} the first point came out at {first:.4g}: by how much does the gap of two logits "
        "shrink along a step of length one, at most?",
        (
            _inside(lambda walls, W: 2 * walls.inner.amin(1)),
            _outside(lambda walls, W, J: 2 * walls.outer.amin(1)),
        ),
    ),
    numbers=_numbers,
)

__test__ = {name: globals()[name].asks for name in __all__}
