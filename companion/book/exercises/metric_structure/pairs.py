"""Distances of all pairs of points, and how two lists of them agree: two exercises.

Explained in `book/distances/metric_structure`.
"""

__all__ = ["pairwise_distances", "within_class_correlation"]

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, one_hot
from torch.overrides import TorchFunctionMode

from companion import distances
from companion.book.exercises.exercise import Exercise, Mistake
from companion.book.exercises.readings import Number, Points, Within


class _Calls(TorchFunctionMode):
    count = 0

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        self.count += 1
        return func(*args, **(kwargs or {}))


class _Tried(NamedTuple):
    """Distances of the points and of points twice as far; calls of torch for 4 and 16 of them."""

    d: Tensor
    doubled: Tensor
    few: int
    many: int


MATRIX = Points(
    lambda x: (len(x), len(x)),
    kind="the distances of all pairs belong into one tensor.",
    meaning="Each of {n} points has a distance to each of {n} points, but your answer has shape "
    "{shape}: one row and one column per point.",
)


def _tried(attempt: Callable, x: Tensor) -> _Tried:
    d, doubled = MATRIX(attempt(x), x), MATRIX(attempt(2 * x), x)
    calls = []
    for points in (x[:4], x[:16]):
        with _Calls() as counted:
            attempt(points)
        calls.append(counted.count)
    return _Tried(d, doubled, *calls)


def _points() -> dict[str, tuple[Tensor]]:
    # Legs of 3 and 4 on a point that is not the origin, in small whole numbers: float32 has no
    # rounding here, so what is wrong on them is wrong in the formula.
    triangle = torch.tensor([[1.0, 1.0], [4.0, 1.0], [1.0, 5.0]])
    return {"triangle": (triangle,), "near": (_twins(far=0.0),), "far": (_twins(far=1000.0),)}


def _twins(*, far: float) -> Tensor:
    # Points spread by 0.01 around 10 in every coordinate, so that moving the origin is enough
    # until the second half moves away; every second point is the twin of the one before.
    generator = torch.Generator().manual_seed(0)
    x = 10 + 0.01 * torch.randn(16, 8, generator=generator)
    step = torch.randn(16, 8, generator=generator)
    twin = x + 1e-3 * step / step.norm(dim=1, keepdim=True)
    points = torch.stack([x, twin], dim=1).reshape(32, 8)
    points[16:, 0] += far
    return points


def _wrong_twins(tried: _Tried, x: Tensor) -> str:
    """What is wrong with the distances of twins, empty if nothing is."""
    # The difference of two float32 numbers this close is exact in float64.
    truth = (x[0::2].double() - x[1::2].double()).norm(dim=1)
    ratio = tried.d[0::2, 1::2].diagonal() / truth
    if (ratio > 1.01).any():
        return "farther apart than they are"
    if (ratio < 0.99).any():
        return "closer together than they are"
    return "" if torch.isfinite(tried.d).all() else "at a distance that is not a number"


def _near(given: Tensor, right: float | Tensor) -> bool:
    return torch.allclose(given, torch.as_tensor(right, dtype=given.dtype), rtol=1e-2)


def _fourfold(tried: _Tried, x: Tensor) -> bool:
    off = ~torch.eye(len(x), dtype=torch.bool)
    return _near((tried.doubled / tried.d)[off], 4.0)


def _numbers(tried: _Tried, x: Tensor) -> dict:
    wrong = _wrong_twins(tried, x) if len(x) > 3 else ""
    d = tried.d
    return {"leg": d[0, 1], "other": d[0, 2], "side": d[1, 2], "wrong": wrong}


def _direct(x: Tensor) -> Tensor:
    return (x[:, None] - x).norm(dim=2)


def _gram(x: Tensor, *, least: float | None = 0.0) -> Tensor:
    square = x.square().sum(1)
    return (square[:, None] + square - 2 * x @ x.T).clamp(min=least, max=1e30).sqrt()


def _twins_at(x: Tensor, apart: float) -> Tensor:
    d = _direct(x)
    return torch.where((d > 0) & (d < 0.01), apart, d)


