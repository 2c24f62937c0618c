"""The unit of a representation, which a network is free to choose: one exercise.

Explained in `book/distances/isometric_regularization`.
"""

__all__ = ["scale_gauge"]

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from companion import distances
from companion.book.exercises.exercise import Exercise, Mistake
from companion.book.exercises.isometric_regularization.penalty import classes
from companion.book.exercises.readings import Parts, Points, close


class _Gauge(NamedTuple):
    """Another representation and readout, and how often as far apart any two points are."""

    z: Tensor
    W: Tensor
    b: Tensor
    growth: Tensor


def _classifier() -> list[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(1)
    weights = 2 * torch.randn(3, 5, generator=generator, dtype=torch.float64)
    return [(*classes()[0], weights, torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))]


PARTS = Parts(
    "A classifier is asked for: return z, W and b, in this order.",
    tuple(
        Points(
            lambda x, z, y, W, b, k=k: (z, W, b)[k].shape,
            kind=f"{name} belongs into a tensor.",
            meaning=f"{name} keeps its shape {{asked}}; yours has {{shape}}.",
            nan=f"{name} came out as NaN or infinite: a point and itself have no ratio of "
            "distances, it would be 0 / 0.",
        )
        for k, name in enumerate(("z", "W", "b"))
    ),
)


def _gauge(attempt: Callable, *case: Tensor) -> _Gauge:
    new = PARTS(attempt(*case), *case)
    return _Gauge(*new, growth=torch.pdist(new[0]) / torch.pdist(case[1]))


def _same_growth(given: _Gauge, other: _Gauge, *, by: Callable = close) -> bool:
    return by(given.growth.mean(), other.growth.mean())


def _another_shape(given: _Gauge, *_: object) -> bool:
    growth = given.growth
    return bool(growth.amax() - growth.amin() > 1e-3 * growth.mean())


