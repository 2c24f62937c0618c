"""Checks of the exercises of `book/distances/metric_structure`.

Each tries the reader's function on small data whose geometry is known, says what is geometrically
wrong, and never the answer.
"""

__all__ = [
    "blind_rulers",
    "intrinsic_dimension",
    "pairwise_distances",
    "rigid_copy",
    "within_class_correlation",
]

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from companion import distances
from companion.book.exercises.answers import (
    Answer,
    answering,
    attempted,
    not_right,
    number,
    several,
    shaped,
)


@answering
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
    wrong = _wrong_distances(attempted(solution))
    if wrong:
        return not_right(wrong)
    return Answer(True, "Right, for twins too, and without a loop.")


@answering
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
    given = number(
        attempted(solution)(x.clone(), z.clone(), y.clone()),
        what="how well two lists of distances agree",
        nan="one of your two lists of distances is empty or constant.",
    )
    d, e = distances.pairwise(x), distances.pairwise(z)
    right = float(distances.correlation(d, e, where=distances.within_class(y)))
    if abs(given - right) < 1e-3:
        return Answer(True, "Right: the pairs of one class, each between two different points.")
    if abs(given) > 1 + 1e-3:
        return not_right(
            f"A correlation lies between -1 and 1; yours is {given:.4g}: divide by both spreads."
        )
    for mistake, sentence in _correlation_mistakes(d, e, z, y):
        if abs(given - mistake) < 1e-3:
            return not_right(sentence)
    return not_right(
        f"Your {given:.4g} is not how the distances of one class agree: list by hand which pairs "
        "of the first five points enter, and with which two distances."
    )


@answering
def rigid_copy(solution: Callable[[Tensor, Tensor], float] | None) -> Answer:
    """Check a function of x (n, d) and z (n, d) that returns what no rigid motion of x explains.

    The number is min over Q, t of |Z - X Q - 1 t^T|^2 / |X_c|^2, Q orthogonal, X_c centred: 0 for
    a rigid copy. Tried on a copy that was turned, one that was moved, one that was mirrored, one
    of twice the size and one with noise; tolerance 1e-3.

    >>> rigid_copy(lambda x, z: None)
    not attempted yet
    >>> rigid_copy(lambda x, z: (x - z).square().sum() / x.square().sum())
    A turned copy keeps every distance, yet your residual is ...: look for the best turn first.
    """
    attempt = attempted(solution)
    for name, x, z in _copies():
        given = number(
            attempt(x.clone(), z.clone()),
            what="what no rigid motion explains",
            nan="look for a division by 0 or the root of a negative number.",
        )
        right = float(distances.procrustes(x, z).residual)
        if abs(given - right) >= 1e-3:
            return not_right(_copy_sentence(name, given, right, x, z))
    return Answer(True, "Right: turns, mirrors and shifts are free, and nothing else is.")


@answering
def intrinsic_dimension(solution: Callable[[Tensor], float] | None) -> Answer:
    """Check a function of points (n, d) that returns their two-nearest-neighbour dimension.

    Tried on points that fill a cube of 5 dimensions in a space of 8, then on the same with a part
    of the points doubled, where copies count once; tolerance 10 % of the maximum likelihood
    estimate n / sum log(r_2 / r_1), so that the fit of a line passes as well.

    >>> intrinsic_dimension(lambda x: None)
    not attempted yet
    >>> intrinsic_dimension(lambda x: -5.0)
    A ratio below 1 has a negative logarithm: dimensions came out negative.
    """
    attempt = attempted(solution)
    x = _cube()
    right = distances.intrinsic_dimension(x).dimension
    given = _dimension(attempt, x)
    if abs(given / right - 1) > 0.1:
        return not_right(_dimension_sentence(given, x))
    doubled = torch.cat([x, x[:100]])
    try:
        given = float(attempt(doubled.clone()))
    except (TypeError, ValueError):
        given = math.nan
    if not abs(given / right - 1) <= 0.1:
        return not_right(
            f"Right as long as no point is there twice; with copies among them yours is "
            f"{given:.3g}. A copy is no neighbour in a direction: count equal points once."
        )
    return Answer(True, "Right, with copies too. Another estimator would give another number.")


@answering
def blind_rulers(solution: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None) -> Answer:
    """Check a function of x (n, d), labels y (n,) that returns two deceptions z (n, k).

    The first has correlation 1 with x over all pairs and is no isometry. The second moves each
    class rigidly, so that the within-class correlation is 1, and has linear CKA below 0.5 with x.
    Distances may be off by 1e-3 of their size.

    >>> blind_rulers(lambda x, y: None)
    not attempted yet
    >>> blind_rulers(lambda x, y: (x + 1, x))
    First: every distance is kept, so this is an isometry; a length must change and r must not.
    """
    x, y = _three_classes()
    given = several(
        attempted(solution)(x.clone(), y.clone()),
        2,
        asked="Two sets of points are asked for: return both, the first one first.",
    )
    first, second = (_points(part, len(x)) for part in given)
    wrong = _first_deception(x, first) or _second_deception(x, y, second)
    return not_right(wrong) if wrong else Answer(
        True, "Right: one ruler misses the size, the other where the classes went."
    )


class _Calls(TorchFunctionMode):
    count = 0

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        self.count += 1
        return func(*args, **(kwargs or {}))


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
        attempt(x)
    return calls.count


def _matrix(attempt: Callable, x: Float[Tensor, "n d"]) -> Float[Tensor, "n n"]:
    n = len(x)
    return shaped(
        attempt(x.clone()),
        (n, n),
        kind="the distances of all pairs belong into one tensor.",
        meaning=f"Each of {n} points has a distance to each of {n} points, but your answer has "
        "shape {shape}: one row and one column per point.",
    )


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