def _loop(x: Tensor) -> Tensor:
    return torch.stack([torch.stack([(a - b).norm() for b in x]) for a in x])


pairwise_distances = Exercise(
    """Check a function that maps points (n, d) to their Euclidean distances (n, n).

    Tried on a right-angled triangle, on twins 1e-3 apart far from the origin, and on twins of
    which some lie 1,000 away; float32, 1 % tolerance (the rounding errors in question are larger
    than the distances, those of float64 below 0.1 %). It must not work pair by pair: the number
    of torch calls may not grow with n.

    >>> pairwise_distances(lambda x: torch.cdist(x, x) ** 2)
    Twice as far must be twice as large; yours is four times.
    """,
    cases=_points,
    returns=MATRIX,
    tries=_tried,
    right=_direct,
    praise="Right, for twins too, and without a loop.",
    mistakes=(
        Mistake(
            "A distance came out as NaN or infinite for three points of a right-angled triangle: "
            "look for the root of a negative number or a division by 0.",
            lambda x: _direct(x) / 0,
            at="triangle",
            when=lambda tried, x: not torch.isfinite(tried.d).all(),
        ),
        Mistake(
            "A distance came out negative: walking from one point to another takes a length.",
            lambda x: -_direct(x),
            at="triangle",
            when=lambda tried, x: tried.d.min() < 0,
        ),
        Mistake(
            "Twice as far must be twice as large; yours is four times.",
            (lambda x: _direct(x).square(), lambda x: (x[:, None] - x).square().sum(2)),
            at="triangle",
            when=_fourfold,
        ),
        Mistake(
            "A point is at distance 0 from itself; the diagonal of yours is not 0.",
            lambda x: _direct(x) + torch.eye(len(x)),
            at="triangle",
            when=lambda tried, x: tried.d.diagonal().abs().max() > 1e-2,
        ),
        Mistake(
            "The way back is as long as the way there; your matrix is not symmetric.",
            lambda x: _direct(x).triu(),
            at="triangle",
            when=lambda tried, x: not _near(tried.d, tried.d.T),
        ),
        Mistake(
            "In a right-angled triangle your legs are {leg:.3g} and {other:.3g} and your long "
            "side is {side:.3g}: Pythagoras disagrees.",
            tuple(lambda x, p=p: (x[:, None] - x).norm(p, dim=2) for p in (1, torch.inf)),
            at="triangle",
            when=lambda tried, x: not _near(tried.d[0].square().sum(), tried.d[1, 2].square()),
        ),
        Mistake(
            "One leg of a triangle is 3 long and the other 4; yours are in another proportion.",
            lambda x: _direct(x[:, [1, 0]] * x.new_tensor([0.5, 1.0])),
            at="triangle",
            when=lambda tried, x: not _near(tried.d[0, 2] / tried.d[0, 1], 4 / 3),
        ),
        Mistake(
            "A step of length 3 along one axis came out as {leg:.3g}: your unit of length is not "
            "that of the points.",
            lambda x: _direct(x) / x.shape[1] ** 0.5,
            at="triangle",
            when=lambda tried, x: not _near(tried.d[0, 1], 3.0),
        ),
        Mistake(
            "Two points a thousandth apart came out {wrong}: the large norms cancelled; move the "
            "origin or subtract first.",
            (
                _gram,
                lambda x: _gram(x, least=None),
                lambda x: torch.cdist(x, x),
                lambda x: _twins_at(x, 0.0),
                lambda x: _twins_at(x, torch.nan),
            ),
            at="near",
            when=_wrong_twins,
        ),
        Mistake(
            "With a second group of points 1,000 away, two points a thousandth apart came out "
            "{wrong}: from no origin are the norms of both groups small.",
            lambda x: _gram(x - x.mean(0)),
            at="far",
            when=_wrong_twins,
        ),
        Mistake(
            "The distances are right, but 4 points take {given.few} calls of torch and 16 points "
            "{given.many}: ask for all differences at once instead of walking from point to "
            "point.",
            _loop,
            at="far",
            when=lambda tried, x: tried.many > tried.few,
        ),
    ),
    otherwise=None,
    numbers=_numbers,
)


