"""Checks of the exercises of `book/distances/isometric_regularization`.

Each tries the reader's function on small data whose geometry is known, says what is geometrically
wrong, and never the answer.
"""

__all__ = [
    "flattering_attack",
    "isometry_penalty_by_hand",
    "off_the_data",
    "representation_margin",
    "scale_gauge",
]

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from companion import distances, isometry
from companion.exercises.answers import (
    Answer,
    Stopped,
    answering,
    attempted,
    not_right,
    number,
    shaped,
)

# What likely mistakes would give, under the sentence each of them gets.
Mistakes = dict[str, list[Tensor]]

ITSELF = "the predicted class has no wall to itself."


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
        return not_right(wrong) if wrong else Answer(
            True, "Right: the value, and its slope where a distance is 0 as well."
        )
    if given < 0:
        return not_right("A mean of squares is never negative; yours is.")
    known = _recognised(torch.tensor(given, dtype=z.dtype), _penalty_mistakes(x, z, y))
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
    found = attempted(solution)(x.clone(), z.clone(), y.clone(), weights.clone(), b.clone())
    if not isinstance(found, (tuple, list)) or len(found) != 3:
        return not_right("A classifier is asked for: return z, W and b, in this order.")
    old = z, weights, b
    new = tuple(
        _finite(
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
    return not_right(wrong) if wrong else Answer(
        True, "Right: the same classifier, and its lengths can be compared with another one's."
    )


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
    found = attempted(solution)(f.clone(), weights.clone(), jacobian.clone())
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        return not_right(
            "Two distances are asked for: return both, the one in the representation first."
        )
    places = ("In the representation", "In the input")
    inside, outside = (
        _margin(part, len(f), place) for part, place in zip(found, places, strict=True)
    )
    m, r = (walls.amin(1) for walls in _walls(f, weights, jacobian))
    tables = _inner_mistakes(f, weights), _outer_mistakes(f, weights, jacobian)
    for place, given, right, table in zip(
        places, (inside, outside), (m, r), tables, strict=True
    ):
        if not _close(given, right):
            known = _recognised(given, table)
            return not_right(
                f"{place}: {known}" if known else f"{place} the first point came out at "
                f"{given[0]:.4g}: by how much does the gap of two logits shrink along a step of "
                "length one, at most?"
            )
    return Answer(True, "Right: one wall each, and it need not be the same one.")


@answering
def off_the_data(solution: Callable[[Tensor], Callable[[Tensor], Tensor]] | None) -> Answer:
    """Check a function of data x (n, d) that returns a map of points (m, d) to points (m, d).

    The data lie in an affine subspace that does not pass through the origin. The map must leave
    each of them in its place, within 0.1 % of their spread, and stretch some step that leaves the
    subspace at right angles at least 100-fold; steps from a thousandth of the spread to ten
    spreads are tried.

    >>> off_the_data(lambda x: None)
    not attempted yet
    >>> off_the_data(lambda x: lambda p: p + 1)
    All data points moved by the same vector, of length 2: ...
    """
    x, normal = _flat_data()
    found = attempted(solution)(x.clone())
    if not callable(found):
        return not_right(
            f"Your function returned a {type(found).__name__}: return a map, which is a function "
            "that takes points of shape (m, d) and returns where they go."
        )
    attempt = attempted(found)
    spread = float((x - x.mean(0)).square().sum(1).mean().sqrt())
    image, company = (
        _moved(attempt, points)[: len(x)] for points in (x, torch.cat([x, x[:3] + normal]))
    )
    if float((image - x).norm(dim=1).amax()) > 1e-3 * spread:
        return not_right(_moved_sentence(x, image, normal))
    if float((company - x).norm(dim=1).amax()) > 1e-3 * spread:
        return not_right(
            "The data stay as long as they are among themselves, and move in other company: your "
            "map measures from the points it is given, and must measure from the data."
        )
    stretch = _stretch_along(attempt, x, normal, spread)
    if stretch < 100:
        return not_right(_stretch_sentence(stretch))
    return Answer(
        True, f"Right: no data point moved, and off the data a step grew {stretch:.4g}-fold."
    )


@answering
def flattering_attack(solution: Callable[[Tensor, Tensor, float], Tensor] | None) -> Answer:
    """Check a function of two gradients (n, d) and beta that returns, per sample, what is kept.

    g_ce is the gradient of the cross-entropy, g_pen that of the penalty. To first order a step
    eps s raises the cross-entropy by eps g_ce.s; the number (n,) is this rise for the published
    s = sign(g_ce + beta g_pen) over the one for the honest s = sign(g_ce). It may be negative.
    Tried with coordinates in which nothing depends on the input. Tolerance 0.1 %.

    >>> flattering_attack(lambda g_ce, g_pen, beta: None)
    not attempted yet
    >>> flattering_attack(lambda g_ce, g_pen, beta: torch.ones(len(g_ce)))
    Your published step climbs as fast as the honest one: ...
    """
    g_ce, g_pen, beta = _gradients()
    given = _finite(
        shaped(
            attempted(solution)(g_ce.clone(), g_pen.clone(), beta),
            (len(g_ce),),
            kind="one share for each sample belongs into a tensor.",
            meaning=f"There are {len(g_ce)} samples, and each takes its own step: one share for "
            "each; your answer has shape {shape}.",
        ),
        "A share came out as NaN or infinite: where no gradient reaches a coordinate, neither "
        "step moves it; add up before you divide.",
    )
    if _close(given, _kept(g_ce, g_ce + beta * g_pen)):
        return Answer(True, "Right: the rest of the budget was spent on the penalty.")
    return not_right(
        _recognised(given, _attack_mistakes(g_ce, g_pen, beta))
        or f"The first sample came out at {given[0]:.4g}: take one with two coordinates, and "
        "write down by how much each of the two steps raises its cross-entropy."
    )


def _close(given: Tensor, right: Tensor) -> bool:
    # Relative to the largest entry, so that an entry near 0 needs no digits of its own.
    return bool((given - right).abs().amax() <= 1e-3 * right.abs().amax())


def _recognised(given: Tensor, table: Mistakes) -> str | None:
    return next(
        (
            sentence
            for sentence, mistakes in table.items()
            if any(_close(given, mistake) for mistake in mistakes)
        ),
        None,
    )


def _finite(given: Tensor, sentence: str) -> Tensor:
    if not torch.isfinite(given).all():
        raise Stopped(not_right(sentence))
    return given


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
            total / (count - n), total / count,
        ],
        "You compared squared distances, which gives the far pairs all the say.": [
            squares / n**2, squares / (count - n), squares / (2 * n**2),
        ],
        "Pairs of two different classes are in it: such a penalty would hold together what the "
        "classifier must pull apart.": [error.mean(), error.sum() / (n**2 - n)],
        "These are the pairs between the classes; the penalty is about those inside one.": [
            (~same * error).mean(), error[~same].mean(),
        ],
        "Yours is half: each pair has two entries in the matrix, the way there and the way "
        "back.": [total / (2 * n**2)],
        "Your penalty grows with the number of points: doubling the batch must not change it.": [
            total, total / 2, total / n,
        ],
        "The entries of a point with itself are 0, but they are entries: you left them out of the "
        "count.": [total / (n**2 - n)],
        "You averaged class by class: a class of three then counts as much as one of six, which "
        "has five times as many pairs.": [means.mean(), (means * sizes / (sizes - 1)).mean()],
        "You took a root: in the mean the errors stand squared.": [(total / n**2).sqrt()],
        "Your errors enter with their size; squared, one large error weighs more than two.": [
            (same * error.sqrt()).mean(), (same * error.sqrt()).sum() / (count - n),
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
    if not _close(slope, _slope(isometry.isometry_loss, x, z, y)):
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
    if _close(after, before):
        return None
    factor = float((after * before).sum() / before.square().sum())
    if _close(after, factor * before):
        return (
            f"All logits came out {factor:.3g} times as large: the predicted classes are the "
            "same, but the softmax is another one."
        )
    if _close(weights2, weights):
        return (
            f"Your readout still expects the old unit: z is {a:.3g} times as long, and so is its "
            "part of the logits."
        )
    if _close(weights2, a * weights):
        return (
            f"z and W went the same way: their product is {a * a:.3g} times as large, and was to "
            "stay."
        )
    if _close(weights2, weights / a) and not _close(b2, b):
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
    if known := _recognised(_growth(z, z2).mean(), _unit_mistakes(x, z, y)):
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
        "A point and itself have no ratio, and yours counted as 0: the mean ratio is {mean:.4g}.":
            [1 / (e / d).nan_to_num()[y[:, None] == y].mean()],
    }


def _four_classes() -> tuple[
    Float[Tensor, "24 4"], Float[Tensor, "4 3"], Float[Tensor, "24 3 5"]
]:
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
        meaning=f"{place} each of {n} points has one distance; your answer has shape "
        "{shape}.",
    )
    _finite(
        given,
        f"{place} a distance came out as NaN or infinite: the predicted class has no wall to "
        "itself, there it is 0 / 0.",
    )
    if (given < 0).any():
        raise Stopped(not_right(
            f"{place} a distance came out negative: the predicted class has the highest logit."
        ))
    return given