def _logits(given: _Gauge, z: Tensor, W: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return z @ W.T + b, given.z @ given.W.T + given.b


def _another(given: _Gauge, x: Tensor, z: Tensor, y: Tensor, W: Tensor, b: Tensor) -> bool:
    before, after = _logits(given, z, W, b)
    return not close(after, before)


def _numbers(given: _Gauge, x: Tensor, z: Tensor, y: Tensor, W: Tensor, b: Tensor) -> dict:
    before, after = _logits(given, z, W, b)
    growth = given.growth
    return {
        "a": growth.mean(),
        "squared": growth.mean() ** 2,
        "low": growth.amin(),
        "high": growth.amax(),
        "factor": (after * before).sum() / before.square().sum(),
        "before": before[0, 0],
        "after": after[0, 0],
        "mean": _mean_ratio(x, given.z, y),
    }


def _mean_ratio(x: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return (distances.pairwise(z) / distances.pairwise(x))[distances.within_class(y)].mean()


def _multiplied(given: _Gauge, x: Tensor, z: Tensor, y: Tensor, W: Tensor, b: Tensor) -> bool:
    before, after = _logits(given, z, W, b)
    return not close(after, before) and close(
        after, before * (after * before).sum() / before.square().sum()
    )


def _right(given: _Gauge, x: Tensor, z: Tensor, y: Tensor, W: Tensor, b: Tensor) -> bool:
    wrong = _another_shape(given) or _another(given, x, z, y, W, b)
    return not wrong and bool((_mean_ratio(x, given.z, y) - 1).abs() < 1e-3)


def _by(
    factor: Callable, *, readout: Callable = lambda a: 1 / a, bias: Callable = lambda a: 1
) -> Callable:
    """z times a factor of x, z, y, and what it makes of the readout and of the bias."""

    def solution(x: Tensor, z: Tensor, y: Tensor, W: Tensor, b: Tensor) -> tuple:
        a = factor(x, z, y)
        return a * z, readout(a) * W, bias(a) * b

    return solution


def _inverse(x: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return 1 / _mean_ratio(x, z, y)


def _by_lengths(measure: Callable, *, within: bool = True) -> Callable:
    """The unit changed by a factor of the lengths of pairs in x and in z."""

    def factor(x: Tensor, z: Tensor, y: Tensor) -> Tensor:
        d, e = distances.pairwise(x), distances.pairwise(z)
        where = distances.within_class(y if within else torch.zeros_like(y))
        return measure(d[where], e[where])

    return _by(factor)


def _with_the_diagonal(x: Tensor, z: Tensor, y: Tensor) -> Tensor:
    ratio = (distances.pairwise(z) / distances.pairwise(x)).nan_to_num()
    return 1 / ratio[y[:, None] == y].mean()


scale_gauge = Exercise(
    """Check a function of x, z, y, readout W (C, k), b (C,) that returns another z, W and b.

    They must give the same logits z W^T + b, and the mean over the same-class pairs of
    |z_i - z_j| / |x_i - x_j| must be 1. A turn or a shift of z that the readout undoes is right
    too. Tolerance 0.1 %.

    >>> scale_gauge(lambda x, z, y, W, b: (2 * z, W, b))
    Your readout still expects the old unit: z is 2 times as long, and so is its part of the ...
    """,
    cases=_classifier,
    returns=PARTS,
    tries=_gauge,
    right=_by(_inverse),
    accepts=_right,
    agree=_same_growth,
    praise="Right: the same classifier, and its lengths can be compared with another one's.",
    mistakes=(
        Mistake(
            "All points fell onto one: no readout can tell them apart.",
            lambda x, z, y, W, b: (0 * z, W, b),
            when=lambda given, *_: given.growth.amax() < 1e-6,
        ),
        Mistake(
            "Some distances grew {low:.3g}-fold and some {high:.3g}-fold: that is another shape, "
            "and only the unit was to change.",
            lambda x, z, y, W, b: (torch.nn.functional.normalize(z), W, b),
            when=_another_shape,
        ),
        Mistake(
            "All logits came out {factor:.3g} times as large: the predicted classes are the same, "
            "but the softmax is another one.",
            (
                _by(_inverse, readout=lambda a: 1, bias=lambda a: a),
                _by(_inverse, readout=lambda a: 1 / a**2, bias=lambda a: 1 / a),
            ),
            when=_multiplied,
        ),
        Mistake(
            "Your readout still expects the old unit: z is {a:.3g} times as long, and so is its "
            "part of the logits.",
            _by(_inverse, readout=lambda a: 1),
            when=lambda given, *case: _another(given, *case) and close(given.W, case[3]),
        ),
        Mistake(
            "z and W went the same way: their product is {squared:.3g} times as large, and was to "
            "stay.",
            _by(_inverse, readout=lambda a: a),
            when=lambda given, *case: (
                _another(given, *case) and close(given.W, given.growth.mean() * case[3])
            ),
        ),
        Mistake(
            "A bias has the unit of a logit, not of z: changed with the unit of z, it moves the "
            "walls between the classes.",
            (_by(_inverse, bias=lambda a: 1 / a), _by(_inverse, bias=lambda a: a)),
            when=lambda given, *case: (
                _another(given, *case)
                and close(given.W, case[3] / given.growth.mean())
                and not close(given.b, case[4])
            ),
        ),
        Mistake(
            "The first logit of the first point was {before:.4g} and is {after:.4g}: this is "
            "another classifier.",
            lambda x, z, y, W, b: (z, W.flip(0), b),
            when=_another,
        ),
        Mistake(
            "The mean ratio is what it was, {mean:.4g}: the unit has not changed.",
            lambda x, z, y, W, b: (z, W, b),
        ),
        Mistake("You went the wrong way: the mean ratio is now {mean:.4g}.", _by(_mean_ratio)),
        Mistake(
            "Pairs of two classes are in your mean: how far the classes stand apart is what "
            "training is free to choose.",
            (
                _by_lengths(lambda d, e: 1 / (e / d).mean(), within=False),
                _by_lengths(lambda d, e: d.mean() / e.mean(), within=False),
            ),
        ),
        Mistake(
            "You divided one mean by the other, which lets the long pairs speak louder: within "
            "the classes the mean ratio is {mean:.4g}.",
            (
                _by_lengths(lambda d, e: d.mean() / e.mean()),
                _by_lengths(lambda d, e: d.norm() / e.norm()),
            ),
        ),
        Mistake(
            "The mean of the inverse ratios is not the inverse of their mean: the mean ratio is "
            "{mean:.4g}.",
            _by_lengths(lambda d, e: (d / e).mean()),
        ),
        Mistake(
            "That unit makes the penalty smallest, and those that do favour short "
            "representations: the mean ratio is {mean:.4g}.",
            _by_lengths(lambda d, e: d @ e / (e @ e)),
        ),
        Mistake(
            "A point and itself have no ratio, and yours counted as 0: the mean ratio is "
            "{mean:.4g}.",
            _by(_with_the_diagonal),
        ),
    ),
    otherwise=Mistake(
        "The logits are the old ones, but within the classes the mean ratio is {mean:.4g} and "
        "not 1: by which factor does it change when z does?",
        _by(lambda x, z, y: 5.0),
    ),
    numbers=_numbers,
)

__test__ = {name: globals()[name].asks for name in __all__}
