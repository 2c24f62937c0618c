"""Walks along random directions: how long they are in margins, and how coarse they may be."""

__all__ = ["block_directions", "median_line"]

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from companion.book.exercises.exercise import Exercise, Mistake
from companion.book.exercises.readings import Number, Points, Within

BOTH = "Half of your lines look away from the wall: walk both ways."


def _lines() -> list[tuple]:
    generator = torch.Generator().manual_seed(2)
    x, w = torch.randn(2, 64, generator=generator, dtype=torch.float64)
    u = torch.randn(999, 64, generator=generator, dtype=torch.float64)
    return [(x, w, 0.5, u / u.norm(dim=1, keepdim=True))]


def _ways(x: Tensor, w: Tensor, b: float, u: Tensor) -> Tensor:
    """Along each line to the wall, in margins, negative against u."""
    return -(x @ w + b).sign() * w.norm() / (u @ w)


def _ahead(t: Tensor) -> Tensor:
    return torch.where(t > 0, t, torch.inf)


median_line = Exercise(
    """Check a function of x (D,), w (D,), b and unit directions u (m, D) that returns a number.

    The number is the median, over the lines x + t u, of the way to w.x + b = 0 over the distance
    of x to it. Tried with 999 lines in 64 dimensions; tolerance 0.1 %.

    >>> median_line(lambda x, w, b, u: 64 ** 0.5)
    Your 8 is not the median: ...
    """,
    cases=_lines,
    returns=Number(
        "a median", nan="a line that never meets the wall has an infinite length, not none."
    ),
    agree=Within(relative=1e-3),
    right=lambda *case: _ways(*case).abs().median(),
    praise="Right: both ways along each line, and the middle one of the lengths.",
    mistakes=(
        Mistake(
            "A line almost parallel to the wall is almost infinitely long: the mean does not "
            "exist, the median does.",
            lambda *case: _ways(*case).abs().mean(),
        ),
        Mistake(
            BOTH,
            (lambda *case: _ahead(_ways(*case)).mean(), lambda *case: _ways(*case).min()),
            when=lambda given, *_: abs(given) == torch.inf or given < 0,
        ),
        Mistake(BOTH, tuple(
            (lambda *case, middle=middle: middle(_ways(*case)))
            for middle in (
                lambda t: t.median(),
                lambda t: t[t > 0].median(),
                lambda t: (-t[t < 0]).median(),
                lambda t: _ahead(t).median(),
            )
        )),
        Mistake(
            "That is the median length of a line; the question is how many margins it has.",
            lambda x, w, b, u: ((x @ w + b) / (u @ w)).abs().median(),
        ),
    ),
    otherwise=Mistake(
        "Your {given:.4g} is not the median: take one line, and the cosine between it and the "
        "normal of the wall.",
        lambda x, w, b, u: len(w) ** 0.5,
    ),
)

def _blocks(n: int, side: int, seed: int, *, fill: Callable = torch.randn) -> Tensor:
    coarse = fill(n, side // 2, side // 2, generator=torch.Generator().manual_seed(seed))
    fine = coarse.repeat_interleave(2, 1).repeat_interleave(2, 2).flatten(1)
    return fine / fine.norm(dim=1, keepdim=True)


def _torn(u: Tensor, n: int, side: int, seed: int) -> bool:
    """Whether pixels of one block differ."""
    blocks = u.view(n, side // 2, 2, side // 2, 2)
    return bool((blocks - blocks[:, :, :1, :, :1]).abs().max() > 1e-5)


def _white(n: int, side: int, seed: int) -> Tensor:
    u = torch.randn(n, side * side, generator=torch.Generator().manual_seed(seed))
    return u / u.norm(dim=1, keepdim=True)


block_directions = Exercise(
    """Check a function of n, side, seed that returns n random directions (n, side * side).

    Each has length 1, and changes the four pixels of a block of 2 x 2 by the same amount; rows
    are the images' pixels, row after row. Tried for 40 images of 8 x 8 pixels; tolerance 1e-5.

    >>> block_directions(lambda n, side, seed: torch.ones(n, side * side) / side)
    All images are sent the same way: ...
    """,
    cases=lambda: [(40, 8, 1)],
    returns=Points(
        lambda n, side, seed: (n, side * side),
        kind="directions belong into a tensor with one row for each image.",
        meaning="There are {n} directions, one number for each pixel, shape {asked}; yours have "
        "shape {shape}.",
        nan="A direction holds NaN or infinity: a vector of length 0 has no direction.",
    ),
    right=_blocks,
    praise="Right: blocks move together, and every walk has a length of its own.",
    mistakes=(
        Mistake(
            "Pixels of one block change by different amounts: this walker is as fine as the one "
            "before.",
            (_white, lambda n, side, seed: _blocks(n, side, seed).view(n, side, side)
             .roll(1, 2).flatten(1)),
            when=_torn,
        ),
        Mistake(
            "The first of your directions is {length:.3g} long, and not 1: lengths of walks would "
            "be counted in another unit for each image.",
            (lambda *case: 2 * _blocks(*case), lambda *case: 0 * _blocks(*case)),
            when=lambda u, *_: ((u.norm(dim=1) - 1).abs() > 1e-5).any(),
        ),
        Mistake(
            "All images are sent the same way: one direction, however often, is one draw.",
            lambda n, side, seed: _blocks(1, side, seed).expand(n, -1),
            when=lambda u, *_: (u - u[0]).abs().max() < 1e-5,
        ),
        Mistake(
            "Your walkers only brighten, or only darken: random directions go both ways.",
            partial(_blocks, fill=torch.rand),
            when=lambda u, *_: ((u >= 0).all(dim=1) | (u <= 0).all(dim=1)).all(),
        ),
    ),
    otherwise=None,
    numbers=lambda u, *_: {"length": u.norm(dim=1)[0]},
)

__test__ = {name: globals()[name].asks for name in __all__}