def _gaps(f: Float[Tensor, "n C"]) -> tuple[Float[Tensor, "n C"], Int[Tensor, " n"]]:
    """Predicted logit minus each logit, infinite for the predicted class; and that class."""
    own = f.argmax(1)
    return (f.amax(1, keepdim=True) - f).scatter(1, own[:, None], torch.inf), own


def _walls(
    f: Float[Tensor, "n C"], weights: Float[Tensor, "C k"], jacobian: Float[Tensor, "n k D"]
) -> tuple[Float[Tensor, "n C"], Float[Tensor, "n C"]]:
    """Distance to the wall of each class, in the representation and in the input."""
    gap, own = _gaps(f)
    normal = weights[own][:, None] - weights
    return gap / normal.norm(dim=2), gap / (normal @ jacobian).norm(dim=2)


def _inner_mistakes(f: Float[Tensor, "n C"], weights: Float[Tensor, "C k"]) -> Mistakes:
    gap, own = _gaps(f)
    normal, lengths = weights[own][:, None] - weights, weights.norm(dim=1)
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
    gap, own = _gaps(f)
    inner, outer = _walls(f, weights, jacobian)
    m, nearest, second = inner.amin(1), inner.argmin(1, keepdim=True), gap.argmin(1, keepdim=True)
    pulled = (weights[own][:, None] - weights) @ jacobian
    length = torch.linalg.matrix_norm(jacobian)
    foot = m[:, None] * torch.nn.functional.normalize(weights[own] - weights[nearest[:, 0]])
    back = torch.linalg.pinv(jacobian) @ foot[:, :, None]
    return {
        "the wall that is nearest in the representation need not be nearest here: the network "
        "stretches the way to another one more.": [outer.gather(1, nearest)[:, 0]],
        "you divided by the largest stretch, which gives a radius that is safe and too small: the "
        "way to this wall is stretched less.": [m / torch.linalg.matrix_norm(jacobian, 2)],
        "that is the stretch of a random direction, and an attack does not walk at random.": [
            m / length, m * jacobian.shape[2] ** 0.5 / length,
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


def _flat_data() -> tuple[Float[Tensor, "30 4"], Float[Tensor, " 4"]]:
    """Points of a hyperplane off the origin, and its unit normal."""
    generator = torch.Generator().manual_seed(3)
    turn, _ = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64))
    inside = torch.randn(30, 3, generator=generator, dtype=torch.float64)
    # Off the origin by 2, so that as seen from there they span the whole space.
    return inside @ turn[:3] + turn[0] + 2 * turn[3], turn[3]


