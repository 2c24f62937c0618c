"""A map that tears classes and pulls them apart, without any training: one exercise.

Explained in `book/distances/metric_structure`.
"""

__all__ = ["tear_untrained"]

import torch
from torch import Tensor

from companion import distances
from companion.book.exercises.exercise import Exercise, Mistake
from companion.book.exercises.readings import Points

TORN, APART = 0.8, 1.3


def _wide_classes() -> list[tuple[Tensor, Tensor]]:
    # The classes differ along the narrow first axis; the wide ones say nothing about them.
    generator = torch.Generator().manual_seed(5)
    y = torch.arange(120) % 3
    x = torch.randn(120, 4, generator=generator, dtype=torch.float64)
    x = x * torch.tensor([0.5, 1.5, 3.0, 6.0])
    x[:, 0] += 2.0 * y
    return [(x, y)]


def _whitened(x: Tensor, y: Tensor) -> Tensor:
    """Scaled until each class is as wide in every direction."""
    means = torch.stack([x[y == label].mean(0) for label in y.unique()])
    inside = (x - means[y]).T.cov()
    return x @ torch.linalg.cholesky(torch.linalg.inv(inside))


def _bent(z: Tensor, x: Tensor) -> bool:
    """Whether no linear map with a shift takes x to z."""
    ones = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
    left = z - ones @ torch.linalg.lstsq(ones, z).solution
    return bool(left.norm() > 1e-6 * (z - z.mean(0)).norm())


def _read(z: Tensor, x: Tensor, y: Tensor) -> dict[str, float]:
    d, e = distances.pairwise(x), distances.pairwise(z)
    r = distances.correlation(d, e, where=distances.within_class(y))
    apart = distances.between_within(e, y) / distances.between_within(d, y)
    return {"r": float(r), "apart": float(apart)}


tear_untrained = Exercise(
    """Check a function of x (n, d), labels y (n,) that returns a linear image z (n, k) of x.

    It must tear, within-class r below 0.8, and pull apart, between over within at least 1.3 times
    that of x. Tried on three classes that differ along a narrow direction and are wide in three
    others.

    >>> tear_untrained(lambda x, y: 3 * x)
    Within the classes r is 1.00: nothing is torn. Directions must be scaled differently.
    """,
    cases=_wide_classes,
    returns=Points(
        lambda x, y: (len(x), None),
        kind="points belong into a tensor with one row each.",
        meaning="There are {n} points, but your answer has shape {shape}: one row per point.",
        nan="A point came out as NaN or infinite: look for a division by 0.",
    ),
    right=_whitened,
    praise="Right: torn and pulled apart, and nothing was trained or folded.",
    mistakes=(
        Mistake(
            "All points fell onto one, so nothing is left to be torn.",
            lambda x, y: 0 * x,
            when=lambda z, x, y: not distances.pairwise(z).max() > 0,
        ),
        Mistake(
            "This is no linear map of x: equal steps in x must be equal steps in z, and a label "
            "may choose the directions but not move a point.",
            (lambda x, y: x.abs(), lambda x, y: x + 100 * y[:, None]),
            when=lambda z, x, y: _bent(z, x),
        ),
        Mistake(
            "Within the classes r is {r:.2f}: nothing is torn. Directions must be scaled "
            "differently.",
            (lambda x, y: 3 * x, lambda x, y: x.flip(1) + 1),
            when=lambda z, x, y: _read(z, x, y)["r"] >= TORN,
        ),
        Mistake(
            "Torn, but the classes are {apart:.2f} times as far apart as before: the direction in "
            "which they differ must gain against those in which a class is wide.",
            lambda x, y: x * x.new_tensor([1.0, 9.0, 1.0, 0.1]),
            when=lambda z, x, y: _read(z, x, y)["apart"] < APART,
        ),
    ),
    otherwise=None,
    numbers=_read,
)

__test__ = {name: globals()[name].asks for name in __all__}
