"""What the penalty asks for, and the unit it is free to choose: two checks.

Explained in `book/distances/isometric_regularization`.
"""

__all__ = ["isometry_penalty_by_hand", "scale_gauge"]

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from companion import distances, isometry
from companion.book.exercises.answers import (
    Answer,
    Mistakes,
    Stopped,
    answering,
    attempted,
    finite,
    not_right,
    number,
    recognised,
    several,
    shaped,
)
from companion.book.exercises.readings import close


@answering
def isometry_penalty_by_hand(
    solution: Callable[[Tensor, Tensor, Tensor], Tensor] | None,
) -> Answer:
    """Check a function of x (n, d), z (n, k), labels y (n,) that returns the published penalty.

    The number is the mean over all n^2 entries of M_ij (|z_i - z_j| - |x_i - x_j|)^2, M_ij = 1
    for equal labels. Its gradient with respect to z is asked for as well, also where two points
    of a class have one representation; a value that torch cannot follow is therefore not enough.
    Tolerance 0.1 %.

    >>> isometry_penalty_by_hand(lambda x, z, y: None)
    not attempted yet
    >>> isometry_penalty_by_hand(lambda x, z, y: (torch.cdist(z, z) - torch.cdist(x, x)).mean())
    A mean of squares is never negative; yours is.
    """
    attempt, (x, z, y) = attempted(solution), _classes()
    found = attempt(x.clone(), z.clone(), y.clone())
    given = number(
        found.detach() if isinstance(found, Tensor) else found,
        what="a penalty",
        nan="look for a mean over no pairs or the root of a negative number.",
    )
    right = float(isometry.isometry_loss(x, z, y))
    if abs(given - right) < 1e-3 * right:
        wrong = _wrong_slope(attempt, x, z, y)
        return (
            not_right(wrong)
            if wrong
            else Answer(True, "Right: the value, and its slope where a distance is 0 as well.")
        )
    if given < 0:
        return not_right("A mean of squares is never negative; yours is.")
    known = recognised(torch.tensor(given, dtype=z.dtype), _penalty_mistakes(x, z, y))
    return not_right(
        known
        or f"Your {given:.4g} is not the mean over the whole matrix: take three points, two of "
        "them of one class, and write down all nine entries."
    )


@answering
def scale_gauge(
    solution: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
    | None,
) -> Answer:
    """Check a function of x, z, y, readout W (C, k), b (C,) that returns another z, W and b.

    They must give the same logits z W^T + b, and the mean over the same-class pairs of
    |z_i - z_j| / |x_i - x_j| must be 1. A turn or a shift of z that the readout undoes is right
    too. Tolerance 0.1 %.

    >>> scale_gauge(lambda x, z, y, W, b: None)
    not attempted yet
    >>> scale_gauge(lambda x, z, y, W, b: (2 * z, W, b))
    Your readout still expects the old unit: z is 2 times as long, and so is its part of the ...
    """
    x, z, y = _classes()
    weights, b = _readout()
    found = several(
        attempted(solution)(x.clone(), z.clone(), y.clone(), weights.clone(), b.clone()),
        3,
        asked="A classifier is asked for: return z, W and b, in this order.",
    )
    old = z, weights, b
    new = tuple(
        finite(
            shaped(
                part,
                tuple(before.shape),
                kind=f"{name} belongs into a tensor.",
                meaning=f"{name} keeps its shape {tuple(before.shape)}; yours has {{shape}}.",
            ),
            f"{name} came out as NaN or infinite: a point and itself have no ratio of distances, "
            "it would be 0 / 0.",
        )
        for part, before, name in zip(found, old, ("z", "W", "b"), strict=True)
    )
    wrong = _wrong_classifier(old, new) or _wrong_unit(x, z, new[0], y)
    return (
        not_right(wrong)
        if wrong
        else Answer(
            True, "Right: the same classifier, and its lengths can be compared with another one's."
        )
    )