def _moved(attempt: Callable, points: Float[Tensor, "m d"]) -> Float[Tensor, "m d"]:
    m, d = points.shape
    return _finite(
        shaped(
            attempt(points.clone()),
            (m, d),
            kind="the points it moved belong into a tensor.",
            meaning=f"Your map took {m} points with {d} coordinates and returned the shape "
            "{shape}: each point has one image, in the same space.",
        ),
        "Your map sends a point to NaN or infinity: look for a division by 0.",
    )


def _moved_sentence(
    x: Float[Tensor, "n d"], image: Float[Tensor, "n d"], normal: Float[Tensor, " d"]
) -> str:
    move, size = image - x, float((image - x).norm())
    thin = torch.linalg.svd(x).Vh[-1]
    if float(image.norm()) < 1e-3 * float(x.norm()):
        return "All data went to 0: you returned the push alone, and a map takes a point along."
    if float((move - move.mean(0)).norm()) < 1e-3 * size:
        return (
            f"All data points moved by the same vector, of length {move[0].norm():.4g}: the data "
            "do not pass through the origin, so measure from a point of theirs."
        )
    if float((move - (move @ thin)[:, None] * thin).norm()) < 1e-3 * size:
        return (
            "You pushed along the direction in which the data are thinnest as seen from the "
            "origin; they do not pass through it, so take the differences between data points."
        )
    if float((move @ normal).norm()) < 1e-3 * size:
        return (
            "You stretched the directions in which the data differ from each other: those are the "
            "ones that must stay."
        )
    return (
        f"A data point moved by {move.norm(dim=1).amax():.3g}: what does your push make of the "
        "difference of two data points, and what of one point?"
    )


