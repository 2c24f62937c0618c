"""A penalty that asks for the shape of a class and leaves its size free: one exercise.

Explained in `book/distances/stacked_isometric_layers`.
"""

__all__ = ["shape_penalty"]

import torch
from torch import Tensor

from companion.book.exercises.exercise import Exercise, Mistake
from companion.book.exercises.readings import Number

FREE, BENT = 1e-4, 1e-3


def _classes() -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """Two classes of four points: moved, shrunk, parted, bent."""
    x = torch.tensor([[0.0, 0], [1, 0], [3, 0], [0, 2], [5, 5], [6, 5], [5, 7], [8, 6]]).double()
    y = torch.arange(8) // 4
    turned = x @ torch.tensor([[0.6, 0.8], [-0.8, 0.6]]).double() + 2
    away = turned + 30 * y[:, None]
    bent = turned.clone()
    bent[1] += torch.tensor([1.0, 1.0])
    # Unequal distances within both classes, and the mean ones as they were.
    return {
        "turned": (x, turned, y), "shrunk": (x, 0.2 * turned, y), "parted": (x, away, y),
        "bent": (x, _of_one_size(x, bent, y), y),
    }  # fmt: skip


def _within(x: Tensor, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    i, j = ((y[:, None] == y).triu(diagonal=1)).nonzero(as_tuple=True)
    return (x[i] - x[j]).norm(dim=1), (z[i] - z[j]).norm(dim=1)


def _of_one_size(x: Tensor, z: Tensor, y: Tensor) -> Tensor:
    d, e = _within(x, z, y)
    return z * d.mean() / e.mean()


def _lengths(x: Tensor, z: Tensor, y: Tensor) -> Tensor:
    d, e = _within(x, z, y)
    return (e - d).square().mean()


def _shape(x: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return _lengths(x, _of_one_size(x, z, y), y)


def _size(x: Tensor, z: Tensor, y: Tensor) -> Tensor:
    d, e = _within(x, z, y)
    return (e.mean() - d.mean()).square()


def _all_pairs(x: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return _shape(x, z, torch.zeros_like(y))


def _places(x: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return (_of_one_size(x, z, y) - x).square().mean()


def _accepts(given: float, x: Tensor, z: Tensor, y: Tensor) -> bool:
    return abs(given) < FREE if _shape(x, z, y) < FREE else given > BENT


shape_penalty = Exercise(
    """Check a function of x (n, D), z (n, d) and labels y (n,) that returns a penalty, one number.

    It must be 0 (below 1e-4) where each class of z is a copy of that of x, turned, moved, and all
    of z made larger or smaller by one factor, and larger than 1e-3 where a class is bent.

    >>> shape_penalty(lambda x, z, y: ((z - x) ** 2).mean())
    The classes were turned and moved, and nothing else; your penalty asks for something more ...
    """,
    cases=_classes,
    returns=Number("a penalty", nan="which distance did you divide by?"),
    right=_shape,
    accepts=_accepts,
    praise="Right: the shape of a class is asked for, and its size is free.",
    mistakes=(
        Mistake(
            "The classes were turned and moved, and nothing else; your penalty asks for something "
            "more than their distances.",
            _places,
            at="turned",
        ),
        Mistake(
            "All distances shrank by one factor and the shapes are as they were: your penalty "
            "still asks for a size.",
            (_lengths, _size),
            at="shrunk",
        ),
        Mistake(
            "Only the way between the classes grew, which is what labels are for; your penalty "
            "forbids it.",
            _all_pairs,
            at="parted",
        ),
        Mistake(
            "One point of a class left its place among the others and the mean distance stayed: "
            "your penalty does not see that the shape is another.",
            lambda x, z, y: 0.0,
            at="bent",
        ),
    ),
    otherwise=None,
)

__test__ = {name: globals()[name].asks for name in __all__}
