"""Checks of the exercises of `book/prologue`.

Each tries the reader's function at walls whose distance is known in closed form, says what is
geometrically wrong, and never the answer.
"""

__all__ = [
    "classifier_margin",
    "cube_step",
    "linear_margin",
    "linearised_step",
    "median_line",
]

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from companion.book.exercises.answers import (
    Answer,
    answering,
    attempted,
    finite,
    not_right,
    number,
    shaped,
)
from companion.book.exercises.walls import gaps, normals

SCORE = "You measured the score; doubling w and b moves no wall, but doubled your distance."
UNIT = (
    "Your answer has the unit of a step along w, not of a length: try w twice as long."
)
EQUAL = (
    "The wall between two classes is where their scores are equal; its normal is the difference "
    "of both weights."
)
NEGATIVE = "A distance is never negative, on whichever side of the wall the point stands."


@answering
def linear_margin(solution: Callable[[Tensor, Tensor, float], Tensor] | None) -> Answer:
    """Check a function of x (n, D), w (D,), b that returns the distances (n,) to w.x + b = 0.

    Tried at points on both sides; tolerance 0.1 %.

    >>> linear_margin(lambda x, w, b: None)
    not attempted yet
    >>> linear_margin(lambda x, w, b: (x @ w + b).abs())
    You measured the score; doubling w and b moves no wall, but doubled your distance.
    """
    x, w, b = _wall()
    given = _lengths(attempted(solution)(x.clone(), w.clone(), b), len(x))
    score = x @ w + b
    if _same(given, score.abs() / w.norm()):
        return Answer(True, "Right: the score over the length of the weights.")
    if (given < 0).any():
        return not_right(NEGATIVE)
    if _same(given, score.abs()):
        return not_right(SCORE)
    if _same(given, score.abs() / w.square().sum()):
        return not_right(UNIT)
    return not_right(
        f"The first point came out at {given[0]:.4g}: draw the wall and the foot of its "
        "perpendicular through that point, and measure."
    )


@answering
def classifier_margin(solution: Callable[[Tensor, Tensor, Tensor], Tensor] | None) -> Answer:
    """Check a function of x (n, D), weights W (C, D), b (C,) that returns the margins (n,).

    The classifier takes the class with the highest of the scores W x + b; the margin is the
    Euclidean distance to the nearest point of another class. Tried with three classes, at points
    of which some have their nearest wall elsewhere than to the second highest score.

    >>> classifier_margin(lambda x, W, b: None)
    not attempted yet
    >>> classifier_margin(lambda x, W, b: (x @ W.T + b).amax(1) / W.norm())
    The first point came out at ...: draw all walls around it, and which one it meets first.
    """
    x, weights, b = _three_classes()
    given = _lengths(attempted(solution)(x.clone(), weights.clone(), b.clone()), len(x))
    scores = x @ weights.T + b
    if _same(given, _class_walls(scores, weights).amin(1)):
        return Answer(True, "Right: the nearest of the walls, wherever its score stands.")
    if (given < 0).any():
        return not_right(NEGATIVE)
    for mistake, sentence in _margin_mistakes(scores, weights):
        if _same(given, mistake):
            return not_right(sentence)
    return not_right(
        f"The first point came out at {given[0]:.4g}: draw all walls around it, and which one it "
        "meets first."
    )


@answering
def cube_step(solution: Callable[[Tensor, Tensor, float], Tensor] | None) -> Answer:
    """Check a function of x (n, D), w (D,), b that returns steps (n, D) onto w.x + b = 0.

    Each must be the shortest in the maximum norm, the largest change of a coordinate. Tried at
    points on both sides; tolerance 0.1 %.

    >>> cube_step(lambda x, w, b: None)
    not attempted yet
    >>> cube_step(lambda x, w, b: (x @ w + b)[:, None] * w.sign() / w.abs().sum())
    You walked away from the wall.
    """
    x, w, b = _wall()
    step = shaped(
        attempted(solution)(x.clone(), w.clone(), b),
        tuple(x.shape),
        kind="a step belongs into a tensor with one row for each point.",
        meaning=f"A step changes every coordinate of every point, shape {tuple(x.shape)}; yours "
        "has shape {shape}.",
    )
    before, after = x @ w + b, (x + step) @ w + b
    if _same(after, torch.zeros_like(after), scale=before):
        return _cube_length(step, before.abs() / w.abs().sum())
    if (after.abs() > before.abs()).any() and (step @ w * before > 0).any():
        return not_right("You walked away from the wall.")
    size = step.abs()
    if _same(size, size.amax(1, keepdim=True).expand_as(size)):
        return not_right(
            "A cube reaches the wall with a corner: every coordinate helps, so the norm that "
            "divides is the dual one."
        )
    return not_right(
        f"After your step the first point has the score {after[0]:.4g} and not 0: it does not "
        "stand on the wall."
    )