def _stretch_along(
    attempt: Callable, x: Float[Tensor, "n d"], normal: Float[Tensor, " d"], spread: float
) -> float:
    """Largest stretch of a step away from the data, at right angles to their hyperplane."""
    ways = spread * torch.tensor([0.0, 1e-3, 1e-2, 0.1, 1.0, 10.0], dtype=x.dtype)
    found = 0.0
    for start in x[:3]:
        for side in (normal, -normal):
            image = _moved(attempt, start + ways[:, None] * side)
            found = max(found, float((image.diff(dim=0).norm(dim=1) / ways.diff()).amax()))
    return found


def _stretch_sentence(stretch: float) -> str:
    if abs(stretch - 1) < 1e-3:
        return (
            "The data stay, and so does everything else: from the origin the data point in all "
            "directions and leave none over; between each other they do not."
        )
    return (
        f"The data stay, but the largest stretch found at right angles to them is {stretch:.3g}: "
        "a hundred is asked for, and no data point objects."
    )


def _gradients() -> tuple[Float[Tensor, "16 10"], Float[Tensor, "16 10"], float]:
    # Two coordinates lead nowhere, as the black corners of images do. The gradients of the penalty
    # are long, so that with beta below 1 many signs turn, and for some samples the step goes
    # downhill.
    generator = torch.Generator().manual_seed(4)
    g_ce, g_pen = torch.randn(2, 16, 10, generator=generator, dtype=torch.float64)
    g_ce[:, :2], g_pen[:, :2] = 0, 0
    return g_ce, 4 * g_pen, 0.5


def _kept(g_ce: Tensor, direction: Tensor) -> Tensor:
    return (g_ce * direction.sign()).sum(1) / g_ce.abs().sum(1)


def _attack_mistakes(
    g_ce: Float[Tensor, "n d"], g_pen: Float[Tensor, "n d"], beta: float
) -> Mistakes:
    full = g_ce + beta * g_pen
    right, turned = _kept(g_ce, full), (full.sign() != g_ce.sign()).double()
    rise, ceiling = (g_ce * full.sign()).sum(1), g_ce.abs().sum(1)
    counts = (turned.mean(1), turned.sum(1) / (g_ce != 0).sum(1))
    crossed = (full * g_ce.sign()).sum(1) / full.abs().sum(1)
    return {
        "That is the step of the penalty alone; the published one follows the full loss.": [
            _kept(g_ce, g_pen),
        ],
        "Your published step climbs as fast as the honest one: who adds signs instead of "
        "gradients forgets how long they are.": [torch.ones_like(right)],
        "You counted coordinates: a turned sign costs much where the gradient is steep, and next "
        "to nothing where it is flat.": [
            turned.sum(1), *(form for t in counts for form in (t, 1 - t, 1 - 2 * t)),
        ],
        "Each coordinate of the honest step moves by eps, into a corner of the cube: it gains "
        "more than the Euclidean length of the gradient.": [rise / g_ce.norm(dim=1)],
        "You measured the rise of the full loss; a label is lost by the cross-entropy alone.": [
            full.abs().sum(1) / ceiling, rise / full.abs().sum(1), crossed, 1 / crossed,
        ],
        "That is the cosine of two gradients; the steps are made of their signs.": [
            torch.cosine_similarity(g_ce, full),
        ],
        "beta weighs the penalty, and your step gives it another weight.": [
            _kept(g_ce, g_ce + g_pen), _kept(g_ce, beta * g_ce + g_pen),
        ],
        "That is the share which is lost; the share that is left was asked for.": [1 - right],
        "A step can also lead downhill: the sign of your share is lost.": [right.abs()],
        "That is a rise; the question is which share it is of the honest one's.": [rise],
    }
