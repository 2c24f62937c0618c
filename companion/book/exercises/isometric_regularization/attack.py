"""Two ways in which keeping the distances between the data says little about an attack.

Explained in `book/distances/isometric_regularization`.
"""

__all__ = ["flattering_attack", "off_the_data"]

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from companion.book.exercises.answers import Stopped, attempted, not_right
from companion.book.exercises.exercise import Exercise, Mistake
from companion.book.exercises.readings import Points

# ---- off the data ----------------------------------------------------------------------------


class _Moved(NamedTuple):
    """What a map made of the data, alone and in company, and of steps that leave them."""

    image: Tensor
    company: Tensor
    stretch: float
    spread: float
    normal: Tensor

    def far(self, image: Tensor, x: Tensor) -> bool:
        return bool((image - x).norm(dim=1).amax() > 1e-3 * self.spread)


IMAGES = Points(
    lambda points: points.shape,
    kind="the points it moved belong into a tensor.",
    meaning="Your map took {n} points with {asked[1]} coordinates and returned the shape {shape}: "
    "each point has one image, in the same space.",
    nan="Your map sends a point to NaN or infinity: look for a division by 0.",
)


def _flat_data() -> tuple[Tensor, Tensor]:
    """Points (30, 4) of a hyperplane off the origin, and its unit normal."""
    generator = torch.Generator().manual_seed(3)
    turn, _ = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64))
    inside = torch.randn(30, 3, generator=generator, dtype=torch.float64)
    # Off the origin by 2, so that as seen from there they span the whole space.
    return inside @ turn[:3] + turn[0] + 2 * turn[3], turn[3]


def _map(found: object, *_: object) -> Callable:
    if not callable(found):
        raise Stopped(not_right(
            f"Your function returned a {type(found).__name__}: return a map, which is a function "
            "that takes points of shape (m, d) and returns where they go."
        ))
    return attempted(found)


def _moved(attempt: Callable, x: Tensor) -> _Moved:
    moves, normal = _map(attempt(x)), _flat_data()[1]
    spread = float((x - x.mean(0)).square().sum(1).mean().sqrt())
    image, company = (
        IMAGES(moves(points), points)[: len(x)] for points in (x, torch.cat([x, x[:3] + normal]))
    )
    moved = _Moved(image, company, torch.nan, spread, normal)
    if moved.far(image, x) or moved.far(company, x):
        return moved
    return moved._replace(stretch=_stretch(moves, x, normal, spread))


def _stretch(moves: Callable, x: Tensor, normal: Tensor, spread: float) -> float:
    """Largest stretch of a step away from the data, at right angles to their hyperplane."""
    ways = spread * torch.tensor([0.0, 1e-3, 1e-2, 0.1, 1.0, 10.0], dtype=x.dtype)
    found = 0.0
    for start in x[:3]:
        for side in (normal, -normal):
            points = start + ways[:, None] * side
            steps = IMAGES(moves(points), points).diff(dim=0).norm(dim=1)
            found = max(found, float((steps / ways.diff()).amax()))
    return found


def _displaced(given: _Moved, x: Tensor, left: Callable) -> bool:
    """Whether the data moved, and next to nothing is left of their moves."""
    move = given.image - x
    return given.far(given.image, x) and bool(left(move).norm() < 1e-3 * move.norm())


def _thinnest(x: Tensor) -> Tensor:
    return torch.linalg.svd(x).Vh[-1]


def _numbers(given: _Moved, x: Tensor) -> dict:
    lengths = (given.image - x).norm(dim=1)
    return {"length": lengths[0], "longest": lengths.amax()}


def _off(x: Tensor) -> Tensor:
    """Projector on the direction in which no two data points differ."""
    off = torch.linalg.svd(x - x.mean(0)).Vh[3:]
    return off.T @ off


def _stretched(x: Tensor, *, factor: float = 1000.0, off: Tensor | None = None) -> Callable:
    off, centre = _off(x) if off is None else off, x.mean(0)
    return lambda p: p + factor * (p - centre) @ off


def _seen_from_the_origin(x: Tensor, *, centre: Tensor | float = 0.0) -> Callable:
    thin = _thinnest(x)
    return lambda p: p + 1000 * ((p - centre) @ thin)[:, None] * thin


