"""Two ways in which keeping the distances between the data says little about an attack.

Explained in `book/distances/isometric_regularization`.
"""

__all__ = ["flattering_attack", "off_the_data"]

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from companion.book.exercises.answers import (
    Answer,
    Mistakes,
    answering,
    attempted,
    finite,
    not_right,
    recognised,
    shaped,
)
from companion.book.exercises.readings import close


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
    given = finite(
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
    if close(given, _kept(g_ce, g_ce + beta * g_pen)):
        return Answer(True, "Right: the rest of the budget was spent on the penalty.")
    return not_right(
        recognised(given, _attack_mistakes(g_ce, g_pen, beta))
        or f"The first sample came out at {given[0]:.4g}: take one with two coordinates, and "
        "write down by how much each of the two steps raises its cross-entropy."
    )


def _flat_data() -> tuple[Float[Tensor, "30 4"], Float[Tensor, " 4"]]:
    """Points of a hyperplane off the origin, and its unit normal."""
    generator = torch.Generator().manual_seed(3)
    turn, _ = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64))
    inside = torch.randn(30, 3, generator=generator, dtype=torch.float64)
    # Off the origin by 2, so that as seen from there they span the whole space.
    return inside @ turn[:3] + turn[0] + 2 * turn[3], turn[3]


def _moved(attempt: Callable, points: Float[Tensor, "m d"]) -> Float[Tensor, "m d"]:
    m, d = points.shape
    return finite(
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
            turned.sum(1),
            *(form for t in counts for form in (t, 1 - t, 1 - 2 * t)),
        ],
        "Each coordinate of the honest step moves by eps, into a corner of the cube: it gains "
        "more than the Euclidean length of the gradient.": [rise / g_ce.norm(dim=1)],
        "You measured the rise of the full loss; a label is lost by the cross-entropy alone.": [
            full.abs().sum(1) / ceiling,
            rise / full.abs().sum(1),
            crossed,
            1 / crossed,
        ],
        "That is the cosine of two gradients; the steps are made of their signs.": [
            torch.cosine_similarity(g_ce, full),
        ],
        "beta weighs the penalty, and your step gives it another weight.": [
            _kept(g_ce, g_ce + g_pen),
            _kept(g_ce, beta * g_ce + g_pen),
        ],
        "That is the share which is lost; the share that is left was asked for.": [1 - right],
        "A step can also lead downhill: the sign of your share is lost.": [right.abs()],
        "That is a rise; the question is which share it is of the honest one's.": [rise],
    }
