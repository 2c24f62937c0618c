"""Checks of the exercises: each says what is geometrically wrong, and never the answer.

A check takes the reader's function, tries it on small data whose geometry is known, and returns an
`Answer` that shows itself as one sentence when it stands last in a cell. The exercises of
`book/distances/metric_structure` come first.
"""

__all__ = ["Answer", "pairwise_distances", "within_class_correlation"]

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from companion import distances


@dataclass(frozen=True)
class Answer:
    """What a check found: `right` (True, False, or None if not attempted yet) and its sentence."""

    right: bool | None
    sentence: str

    def __repr__(self) -> str:
        return self.sentence


NOT_YET = Answer(None, "not attempted yet")


def pairwise_distances(solution: Callable[[Tensor], Tensor] | None) -> Answer:
    """Check a function that maps points (n, d) to their Euclidean distances (n, n).

    Tried on a right-angled triangle, on twins 1e-3 apart far from the origin, and on twins of
    which some lie 1,000 away; float32, 1 % tolerance (the rounding errors in question are larger
    than the distances, those of float64 below 0.1 %). It must not work pair by pair: the number
    of torch calls may not grow with n.

    >>> pairwise_distances(lambda x: None)
    not attempted yet
    >>> pairwise_distances(lambda x: torch.cdist(x, x) ** 2)
    Twice as far must be twice as large; yours is four times.
    """
    try:
        wrong = _wrong_distances(_attempt(solution))
    except _Stopped as stopped:
        return stopped.answer
    return _wrong(wrong) if wrong else Answer(True, "Right, for twins too, and without a loop.")


def within_class_correlation(solution: Callable[[Tensor, Tensor, Tensor], float] | None) -> Answer:
    """Check a function of inputs x (n, d), outputs z (n, C), labels y (n,) that returns a number.

    The number is the Pearson correlation, over all pairs of two different points of one class,
    between their distances in x and in z. z holds the scores of a network that takes some points
    for another class. Tolerance 1e-3.

    >>> within_class_correlation(lambda x, z, y: None)
    not attempted yet
    >>> within_class_correlation(lambda x, z, y: 3.0)
    A correlation lies between -1 and 1; yours is 3: divide by both spreads.
    """
    x, z, y = _scores()
    try:
        given = _number(_attempt(solution)(x.clone(), z.clone(), y.clone()))
    except _Stopped as stopped:
        return stopped.answer
    d, e = distances.pairwise(x), distances.pairwise(z)
    right = float(distances.correlation(d, e, where=distances.within_class(y)))
    if abs(given - right) < 1e-3:
        return Answer(True, "Right: the pairs of one class, each between two different points.")
    if abs(given) > 1 + 1e-3:
        return _wrong(
            f"A correlation lies between -1 and 1; yours is {given:.4g}: divide by both spreads."
        )
    for mistake, sentence in _correlation_mistakes(d, e, z, y):
        if abs(given - mistake) < 1e-3:
            return _wrong(sentence)
    return _wrong(
        f"Your {given:.4g} is not how the distances of one class agree: list by hand which pairs "
        "of the first five points enter, and with which two distances."
    )


class _Stopped(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.sentence)
        self.answer = answer


class _Calls(TorchFunctionMode):
    count = 0

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        self.count += 1
        return func(*args, **(kwargs or {}))


def _wrong(sentence: str) -> Answer:
    return Answer(False, sentence)


def _attempt(solution: Callable | None) -> Callable:
    if solution is None or solution is ...:
        raise _Stopped(NOT_YET)
    if not callable(solution):
        raise _Stopped(_wrong(
            f"The check needs your function itself, not a {type(solution).__name__}: pass its "
            "name without brackets behind it."
        ))

    def attempt(*given: Tensor) -> object:
        try:
            found = solution(*given)
        except NotImplementedError:
            found = None
        except Exception as error:  # whatever a reader's function does, the page must go on
            raise _Stopped(_wrong(
                f"Your function stopped with {type(error).__name__} ({error}): try it on three "
                "points first."
            )) from None
        if found is None or found is ...:
            raise _Stopped(NOT_YET)
        return found

    return attempt