@answering
def linearised_step(solution: Callable[[Callable, Tensor], Tensor] | None) -> Answer:
    """Check a function of F and a point x (D,) that returns one step of DeepFool (D,).

    F maps a point to one number. The step is the shortest one to the zero of the linear
    approximation of F at x. Tried at points where F is positive and where it is negative.

    >>> linearised_step(lambda F, x: None)
    not attempted yet
    >>> linearised_step(lambda F, x: -torch.func.grad(F)(x))
    The linear approximation of F is ... after your step and not 0: ...
    """
    attempt = attempted(solution)
    for point in ([1.5, 1.0], [0.5, -1.0], [3.0, 2.0]):
        x = torch.tensor(point, dtype=torch.float64)
        step = shaped(
            attempt(_bent, x.clone()),
            (2,),
            kind="a step belongs into a tensor.",
            meaning="A step changes each of the 2 coordinates; yours has shape {shape}.",
        )
        value, slope = _bent(x), torch.func.grad(_bent)(x)
        if wrong := _wrong_step(step, value, slope):
            return not_right(wrong)
    return Answer(True, "Right: the nearest zero of the linear approximation.")


@answering
def median_line(solution: Callable[[Tensor, Tensor, float, Tensor], float] | None) -> Answer:
    """Check a function of x (D,), w (D,), b and unit directions u (m, D) that returns a number.

    The number is the median, over the lines x + t u, of the way to w.x + b = 0 over the distance
    of x to it. Tried with 999 lines in 64 dimensions; tolerance 0.1 %.

    >>> median_line(lambda x, w, b, u: None)
    not attempted yet
    >>> median_line(lambda x, w, b, u: 64 ** 0.5)
    Your 8 is not the median: ...
    """
    x, w, b, u = _lines()
    given = number(
        attempted(solution)(x.clone(), w.clone(), b, u.clone()),
        what="a median",
        nan="a line that never meets the wall has an infinite length, not none.",
    )
    cosine = u @ w / w.norm()
    ways = 1 / cosine.abs()
    if abs(given / float(ways.median()) - 1) < 1e-3:
        return Answer(True, "Right: both ways along each line, and the middle one of the lengths.")
    return not_right(_line_sentence(given, cosine, float((x @ w + b).abs() / w.norm())))


def _wall() -> tuple[Float[Tensor, "20 3"], Float[Tensor, " 3"], float]:
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(20, 3, generator=generator, dtype=torch.float64)
    return x, torch.tensor([2.0, -3.0, 0.5], dtype=torch.float64), 1.0


def _same(given: Tensor, right: Tensor, *, scale: Tensor | None = None) -> bool:
    scale = right if scale is None else scale
    return bool(((given - right).abs() <= 1e-3 * scale.abs() + 1e-9).all())


def _lengths(found: object, n: int) -> Float[Tensor, " n"]:
    given = shaped(
        found,
        (n,),
        kind="one distance for each point belongs into a tensor.",
        meaning=f"There are {n} points and one distance for each; your answer has shape "
        "{shape}.",
    )
    return finite(
        given,
        "A distance came out as NaN or infinite: between a class and itself there is no wall.",
    )


def _three_classes() -> tuple[
    Float[Tensor, "40 2"], Float[Tensor, "3 2"], Float[Tensor, " 3"]
]:
    # The third class has long weights: steep scores, so that its wall is near where its score
    # is low.
    generator = torch.Generator().manual_seed(1)
    x = 2 * torch.randn(40, 2, generator=generator, dtype=torch.float64)
    weights = torch.tensor([[1.0, 0.0], [-0.5, 1.0], [-1.0, -6.0]], dtype=torch.float64)
    return x, weights, torch.tensor([1.0, 0.5, -2.0], dtype=torch.float64)


def _class_walls(
    scores: Float[Tensor, "n C"], weights: Float[Tensor, "C D"]
) -> Float[Tensor, "n C"]:
    gap, own = gaps(scores)
    return gap / normals(own, weights).norm(dim=2)


