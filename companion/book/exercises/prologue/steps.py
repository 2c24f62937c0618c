"""The shortest step to a wall, in two norms and by linear looks, tried at known walls."""

__all__ = ["classifier_margin", "cube_step", "linearised_step"]

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.func import grad

from companion.book.exercises.exercise import Exercise, Mistake
from companion.book.exercises.readings import Points, Within
from companion.book.exercises.walls import gaps, normals

SCORE = "You measured the score; doubling w and b moves no wall, but doubled your distance."
UNIT = "Your answer has the unit of a step along w, not of a length: try w twice as long."
EQUAL = (
    "The wall between two classes is where their scores are equal; its normal is the difference "
    "of both weights."
)
NEGATIVE = "A distance is never negative, on whichever side of the wall the point stands."

LENGTHS = Points(
    lambda x, *_: (len(x),),
    kind="one distance for each point belongs into a tensor.",
    meaning="There are {n} points and one distance for each; your answer has shape {shape}.",
    nan="A distance came out as NaN or infinite: between a class and itself there is no wall.",
)
_same = Within(relative=1e-3, absolute=1e-9)


def _negative(given: Tensor, *_: object) -> Tensor:
    return (given < 0).any()


def _score(x: Tensor, w: Tensor, b: float) -> Tensor:
    return x @ w + b


def _one_wall() -> list[tuple]:
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(20, 3, generator=generator, dtype=torch.float64)
    return [(x, torch.tensor([2.0, -3.0, 0.5], dtype=torch.float64), 1.0)]


def _three_classes() -> list[tuple]:
    # The third class has long weights: a steep score, whose wall is near where it is low.
    generator = torch.Generator().manual_seed(1)
    x = 2 * torch.randn(40, 2, generator=generator, dtype=torch.float64)
    weights = torch.tensor([[1.0, 0.0], [-0.5, 1.0], [-1.0, -6.0]], dtype=torch.float64)
    return [(x, weights, torch.tensor([1.0, 0.5, -2.0], dtype=torch.float64))]