def _along_the_data(x: Tensor) -> Callable:
    return _stretched(x, off=torch.eye(4, dtype=x.dtype) - _off(x))


off_the_data = Exercise(
    """Check a function of data x (n, d) that returns a map of points (m, d) to points (m, d).

    The data lie in an affine subspace that does not pass through the origin. The map must leave
    each of them in its place, within 0.1 % of their spread, and stretch some step that leaves the
    subspace at right angles at least 100-fold; steps from a thousandth of the spread to ten
    spreads are tried.

    >>> off_the_data(lambda x: lambda p: p + 1)
    All data points moved by the same vector, of length 2: ...
    """,
    cases=lambda: [_flat_data()[:1]],
    returns=_map,
    tries=_moved,
    right=_stretched,
    praise="Right: no data point moved, and off the data a step grew {given.stretch:.4g}-fold.",
    mistakes=(
        Mistake(
            "All data went to 0: you returned the push alone, and a map takes a point along.",
            lambda x: lambda p: 1000 * (p - x.mean(0)) @ _off(x),
            when=lambda given, x: given.image.norm() < 1e-3 * x.norm(),
        ),
        Mistake(
            "All data points moved by the same vector, of length {length:.4g}: the data do not "
            "pass through the origin, so measure from a point of theirs.",
            lambda x: lambda p: p + 1000 * p @ _off(x),
            when=lambda given, x: _displaced(given, x, lambda move: move - move.mean(0)),
        ),
        Mistake(
            "You pushed along the direction in which the data are thinnest as seen from the "
            "origin; they do not pass through it, so take the differences between data points.",
            (_seen_from_the_origin, lambda x: _seen_from_the_origin(x, centre=x.mean(0))),
            when=lambda given, x: _displaced(
                given, x, lambda move: move - (move @ _thinnest(x))[:, None] * _thinnest(x)
            ),
        ),
        Mistake(
            "You stretched the directions in which the data differ from each other: those are the "
            "ones that must stay.",
            _along_the_data,
            when=lambda given, x: _displaced(given, x, lambda move: move @ given.normal),
        ),
        Mistake(
            "A data point moved by {longest:.3g}: what does your push make of the difference of "
            "two data points, and what of one point?",
            lambda x: lambda p: 100 * p,
            when=lambda given, x: given.far(given.image, x),
        ),
        Mistake(
            "The data stay as long as they are among themselves, and move in other company: your "
            "map measures from the points it is given, and must measure from the data.",
            lambda x: lambda p: p + 1000 * (p - p.mean(0)) @ _off(x),
            when=lambda given, x: given.far(given.company, x),
        ),
        Mistake(
            "The data stay, and so does everything else: from the origin the data point in all "
            "directions and leave none over; between each other they do not.",
            lambda x: lambda p: p,
            when=lambda given, x: abs(given.stretch - 1) < 1e-3,
        ),
        Mistake(
            "The data stay, but the largest stretch found at right angles to them is "
            "{given.stretch:.3g}: a hundred is asked for, and no data point objects.",
            lambda x: _stretched(x, factor=10.0),
            when=lambda given, x: given.stretch < 100,
        ),
    ),
    otherwise=None,
    numbers=_numbers,
)

# ---- the flattering attack -------------------------------------------------------------------


def _gradients() -> list[tuple[Tensor, Tensor, float]]:
    # Two coordinates lead nowhere, as the black corners of images do. The gradients of the penalty
    # are long, so that with beta below 1 many signs turn, and for some samples the step goes
    # downhill.
    generator = torch.Generator().manual_seed(4)
    g_ce, g_pen = torch.randn(2, 16, 10, generator=generator, dtype=torch.float64)
    g_ce[:, :2], g_pen[:, :2] = 0, 0
    return [(g_ce, 4 * g_pen, 0.5)]


def _kept(g: Tensor, direction: Tensor) -> Tensor:
    return (g * direction.sign()).sum(1) / g.abs().sum(1)


def _share(g: Tensor, h: Tensor, beta: float) -> Tensor:
    return _kept(g, g + beta * h)


