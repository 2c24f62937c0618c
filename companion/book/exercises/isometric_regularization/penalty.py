"""What the penalty asks for: one exercise, and the data that `gauge` shares.

Explained in `book/distances/isometric_regularization`.
"""

__all__ = ["isometry_penalty_by_hand"]

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from companion import distances, isometry
from companion.book.exercises.answers import Stopped
from companion.book.exercises.exercise import Exercise, Mistake
from companion.book.exercises.readings import Number, close


def classes() -> list[tuple[Tensor, Tensor, Tensor]]:
    """Inputs (14, 4), representations (14, 5) and labels (14,)."""
    # Classes of 6, 5 and 3 members, so that a mean over pairs is no mean over classes.
    generator = torch.Generator().manual_seed(0)
    y = torch.tensor([0, 1, 0, 2, 1, 0, 0, 1, 2, 1, 0, 2, 1, 0])
    centres, x, mix = (
        torch.randn(size, generator=generator, dtype=torch.float64)
        for size in ((3, 4), (14, 4), (4, 5))
    )
    x = x + 1.5 * centres[y]
    return [(x, 0.6 * torch.tanh(x @ mix), y)]


class _Pull(NamedTuple):
    """A penalty, its gradient with respect to z, and that where two points of a class meet."""

    value: float
    slope: Tensor | None
    meeting: Tensor | None


VALUE = Number("a penalty", nan="look for a mean over no pairs or the root of a negative number.")


def _pull(attempt: Callable, x: Tensor, z: Tensor, y: Tensor) -> _Pull:
    met = z.clone()
    met[2] = met[0]  # both are of one class
    value = VALUE(attempt(x, z, y))
    return _Pull(value, _slope(attempt, x, z, y), _slope(attempt, x, met, y))


def _slope(attempt: Callable, x: Tensor, z: Tensor, y: Tensor) -> Tensor | None:
    """Gradient with respect to z, None where there is none."""
    with torch.enable_grad():
        leaf = z.clone().requires_grad_()
        try:
            return torch.autograd.grad(attempt(x, leaf, y).sum(), leaf)[0]
        except (Stopped, AttributeError, TypeError, RuntimeError):
            return None


def _finite(slope: Tensor | None) -> bool:
    return slope is not None and bool(torch.isfinite(slope).all())


def _value_is_right(given: _Pull, x: Tensor, z: Tensor, y: Tensor) -> bool:
    return close(given.value, float(isometry.isometry_loss(x, z, y)))


def _slope_is_right(given: _Pull, x: Tensor, z: Tensor, y: Tensor) -> bool:
    return _finite(given.slope) and close(given.slope, _slope(isometry.isometry_loss, x, z, y))


def _same_value(given: _Pull, other: _Pull, *, by: Callable = close) -> bool:
    return by(given.value, other.value)


def _by_errors(measure: Callable, *, power: int = 1) -> Callable:
    """A solution made of the errors of all pairs and of which of them have one label."""

    def solution(x: Tensor, z: Tensor, y: Tensor) -> Tensor:
        d, e = distances.pairwise(x), distances.pairwise(z)
        return measure(e**power - d**power, y[:, None] == y)

    return solution


def _total(error: Tensor, same: Tensor) -> Tensor:
    return (same * error.square()).sum()


def _pairs(same: Tensor) -> Tensor:
    """How often two different points have one label, each pair counted twice."""
    return same.sum() - len(same)


def _roots(measure: Callable) -> Callable:
    """The same with the root of a sum of squares, which has no slope at 0."""

    def solution(x: Tensor, z: Tensor, y: Tensor) -> Tensor:
        after = (z[:, None] - z).square().sum(2).sqrt()
        return measure(after - distances.pairwise(x), y[:, None] == y)

    return solution


def _each_pair_once(x: Tensor, z: Tensor, y: Tensor) -> Tensor:
    i, j = torch.triu_indices(len(y), len(y), 1)
    i, j = i[y[i] == y[j]], j[y[i] == y[j]]
    after = (z[i] - z[j]).square().sum(1).sqrt()
    return 2 * (after - (x[i] - x[j]).norm(dim=1)).square().sum() / len(y) ** 2


def _one_end(x: Tensor, z: Tensor, y: Tensor) -> Tensor:
    error = distances.pairwise(z, z.detach()) - distances.pairwise(x)
    return _total(error, y[:, None] == y) / len(y) ** 2


def _class_by_class(x: Tensor, z: Tensor, y: Tensor, *, diagonal: bool = True) -> Tensor:
    groups = [(x[y == c], z[y == c]) for c in y.unique()]
    errors = [distances.pairwise(b) - distances.pairwise(a) for a, b in groups]
    counts = [len(e) ** 2 if diagonal else len(e) ** 2 - len(e) for e in errors]
    shares = [e.square().sum() / n for e, n in zip(errors, counts, strict=True)]
    return sum(shares) / len(shares)