def _classes() -> tuple[Float[Tensor, "14 4"], Float[Tensor, "14 5"], Int[Tensor, " 14"]]:
    # Classes of 6, 5 and 3 members, so that a mean over pairs is no mean over classes.
    generator = torch.Generator().manual_seed(0)
    y = torch.tensor([0, 1, 0, 2, 1, 0, 0, 1, 2, 1, 0, 2, 1, 0])
    centres, x, mix = (
        torch.randn(size, generator=generator, dtype=torch.float64)
        for size in ((3, 4), (14, 4), (4, 5))
    )
    x = x + 1.5 * centres[y]
    return x, 0.6 * torch.tanh(x @ mix), y


def _readout() -> tuple[Float[Tensor, "3 5"], Float[Tensor, " 3"]]:
    generator = torch.Generator().manual_seed(1)
    weights = 2 * torch.randn(3, 5, generator=generator, dtype=torch.float64)
    return weights, torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)


def _penalty_mistakes(
    x: Float[Tensor, "n d"], z: Float[Tensor, "n k"], y: Int[Tensor, " n"]
) -> Mistakes:
    n, d, e = len(y), distances.pairwise(x), distances.pairwise(z)
    same, error = y[:, None] == y, (e - d).square()
    total, count = (same * error).sum(), int(same.sum())
    squares = (same * (e.square() - d.square()).square()).sum()
    blocks = [error[y == c][:, y == c] for c in y.unique()]
    means = torch.stack([block.mean() for block in blocks])
    sizes = torch.tensor([len(block) for block in blocks])
    return {
        "You divided by the number of same-class pairs; the published mean runs over the whole "
        "matrix, so that more classes make the penalty weaker.": [
            total / (count - n),
            total / count,
        ],
        "You compared squared distances, which gives the far pairs all the say.": [
            squares / n**2,
            squares / (count - n),
            squares / (2 * n**2),
        ],
        "Pairs of two different classes are in it: such a penalty would hold together what the "
        "classifier must pull apart.": [error.mean(), error.sum() / (n**2 - n)],
        "These are the pairs between the classes; the penalty is about those inside one.": [
            (~same * error).mean(),
            error[~same].mean(),
        ],
        "Yours is half: each pair has two entries in the matrix, the way there and the way "
        "back.": [total / (2 * n**2)],
        "Your penalty grows with the number of points: doubling the batch must not change it.": [
            total,
            total / 2,
            total / n,
        ],
        "The entries of a point with itself are 0, but they are entries: you left them out of the "
        "count.": [total / (n**2 - n)],
        "You averaged class by class: a class of three then counts as much as one of six, which "
        "has five times as many pairs.": [means.mean(), (means * sizes / (sizes - 1)).mean()],
        "You took a root: in the mean the errors stand squared.": [(total / n**2).sqrt()],
        "Your errors enter with their size; squared, one large error weighs more than two.": [
            (same * error.sqrt()).mean(),
            (same * error.sqrt()).sum() / (count - n),
        ],
    }


def _wrong_slope(
    attempt: Callable, x: Float[Tensor, "n d"], z: Float[Tensor, "n k"], y: Int[Tensor, " n"]
) -> str | None:
    slope = _slope(attempt, x, z, y)
    if slope is None:
        return (
            "The value is right, but no gradient reaches z, and a penalty that cannot pull trains "
            "nothing: stay in torch from z to the end."
        )
    if not torch.isfinite(slope).all():
        return (
            "The value is right, its gradient is NaN: each point is at distance 0 from itself, "
            "and at 0 a root has no slope; a mask that comes after the root is too late."
        )
    if not close(slope, _slope(isometry.isometry_loss, x, z, y)):
        return (
            "The value is right, its gradient is not: both ends of a pair feel its pull, and a "
            "part of z was cut off from it."
        )
    # Points 0 and 2 are of one class.
    z = z.clone()
    z[2] = z[0]
    slope = _slope(attempt, x, z, y)
    if slope is None or not torch.isfinite(slope).all():
        return (
            "Right until two points of a class have one representation, as behind units that are "
            "all off: at distance 0 a root has no slope, and your gradient is NaN."
        )
    return None