def _margin_mistakes(
    scores: Float[Tensor, "n C"], weights: Float[Tensor, "C D"]
) -> list[tuple[Tensor, str]]:
    gap, own = gaps(scores)
    walls = _class_walls(scores, weights)
    second = gap.argmin(1, keepdim=True)
    lengths = weights.norm(dim=1)
    runner_up = (
        "The second highest score need not belong to the nearest wall: a wall with a steep score "
        "may be closer."
    )
    squared = gap / normals(own, weights).square().sum(2)
    return [
        (walls.gather(1, second)[:, 0], runner_up),
        (gap.amin(1), SCORE),
        (gap.amin(1) / lengths[own], EQUAL),
        ((gap / lengths).amin(1), EQUAL),
        (gap.gather(1, second)[:, 0] / lengths[second[:, 0]], EQUAL),
        (scores.amax(1).abs() / lengths[own], EQUAL),
        (squared.amin(1), UNIT),
        (squared.gather(1, second)[:, 0], UNIT),
        (torch.zeros_like(walls[:, 0]), "Between a class and itself there is no wall."),
    ]


def _cube_length(step: Float[Tensor, "n D"], shortest: Float[Tensor, " n"]) -> Answer:
    longest = step.abs().amax(1)
    if _same(longest, shortest):
        return Answer(True, "Right: all coordinates move as far as any does.")
    k = int((longest / shortest).argmax())
    return not_right(
        f"Your step stands on the wall, but needs a cube of half-width {longest[k]:.3g} where one "
        f"of {shortest[k]:.3g} touches it: coordinates that move less than the largest one help "
        "less than they may."
    )


def _bent(z: Float[Tensor, " 2"]) -> Float[Tensor, ""]:
    return z[0].square() + z[0] * z[1] + 2 * z[1] - 3


def _wrong_step(step: Tensor, value: Tensor, slope: Tensor) -> str | None:
    right = -value * slope / slope.square().sum()
    if torch.allclose(step, right, rtol=1e-3):
        return None
    left = float(value + slope @ step)
    if abs(left) > abs(float(value)) and float(slope @ step * value) > 0:
        return "The score grew: you went deeper into the region."
    if torch.isclose(step.norm(), torch.ones_like(value), rtol=1e-3):
        return (
            "The length of the step must solve the linearised equation; a step of length one "
            "stops anywhere."
        )
    if abs(left) < 1e-6:
        return "Your step reaches the wall, but not by the shortest way: walk along the gradient."
    if torch.allclose(step, right * slope.norm(), rtol=1e-3):
        return (
            "You walked as far as the score is high; doubling F moves no wall, but doubled your "
            "step."
        )
    return (
        f"The linear approximation of F is {left:.4g} after your step and not 0: what must its "
        "length be, if the slope along it is the length of the gradient?"
    )


def _lines() -> tuple[
    Float[Tensor, " 64"], Float[Tensor, " 64"], float, Float[Tensor, "999 64"]
]:
    generator = torch.Generator().manual_seed(2)
    x, w = torch.randn(2, 64, generator=generator, dtype=torch.float64)
    u = torch.randn(999, 64, generator=generator, dtype=torch.float64)
    return x, w, 0.5, u / u.norm(dim=1, keepdim=True)


def _line_sentence(given: float, cosine: Tensor, margin: float) -> str:
    ways, both = 1 / cosine.abs(), "Half of your lines look away from the wall: walk both ways."
    toward = ways[cosine > 0], ways[cosine < 0]
    if abs(given / float(ways.mean()) - 1) < 1e-3:
        return (
            "A line almost parallel to the wall is almost infinitely long: the mean does not "
            "exist, the median does."
        )
    if abs(given) == torch.inf or given < 0:
        return both
    one_way = [half.median() for half in toward]
    one_way += [(sign / cosine).median() for sign in (1, -1)]
    one_way += [ways.where(sign * cosine > 0, torch.inf).median() for sign in (1, -1)]
    if any(abs(given - float(other)) < 1e-3 * abs(float(other)) for other in one_way):
        return both
    if abs(given / (margin * float(ways.median())) - 1) < 1e-3:
        return "That is the median length of a line; the question is how many margins it has."
    return (
        f"Your {given:.4g} is not the median: take one line, and the cosine between it and the "
        "normal of the wall."
    )