def _wrong_distances(attempt: Callable) -> str | None:
    # Legs of 3 and 4 on a point that is not the origin, in small whole numbers: float32 has no
    # rounding here, so what is wrong on them is wrong in the formula.
    triangle = torch.tensor([[1.0, 1.0], [4.0, 1.0], [1.0, 5.0]])
    d = _matrix(attempt, triangle)
    if wrong := _wrong_triangle(attempt, triangle, d):
        return wrong
    near, far = _twins(far=0.0), _twins(far=1000.0)
    if wrong := _wrong_twins(near, _matrix(attempt, near)):
        return (
            f"Two points a thousandth apart came out {wrong}: the large norms cancelled; move "
            "the origin or subtract first."
        )
    if wrong := _wrong_twins(far, _matrix(attempt, far)):
        return (
            f"With a second group of points 1,000 away, two points a thousandth apart came out "
            f"{wrong}: from no origin are the norms of both groups small."
        )
    few, many = (_calls(attempt, far[:n]) for n in (4, 16))
    if many > few:
        return (
            f"The distances are right, but 4 points take {few} calls of torch and 16 points "
            f"{many}: ask for all differences at once instead of walking from point to point."
        )
    return None


def _wrong_triangle(
    attempt: Callable, triangle: Float[Tensor, "3 2"], d: Float[Tensor, "3 3"]
) -> str | None:
    off = ~torch.eye(3, dtype=torch.bool)
    if not torch.isfinite(d).all():
        return (
            "A distance came out as NaN or infinite for three points of a right-angled triangle: "
            "look for the root of a negative number or a division by 0."
        )
    if d.min() < 0:
        return "A distance came out negative: walking from one point to another takes a length."
    growth = (_matrix(attempt, 2 * triangle) / d)[off]
    if torch.allclose(growth, torch.tensor(4.0, dtype=d.dtype), rtol=1e-2):
        return "Twice as far must be twice as large; yours is four times."
    if d.diagonal().abs().max() > 1e-2:
        return "A point is at distance 0 from itself; the diagonal of yours is not 0."
    if not torch.allclose(d, d.T, rtol=1e-2):
        return "The way back is as long as the way there; your matrix is not symmetric."
    legs, side = (d[0, 1], d[0, 2]), d[1, 2]
    if not torch.isclose(legs[0].square() + legs[1].square(), side.square(), rtol=1e-2):
        return (
            f"In a right-angled triangle your legs are {legs[0]:.3g} and {legs[1]:.3g} and your "
            f"long side is {side:.3g}: Pythagoras disagrees."
        )
    if not torch.isclose(legs[1] / legs[0], torch.tensor(4 / 3, dtype=d.dtype), rtol=1e-2):
        return "One leg of a triangle is 3 long and the other 4; yours are in another proportion."
    if not torch.isclose(legs[0], torch.tensor(3.0, dtype=d.dtype), rtol=1e-2):
        return (
            f"A step of length 3 along one axis came out as {legs[0]:.3g}: your unit of length "
            "is not that of the points."
        )
    return None


def _wrong_twins(x: Float[Tensor, "n d"], d: Float[Tensor, "n n"]) -> str | None:
    # The difference of two float32 numbers this close is exact in float64.
    truth = (x[0::2].double() - x[1::2].double()).norm(dim=1)
    ratio = d.double()[0::2, 1::2].diagonal() / truth
    if (ratio > 1.01).any():
        return "farther apart than they are"
    if (ratio < 0.99).any():
        return "closer together than they are"
    if not torch.isfinite(d).all():
        return "at a distance that is not a number"
    return None


def _twins(*, far: float) -> Float[Tensor, "32 8"]:
    # Points spread by 0.01 around 10 in every coordinate, so that moving the origin is enough
    # until the second half moves away; every second point is the twin of the one before.
    generator = torch.Generator().manual_seed(0)
    x = 10 + 0.01 * torch.randn(16, 8, generator=generator)
    step = torch.randn(16, 8, generator=generator)
    twin = x + 1e-3 * step / step.norm(dim=1, keepdim=True)
    points = torch.stack([x, twin], dim=1).reshape(32, 8)
    points[16:, 0] += far
    return points