isometry_penalty_by_hand = Exercise(
    """Check a function of x (n, d), z (n, k), labels y (n,) that returns the published penalty.

    The number is the mean over all n^2 entries of M_ij (|z_i - z_j| - |x_i - x_j|)^2, M_ij = 1
    for equal labels. Its gradient with respect to z is asked for as well, also where two points
    of a class have one representation; a value that torch cannot follow is therefore not enough.
    Tolerance 0.1 %.

    >>> isometry_penalty_by_hand(lambda x, z, y: (torch.cdist(z, z) - torch.cdist(x, x)).mean())
    A mean of squares is never negative; yours is.
    """,
    cases=classes,
    returns=VALUE,
    tries=_pull,
    right=isometry.isometry_loss,
    accepts=lambda given, *case: (
        _value_is_right(given, *case) and _slope_is_right(given, *case) and _finite(given.meeting)
    ),
    agree=_same_value,
    praise="Right: the value, and its slope where a distance is 0 as well.",
    mistakes=(
        Mistake(
            "The value is right, but no gradient reaches z, and a penalty that cannot pull trains "
            "nothing: stay in torch from z to the end.",
            (
                lambda x, z, y: isometry.isometry_loss(x, z.detach(), y),
                lambda x, z, y: float(isometry.isometry_loss(x, z, y)),
            ),
            when=lambda given, *case: _value_is_right(given, *case) and given.slope is None,
        ),
        Mistake(
            "The value is right, its gradient is NaN: each point is at distance 0 from itself, "
            "and at 0 a root has no slope; a mask that comes after the root is too late.",
            (
                _roots(lambda error, same: (same * error.square()).mean()),
                _roots(lambda error, same: (same * error).square().mean()),
            ),
            when=lambda given, *case: _value_is_right(given, *case) and not _finite(given.slope),
        ),
        Mistake(
            "The value is right, its gradient is not: both ends of a pair feel its pull, and a "
            "part of z was cut off from it.",
            _one_end,
            when=lambda given, *case: (
                _value_is_right(given, *case) and not _slope_is_right(given, *case)
            ),
        ),
        Mistake(
            "Right until two points of a class have one representation, as behind units that are "
            "all off: at distance 0 a root has no slope, and your gradient is NaN.",
            _each_pair_once,
            when=_value_is_right,
        ),
        Mistake(
            "A mean of squares is never negative; yours is.",
            _by_errors(lambda error, same: (same * error).mean()),
            when=lambda given, *_: given.value < 0,
        ),
        Mistake(
            "You divided by the number of same-class pairs; the published mean runs over the "
            "whole matrix, so that more classes make the penalty weaker.",
            (
                _by_errors(lambda error, same: _total(error, same) / _pairs(same)),
                _by_errors(lambda error, same: error[same].square().mean()),
            ),
        ),
        Mistake(
            "You compared squared distances, which gives the far pairs all the say.",
            (
                _by_errors(lambda error, same: (same * error.square()).mean(), power=2),
                _by_errors(lambda error, same: _total(error, same) / _pairs(same), power=2),
                _by_errors(lambda error, same: (same * error.square()).mean() / 2, power=2),
            ),
        ),
        Mistake(
            "Pairs of two different classes are in it: such a penalty would hold together what "
            "the classifier must pull apart.",
            (
                _by_errors(lambda error, same: error.square().mean()),
                _by_errors(lambda error, same: error.square().sum() / _pairs(same >= 0)),
            ),
        ),
        Mistake(
            "These are the pairs between the classes; the penalty is about those inside one.",
            (
                _by_errors(lambda error, same: (~same * error.square()).mean()),
                _by_errors(lambda error, same: error[~same].square().mean()),
            ),
        ),
        Mistake(
            "Yours is half: each pair has two entries in the matrix, the way there and the way "
            "back.",
            _by_errors(lambda error, same: (same * error.square()).triu().mean()),
        ),
        Mistake(
            "Your penalty grows with the number of points: doubling the batch must not change it.",
            (
                _by_errors(_total),
                _by_errors(lambda error, same: _total(error, same) / 2),
                _by_errors(lambda error, same: _total(error, same) / len(same)),
            ),
        ),
        Mistake(
            "The entries of a point with itself are 0, but they are entries: you left them out of "
            "the count.",
            _by_errors(lambda error, same: _total(error, same) / _pairs(same >= 0)),
        ),
        Mistake(
            "You averaged class by class: a class of three then counts as much as one of six, "
            "which has five times as many pairs.",
            (_class_by_class, lambda *case: _class_by_class(*case, diagonal=False)),
        ),
        Mistake(
            "You took a root: in the mean the errors stand squared.",
            _by_errors(lambda error, same: (same * error.square()).mean().sqrt()),
        ),
        Mistake(
            "Your errors enter with their size; squared, one large error weighs more than two.",
            (
                _by_errors(lambda error, same: (same * error.abs()).mean()),
                _by_errors(lambda error, same: (same * error.abs()).sum() / _pairs(same)),
            ),
        ),
    ),
    otherwise=Mistake(
        "Your {given.value:.4g} is not the mean over the whole matrix: take three points, two of "
        "them of one class, and write down all nine entries.",
        lambda x, z, y: 1.0,
    ),
)

__test__ = {name: globals()[name].asks for name in __all__}