def _scores() -> list[tuple[Tensor, Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(3)
    y = torch.arange(48) % 3
    centres = torch.randn(3, 4, generator=generator)
    x = 1.5 * centres[y] + torch.randn(48, 4, generator=generator)
    # Scores that bend the inputs and favour the label without always letting it win.
    z = torch.tanh(x @ torch.randn(4, 3, generator=generator))
    return [(x, z + 0.8 * one_hot(y, 3), y)]


def _agree(where: Callable, *, of: Callable = lambda d: d, by: Callable | None = None) -> Callable:
    """A solution that compares `of` the distances of the pairs which the mask `where` lets in.

    The mask is made from which pairs have one label, and which have one prediction.
    """

    def solution(x: Tensor, z: Tensor, y: Tensor) -> Tensor:
        own = z.argmax(1)
        mask = where(y[:, None] == y, own[:, None] == own)
        a, b = (of(distances.pairwise(points)[mask].double()) for points in (x, z))
        return torch.corrcoef(torch.stack([a, b]))[0, 1] if by is None else by(a, b)

    return solution


def _once(mask: Tensor) -> Tensor:
    return mask.triu(1)


within_class_correlation = Exercise(
    """Check a function of inputs x (n, d), outputs z (n, C), labels y (n,) that returns a number.

    The number is the Pearson correlation, over all pairs of two different points of one class,
    between their distances in x and in z. z holds the scores of a network that takes some points
    for another class. Tolerance 1e-3.

    >>> within_class_correlation(lambda x, z, y: 3.0)
    A correlation lies between -1 and 1; yours is 3: divide by both spreads.
    """,
    cases=_scores,
    returns=Number(
        "how well two lists of distances agree",
        nan="one of your two lists of distances is empty or constant.",
    ),
    agree=Within(absolute=1e-3),
    right=_agree(lambda same, alike: _once(same)),
    praise="Right: the pairs of one class, each between two different points.",
    mistakes=(
        Mistake(
            "A correlation lies between -1 and 1; yours is {given:.4g}: divide by both spreads.",
            _agree(lambda same, alike: _once(same), by=lambda a, b: a @ b),
            when=lambda given, *_: abs(given) > 1 + 1e-3,
        ),
        Mistake(
            "Every point has distance 0 to itself in any network: those pairs agree for free.",
            (_agree(lambda same, alike: same), _agree(lambda same, alike: same.triu())),
        ),
        Mistake(
            "Within a class means the label's class; a mistake of the network would hide its own "
            "tearing.",
            tuple(
                _agree(lambda same, alike, part=part: part(alike))
                for part in (_once, torch.triu, torch.clone)
            ),
        ),
        Mistake(
            "Pairs of two different classes are in it: how far the classes are pulled apart hides "
            "what happens inside them.",
            tuple(
                _agree(lambda same, alike, part=part: part(torch.ones_like(same)))
                for part in (_once, torch.triu, torch.clone)
            ),
        ),
        Mistake(
            "These are the pairs between the classes; the question is about those inside one.",
            _agree(lambda same, alike: ~same),
        ),
        Mistake(
            "Distances are never negative, so any two lists of them point the same way: compare "
            "how they vary around their means.",
            _agree(
                lambda same, alike: _once(same), by=lambda a, b: cosine_similarity(a, b, dim=0)
            ),
        ),
        Mistake(
            "A squared distance gives the far pairs most of the say: compare the lengths.",
            _agree(lambda same, alike: _once(same), of=torch.square),
        ),
        Mistake(
            "Only the order of the distances entered: compare how long they are.",
            _agree(lambda same, alike: _once(same), of=lambda d: d.argsort().argsort().double()),
        ),
    ),
    otherwise=Mistake(
        "Your {given:.4g} is not how the distances of one class agree: list by hand which pairs "
        "of the first five points enter, and with which two distances.",
        lambda *_: -0.125,
    ),
)

__test__ = {name: globals()[name].asks for name in __all__}