def _calls(attempt: Callable, x: Float[Tensor, "n d"]) -> int:
    with _Calls() as calls:
        attempt(x.clone())
    return calls.count


def _matrix(attempt: Callable, x: Float[Tensor, "n d"]) -> Float[Tensor, "n n"]:
    n = len(x)
    found = attempt(x.clone())
    found = torch.from_numpy(found) if isinstance(found, np.ndarray) else found
    if not isinstance(found, Tensor):
        raise _Stopped(_wrong(
            f"Your function returned a {type(found).__name__}; the distances of all pairs belong "
            "into one tensor."
        ))
    if tuple(found.shape) != (n, n):
        raise _Stopped(_wrong(
            f"Each of {n} points has a distance to each of {n} points, but your answer has shape "
            f"{tuple(found.shape)}: one row and one column per point."
        ))
    return found.detach().double()


def _number(found: object) -> float:
    size = found.numel() if isinstance(found, Tensor) else np.size(found)
    try:
        value = float(found) if size == 1 else None
    except (TypeError, ValueError):
        value = None
    if value is None:
        raise _Stopped(_wrong(
            f"Your function returned a {type(found).__name__} with {size} entries; how well two "
            "lists of distances agree is one number."
        ))
    if value != value:
        raise _Stopped(_wrong(
            "Your answer is not a number (NaN): one of your two lists of distances is empty or "
            "constant."
        ))
    return value


def _scores() -> tuple[Float[Tensor, "48 4"], Float[Tensor, "48 3"], Tensor]:
    generator = torch.Generator().manual_seed(3)
    y = torch.arange(48) % 3
    centres = torch.randn(3, 4, generator=generator)
    x = 1.5 * centres[y] + torch.randn(48, 4, generator=generator)
    # Scores that bend the inputs and favour the label without always letting it win.
    z = torch.tanh(x @ torch.randn(4, 3, generator=generator))
    z = z + 0.8 * torch.nn.functional.one_hot(y, 3)
    return x, z, y


def _correlation_mistakes(
    d: Float[Tensor, "n n"], e: Float[Tensor, "n n"], z: Float[Tensor, "n C"], y: Tensor
) -> list[tuple[float, str]]:
    itself = (
        "Every point has distance 0 to itself in any network: those pairs agree for free."
    )
    predicted = (
        "Within a class means the label's class; a mistake of the network would hide its own "
        "tearing."
    )
    everyone = (
        "Pairs of two different classes are in it: how far the classes are pulled apart hides "
        "what happens inside them."
    )
    across = "These are the pairs between the classes; the question is about those inside one."
    uncentred = (
        "Distances are never negative, so any two lists of them point the same way: compare how "
        "they vary around their means."
    )
    squared = "A squared distance gives the far pairs most of the say: compare the lengths."
    other = "Only the order of the distances entered: compare how long they are."
    same = y[:, None] == y[None, :]
    alike = z.argmax(1)[:, None] == z.argmax(1)[None, :]
    half = torch.ones_like(same).triu(1)
    full, upper = half | half.T, half | torch.eye(len(y), dtype=torch.bool)
    a, b = d[same & half].double(), e[same & half].double()
    return [
        (_pearson(d, e, same), itself),
        (_pearson(d, e, same & upper), itself),
        (_pearson(d, e, alike & full), predicted),
        (_pearson(d, e, alike), predicted),
        (_pearson(d, e, alike & upper), predicted),
        (_pearson(d, e, full), everyone),
        (_pearson(d, e, upper), everyone),
        (_pearson(d, e, upper | upper.T), everyone),
        (_pearson(d, e, ~same), across),
        (float(a @ b / (a.norm() * b.norm())), uncentred),
        (_pearson(d.square(), e.square(), same & half), squared),
        (_pearson(_ranks(a), _ranks(b), torch.ones_like(a, dtype=torch.bool)), other),
    ]


def _pearson(d: Tensor, e: Tensor, where: Bool[Tensor, "..."]) -> float:
    return float(torch.corrcoef(torch.stack([d[where], e[where]]).double())[0, 1])


def _ranks(a: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    return a.argsort().argsort().double()