def _by_walls(measure: Callable) -> Callable:
    """A solution made of the gaps of the scores and the lengths of normals and weights."""

    def solution(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
        gap, own = gaps(x @ W.T + b)
        return measure(gap, normals(own, W).norm(dim=2), W.norm(dim=1), own)

    return solution


def _at(walls: Tensor, k: Tensor) -> Tensor:
    return walls.gather(1, k[:, None])[:, 0]


_nearest_wall = _by_walls(lambda gap, normal, *_: (gap / normal).amin(1))

classifier_margin = Exercise(
    """Check a function of x (n, D), weights W (C, D), b (C,) that returns the margins (n,).

    The classifier takes the class with the highest of the scores W x + b; the margin is the
    Euclidean distance to the nearest point of another class. Tried with three classes, at points
    of which some have their nearest wall elsewhere than to the second highest score.

    >>> classifier_margin(lambda x, W, b: (x @ W.T + b).amax(1) / W.norm())
    The first point came out at ...: draw all walls around it, and which one it meets first.
    """,
    cases=_three_classes,
    returns=LENGTHS,
    agree=_same,
    right=_nearest_wall,
    praise="Right: the nearest of the walls, wherever its score stands.",
    mistakes=(
        Mistake(NEGATIVE, lambda x, W, b: -_nearest_wall(x, W, b), when=_negative),
        Mistake(
            "The second highest score need not belong to the nearest wall: a wall with a steep "
            "score may be closer.",
            _by_walls(lambda gap, normal, *_: _at(gap / normal, gap.argmin(1))),
        ),
        Mistake(SCORE, _by_walls(lambda gap, *_: gap.amin(1))),
        Mistake(EQUAL, (
            _by_walls(lambda gap, normal, weight, own: gap.amin(1) / weight[own]),
            _by_walls(lambda gap, normal, weight, own: gap.amin(1) / weight[gap.argmin(1)]),
            _by_walls(lambda gap, normal, weight, own: (gap / weight).amin(1)),
            lambda x, W, b: (x @ W.T + b).amax(1).abs() / W.norm(dim=1)[(x @ W.T + b).argmax(1)],
        )),
        Mistake(UNIT, (
            _by_walls(lambda gap, normal, *_: (gap / normal.square()).amin(1)),
            _by_walls(lambda gap, normal, *_: _at(gap / normal.square(), gap.argmin(1))),
        )),
        Mistake(
            "Between a class and itself there is no wall.",
            lambda x, W, b: torch.zeros_like(x[:, 0]),
        ),
    ),
    otherwise=Mistake(
        "The first point came out at {given[0]:.4g}: draw all walls around it, and which one it "
        "meets first.",
        lambda x, W, b: 2 * _nearest_wall(x, W, b),
    ),
)


def _on_the_wall(step: Tensor, x: Tensor, w: Tensor, b: float) -> bool:
    return bool((_score(x + step, w, b).abs() <= 1e-3 * _score(x, w, b).abs() + 1e-9).all())


def _widths(step: Tensor, x: Tensor, w: Tensor, b: float) -> tuple[Tensor, Tensor]:
    """Half-widths of the cubes of the steps, and of those that touch the wall."""
    return step.abs().amax(1), _score(x, w, b).abs() / w.abs().sum()


def _cube_numbers(step: Tensor, x: Tensor, w: Tensor, b: float) -> dict:
    longest, shortest = _widths(step, x, w, b)
    k = int((longest / shortest).argmax())
    return {"after": _score(x + step, w, b)[0], "longest": longest[k], "shortest": shortest[k]}


def _uphill(step: Tensor, x: Tensor, w: Tensor, b: float) -> bool:
    before, after = _score(x, w, b), _score(x + step, w, b)
    return bool((after.abs() > before.abs()).any() and (step @ w * before > 0).any())


def _corner(x: Tensor, w: Tensor, b: float, *, over: Tensor | None = None) -> Tensor:
    """Every coordinate moves as far, by the score over the length `over` of the weights."""
    return -_score(x, w, b)[:, None] * w.sign() / (w.abs().sum() if over is None else over)


cube_step = Exercise(
    """Check a function of x (n, D), w (D,), b that returns steps (n, D) onto w.x + b = 0.

    Each must be the shortest in the maximum norm, the largest change of a coordinate. Tried at
    points on both sides; tolerance 0.1 %.

    >>> cube_step(lambda x, w, b: (x @ w + b)[:, None] * w.sign() / w.abs().sum())
    You walked away from the wall.
    """,
    cases=_one_wall,
    returns=Points(
        lambda x, *_: x.shape,
        kind="a step belongs into a tensor with one row for each point.",
        meaning="A step changes every coordinate of every point, shape {asked}; yours has shape "
        "{shape}.",
    ),
    accepts=lambda *given: _on_the_wall(*given) and _same(*_widths(*given)),
    right=_corner,
    praise="Right: all coordinates move as far as any does.",
    mistakes=(
        Mistake(
            "Your step stands on the wall, but needs a cube of half-width {longest:.3g} where one "
            "of {shortest:.3g} touches it: coordinates that move less than the largest one help "
            "less than they may.",
            lambda x, w, b: -_score(x, w, b)[:, None] * w / (w @ w),
            when=_on_the_wall,
        ),
        Mistake(
            "You walked away from the wall.",
            (lambda *case: -_corner(*case), lambda x, w, b: -_corner(x, w, b).abs() * w.sign()),
            when=_uphill,
        ),
        Mistake(
            "A cube reaches the wall with a corner: every coordinate helps, so the norm that "
            "divides is the dual one.",
            tuple(lambda x, w, b, p=p: _corner(x, w, b, over=w.norm(p)) for p in (2, torch.inf)),
            when=lambda step, *_: _same(step.abs(), step.abs().amax(1, keepdim=True)),
        ),
    ),
    otherwise=Mistake(
        "After your step the first point has the score {after:.4g} and not 0: it does not stand "
        "on the wall.",
        lambda x, w, b: _corner(x, w, b) * x.new_tensor([1.0, 0.5, 1.0]),
    ),
    numbers=_cube_numbers,
)


def _bent(z: Tensor) -> Tensor:
    return z[0].square() + z[0] * z[1] + 2 * z[1] - 3


def _left(step: Tensor, F: object, x: Tensor) -> float:
    """The linear approximation of F after the step."""
    return float(F(x) + grad(F)(x) @ step)


def _newton(F: object, x: Tensor, *, power: int = 2) -> Tensor:
    slope = grad(F)(x)
    return -F(x) * slope / slope.norm() ** power


linearised_step = Exercise(
    """Check a function of F and a point x (D,) that returns one step of DeepFool (D,).

    F maps a point to one number. The step is the shortest one to the zero of the linear
    approximation of F at x. Tried at points where F is positive and where it is negative.

    >>> linearised_step(lambda F, x: -torch.func.grad(F)(x))
    The linear approximation of F is ... after your step and not 0: ...
    """,
    cases=lambda: [
        (_bent, torch.tensor(point, dtype=torch.float64))
        for point in ([1.5, 1.0], [0.5, -1.0], [3.0, 2.0])
    ],
    returns=Points(
        lambda F, x: x.shape,
        kind="a step belongs into a tensor.",
        meaning="A step changes each of the {n} coordinates; yours has shape {shape}.",
    ),
    agree=Within(relative=1e-3, absolute=1e-8),
    right=_newton,
    praise="Right: the nearest zero of the linear approximation.",
    mistakes=(
        Mistake(
            "The score grew: you went deeper into the region.",
            lambda F, x: -_newton(F, x),
            when=lambda step, F, x: _left(step, F, x) / F(x) > 1,
        ),
        Mistake(
            "The length of the step must solve the linearised equation; a step of length one "
            "stops anywhere.",
            lambda F, x: -F(x).sign() * grad(F)(x) / grad(F)(x).norm(),
            when=lambda step, F, x: abs(step.norm() - 1) <= 1e-3,
        ),
        Mistake(
            "Your step reaches the wall, but not by the shortest way: walk along the gradient.",
            lambda F, x: torch.stack([-F(x) / grad(F)(x)[0], 0 * x[0]]),
            when=lambda step, F, x: abs(_left(step, F, x)) < 1e-6,
        ),
        Mistake(
            "You walked as far as the score is high; doubling F moves no wall, but doubled your "
            "step.",
            partial(_newton, power=1),
        ),
    ),
    otherwise=Mistake(
        "The linear approximation of F is {left:.4g} after your step and not 0: what must its "
        "length be, if the slope along it is the length of the gradient?",
        lambda F, x: _newton(F, x) / 2,
    ),
    numbers=lambda step, F, x: {"left": _left(step, F, x)},
)


__test__ = {name: globals()[name].asks for name in __all__}