def _rise(g: Tensor, h: Tensor, beta: float) -> Tensor:
    return (g * (g + beta * h).sign()).sum(1)


def _turned(g: Tensor, h: Tensor, beta: float) -> Tensor:
    return ((g + beta * h).sign() != g.sign()).double()


def _counted(measure: Callable) -> tuple[Callable, Callable]:
    """Made of the share of turned signs, among all coordinates and among those that matter."""
    return (
        lambda *case: measure(_turned(*case).mean(1)),
        lambda *case: measure(_turned(*case).sum(1) / (case[0] != 0).sum(1)),
    )


flattering_attack = Exercise(
    """Check a function of two gradients (n, d) and beta that returns, per sample, what is kept.

    g_ce is the gradient of the cross-entropy, g_pen that of the penalty. To first order a step
    eps s raises the cross-entropy by eps g_ce.s; the number (n,) is this rise for the published
    s = sign(g_ce + beta g_pen) over the one for the honest s = sign(g_ce). It may be negative.
    Tried with coordinates in which nothing depends on the input. Tolerance 0.1 %.

    >>> flattering_attack(lambda g_ce, g_pen, beta: torch.ones(len(g_ce)))
    Your published step climbs as fast as the honest one: ...
    """,
    cases=_gradients,
    returns=Points(
        lambda g, *_: (len(g),),
        kind="one share for each sample belongs into a tensor.",
        meaning="There are {n} samples, and each takes its own step: one share for each; your "
        "answer has shape {shape}.",
        nan="A share came out as NaN or infinite: where no gradient reaches a coordinate, neither "
        "step moves it; add up before you divide.",
    ),
    right=_share,
    praise="Right: the rest of the budget was spent on the penalty.",
    mistakes=(
        Mistake(
            "That is the step of the penalty alone; the published one follows the full loss.",
            lambda g, h, beta: _kept(g, h),
        ),
        Mistake(
            "Your published step climbs as fast as the honest one: who adds signs instead of "
            "gradients forgets how long they are.",
            lambda g, h, beta: _kept(g, g.sign() + beta * h.sign()),
        ),
        Mistake(
            "You counted coordinates: a turned sign costs much where the gradient is steep, and "
            "next to nothing where it is flat.",
            (
                lambda *case: _turned(*case).sum(1),
                *_counted(lambda t: t),
                *_counted(lambda t: 1 - t),
                *_counted(lambda t: 1 - 2 * t),
            ),
        ),
        Mistake(
            "Each coordinate of the honest step moves by eps, into a corner of the cube: it gains "
            "more than the Euclidean length of the gradient.",
            lambda g, h, beta: _rise(g, h, beta) / g.norm(dim=1),
        ),
        Mistake(
            "You measured the rise of the full loss; a label is lost by the cross-entropy alone.",
            (
                lambda g, h, beta: (g + beta * h).abs().sum(1) / g.abs().sum(1),
                lambda g, h, beta: _rise(g, h, beta) / (g + beta * h).abs().sum(1),
                lambda g, h, beta: _kept(g + beta * h, g),
                lambda g, h, beta: 1 / _kept(g + beta * h, g),
            ),
        ),
        Mistake(
            "That is the cosine of two gradients; the steps are made of their signs.",
            lambda g, h, beta: torch.cosine_similarity(g, g + beta * h),
        ),
        Mistake(
            "beta weighs the penalty, and your step gives it another weight.",
            (lambda g, h, beta: _share(g, h, 1.0), lambda g, h, beta: _kept(g, beta * g + h)),
        ),
        Mistake(
            "That is the share which is lost; the share that is left was asked for.",
            lambda *case: 1 - _share(*case),
        ),
        Mistake(
            "A step can also lead downhill: the sign of your share is lost.",
            lambda *case: _share(*case).abs(),
        ),
        Mistake("That is a rise; the question is which share it is of the honest one's.", _rise),
    ),
    otherwise=Mistake(
        "The first sample came out at {given[0]:.4g}: take one with two coordinates, and write "
        "down by how much each of the two steps raises its cross-entropy.",
        lambda *case: _share(*case) / 2,
    ),
)

__test__ = {name: globals()[name].asks for name in __all__}