def _slope(attempt: Callable, x: Tensor, z: Tensor, y: Tensor) -> Tensor | None:
    """Gradient with respect to z, None where there is none."""
    with torch.enable_grad():
        leaf = z.clone().requires_grad_()
        try:
            # A copy of the leaf, which a reader may change in place.
            found = attempt(x.clone(), leaf.clone(), y.clone())
            return torch.autograd.grad(found.sum(), leaf)[0]
        except (Stopped, AttributeError, TypeError, RuntimeError):
            return None


def _wrong_classifier(
    old: tuple[Tensor, Tensor, Tensor], new: tuple[Tensor, Tensor, Tensor]
) -> str | None:
    (z, weights, b), (z2, weights2, b2) = old, new
    growth = _growth(z, z2)
    a = float(growth.mean())
    if float(growth.amax()) < 1e-6:
        return "All points fell onto one: no readout can tell them apart."
    if float(growth.amax() - growth.amin()) > 1e-3 * a:
        return (
            f"Some distances grew {growth.amin():.3g}-fold and some {growth.amax():.3g}-fold: "
            "that is another shape, and only the unit was to change."
        )
    before, after = z @ weights.T + b, z2 @ weights2.T + b2
    if close(after, before):
        return None
    factor = float((after * before).sum() / before.square().sum())
    if close(after, factor * before):
        return (
            f"All logits came out {factor:.3g} times as large: the predicted classes are the "
            "same, but the softmax is another one."
        )
    if close(weights2, weights):
        return (
            f"Your readout still expects the old unit: z is {a:.3g} times as long, and so is its "
            "part of the logits."
        )
    if close(weights2, a * weights):
        return (
            f"z and W went the same way: their product is {a * a:.3g} times as large, and was to "
            "stay."
        )
    if close(weights2, weights / a) and not close(b2, b):
        return (
            "A bias has the unit of a logit, not of z: changed with the unit of z, it moves the "
            "walls between the classes."
        )
    return (
        f"The first logit of the first point was {before[0, 0]:.4g} and is {after[0, 0]:.4g}: "
        "this is another classifier."
    )


def _growth(z: Float[Tensor, "n k"], z2: Float[Tensor, "n k"]) -> Float[Tensor, " pairs"]:
    return torch.pdist(z2) / torch.pdist(z)


def _wrong_unit(x: Tensor, z: Tensor, z2: Tensor, y: Int[Tensor, " n"]) -> str | None:
    same = distances.within_class(y)
    mean = float((distances.pairwise(z2) / distances.pairwise(x))[same].mean())
    if abs(mean - 1) < 1e-3:
        return None
    if known := recognised(_growth(z, z2).mean(), _unit_mistakes(x, z, y)):
        return known.format(mean=mean)
    return (
        f"The logits are the old ones, but within the classes the mean ratio is {mean:.4g} and "
        "not 1: by which factor does it change when z does?"
    )


def _unit_mistakes(
    x: Float[Tensor, "n d"], z: Float[Tensor, "n k"], y: Int[Tensor, " n"]
) -> Mistakes:
    """The factors on z that likely mistakes lead to."""
    d, e, same = distances.pairwise(x), distances.pairwise(z), distances.within_class(y)
    a, b, off = d[same], e[same], ~torch.eye(len(y), dtype=torch.bool)
    return {
        "The mean ratio is what it was, {mean:.4g}: the unit has not changed.": [b.new_ones(())],
        "You went the wrong way: the mean ratio is now {mean:.4g}.": [(b / a).mean()],
        "Pairs of two classes are in your mean: how far the classes stand apart is what training "
        "is free to choose.": [1 / (e / d)[off].mean(), d[off].mean() / e[off].mean()],
        "You divided one mean by the other, which lets the long pairs speak louder: within the "
        "classes the mean ratio is {mean:.4g}.": [a.mean() / b.mean(), a.norm() / b.norm()],
        "The mean of the inverse ratios is not the inverse of their mean: the mean ratio is "
        "{mean:.4g}.": [(a / b).mean()],
        "That unit makes the penalty smallest, and those that do favour short representations: "
        "the mean ratio is {mean:.4g}.": [a @ b / (b @ b)],
        "A point and itself have no ratio, and yours counted as 0: the mean ratio is "
        "{mean:.4g}.": [1 / (e / d).nan_to_num()[y[:, None] == y].mean()],
    }