def _copies() -> list[tuple[str, Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    x = x * torch.tensor([1.0, 2.0, 3.0])
    x = x - x.mean(0)  # the shift is a question of its own
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    turn[:, 0] *= turn.det().sign()
    mirror = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    noise = 0.5 * torch.randn(40, 3, generator=generator, dtype=torch.float64)
    return [
        ("turned", x, x @ turn),
        ("moved", x + 4, x @ turn + torch.tensor([5.0, -2.0, 1.0])),
        ("mirrored", x, x @ turn * mirror),
        ("doubled", x, 2 * x @ turn),
        ("noisy", x, x @ turn + noise),
    ]


def _copy_sentence(name: str, given: float, right: float, x: Tensor, z: Tensor) -> str:
    if name == "turned":
        return (
            f"A turned copy keeps every distance, yet your residual is {given:.3g}: look for the "
            "best turn first."
        )
    if name == "moved":
        return "A shift is a rigid motion; your residual charges for it."
    if name == "mirrored":
        return "A mirror image keeps every distance, too."
    if name == "doubled" and abs(given) < 1e-3:
        return "A copy of twice the size keeps no distance; your residual lets the size go free."
    x, z = x - x.mean(0), z - z.mean(0)
    if abs(given - right * float(x.square().sum())) < 1e-3 * given:
        return (
            "Your residual has the unit of a squared length: in other units the same copy would "
            "be a worse one."
        )
    if abs(given - right**0.5) < 1e-3:
        return "You took a root: the residual is a share of squared lengths, like a variance."
    return (
        f"For a copy that is not rigid your residual is {given:.4g}, which is not what the best "
        "rigid motion of x leaves, over the squared spread of x."
    )


def _cube() -> Float[Tensor, "600 8"]:
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(600, 5, generator=generator, dtype=torch.float64)
    turn, _ = torch.linalg.qr(torch.randn(8, 5, generator=generator, dtype=torch.float64))
    return x @ turn.T


def _dimension(attempt: Callable, x: Float[Tensor, "n d"]) -> float:
    """What the reader found, 0 where it is no number."""
    found = attempt(x.clone())
    try:
        value = float(found)
    except (TypeError, ValueError):
        value = number(found, what="a dimension", nan="")
    return 0.0 if math.isnan(value) else value


def _dimension_sentence(given: float, x: Float[Tensor, "n d"]) -> str:
    if not abs(given) > 0.01 or math.isinf(given):
        return (
            "The nearest point to each point must be another one; you found dimension 0 or nan."
        )
    if given < 0:
        return "A ratio below 1 has a negative logarithm: dimensions came out negative."
    near = distances.pairwise(x).sort(dim=1).values
    ratio = near[:, 2] / near[:, 1]
    mean = float(ratio.mean())
    for mistake in (mean, 1 / mean, math.log(mean), 1 / math.log(mean)):
        if abs(given - mistake) < 1e-2 * mistake:
            return "The mean of the ratio is not the mean of its logarithm."
    right = 1 / float(ratio.log().mean())
    if abs(given * right - 1) < 0.02:
        return "Long logarithms mean few dimensions: yours grows where the dimension falls."
    if abs(given / right - 0.5) < 0.05:
        return "You compared squared distances: that halves every dimension."
    return (
        f"Points that fill five dimensions came out as {given:.3g}: list by hand the two nearest "
        "neighbours of the first point, and the ratio of their distances."
    )


def _three_classes() -> tuple[Float[Tensor, "60 4"], Tensor]:
    # The classes share one centre in x, so that moving them apart adds what x does not have.
    generator = torch.Generator().manual_seed(4)
    return torch.randn(60, 4, generator=generator, dtype=torch.float64), torch.arange(60) % 3


def _points(given: object, n: int) -> Float[Tensor, "n k"]:
    columns = given.shape[1] if getattr(given, "ndim", 0) == 2 else 1
    return shaped(
        given,
        (n, columns),
        kind="points belong into a tensor with one row each.",
        meaning=f"There are {n} points, but one answer has shape {{shape}}: one row per point.",
    )


def _first_deception(x: Float[Tensor, "n d"], z: Float[Tensor, "n k"]) -> str | None:
    d, e = distances.pairwise(x), distances.pairwise(z)
    if not e.max() > 0:
        return "First: all points fell onto one; a constant has no correlation with anything."
    if torch.allclose(d, e, rtol=1e-3, atol=1e-6):
        return (
            "First: every distance is kept, so this is an isometry; a length must change and r "
            "must not."
        )
    r = float(distances.correlation(d, e))
    if r < 1 - 1e-6:
        return (
            f"First: r is {r:.3f}. A stretch of one axis changes distances by direction: r falls "
            "below 1."
        )
    return None


def _second_deception(
    x: Float[Tensor, "n d"], y: Tensor, z: Float[Tensor, "n k"]
) -> str | None:
    d, e, same = distances.pairwise(x), distances.pairwise(z), distances.within_class(y)
    if torch.allclose(d, e, rtol=1e-3, atol=1e-6):
        return (
            "Second: this moves everything rigidly: every ruler stays at 1; move one class only."
        )
    if not torch.allclose(d[same], e[same], rtol=1e-3, atol=1e-6):
        return (
            "Second: distances inside a class have changed; each class has to move as one piece."
        )
    cka = float(distances.cka(x, z))
    if cka >= 0.5:
        return (
            f"Second: the classes moved as pieces, but CKA still says {cka:.2f}: they are hardly "
            "farther apart than they are wide."
        )
    return None
