"""The exercises of `book/distances/rulers`: a motion, a dimension, and two rulers deceived."""

__all__ = ["blind_rulers", "intrinsic_dimension", "rigid_copy"]

import torch
from torch import Tensor

from companion import distances
from companion.book.exercises.exercise import Exercise, Mistake
from companion.book.exercises.readings import Number, Parts, Points, Within


def _copies() -> dict[str, tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    x = x * torch.tensor([1.0, 2.0, 3.0])
    x = x - x.mean(0)  # the shift is a question of its own
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    turn[:, 0] *= turn.det().sign()
    mirror = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    noise = 0.5 * torch.randn(40, 3, generator=generator, dtype=torch.float64)
    return {
        "turned": (x, x @ turn),
        "moved": (x + 4, x @ turn + torch.tensor([5.0, -2.0, 1.0])),
        "mirrored": (x, x @ turn * mirror),
        "doubled": (x, 2 * x @ turn),
        "noisy": (x, x @ turn + noise),
    }


def _residual(x: Tensor, z: Tensor, *, centre: bool = True, mirrors: bool = True) -> Tensor:
    """What is left after the best turn, over the squared spread of x."""
    if centre:
        x, z = x - x.mean(0), z - z.mean(0)
    u, _, v = torch.linalg.svd(x.T @ z)
    if not mirrors and (u @ v).det() < 0:
        u = u * u.new_tensor([1.0, 1.0, -1.0])
    return (z - x @ u @ v).square().sum() / x.square().sum()


def _unturned(x: Tensor, z: Tensor) -> Tensor:
    x, z = x - x.mean(0), z - z.mean(0)
    return (z - x).square().sum() / x.square().sum()


rigid_copy = Exercise(
    """Check a function of x (n, d) and z (n, d) that returns what no rigid motion of x explains.

    The number is min over Q, t of |Z - X Q - 1 t^T|^2 / |X_c|^2, Q orthogonal, X_c centred: 0 for
    a rigid copy. Tried on a copy that was turned, one that was moved, one that was mirrored, one
    of twice the size and one with noise; tolerance 1e-3.

    >>> rigid_copy(lambda x, z: (x - z).square().sum() / x.square().sum())
    A turned copy keeps every distance, yet your residual is ...: look for the best turn first.
    """,
    cases=_copies,
    returns=Number(
        "what no rigid motion explains",
        nan="look for a division by 0 or the root of a negative number.",
    ),
    agree=Within(absolute=1e-3),
    right=_residual,
    praise="Right: turns, mirrors and shifts are free, and nothing else is.",
    mistakes=(
        Mistake(
            "A turned copy keeps every distance, yet your residual is {given:.3g}: look for the "
            "best turn first.",
            _unturned,
            at="turned",
        ),
        Mistake(
            "A shift is a rigid motion; your residual charges for it.",
            lambda x, z: _residual(x, z, centre=False),
            at="moved",
        ),
        Mistake(
            "A mirror image keeps every distance, too.",
            lambda x, z: _residual(x, z, mirrors=False),
            at="mirrored",
        ),
        Mistake(
            "A copy of twice the size keeps no distance; your residual lets the size go free.",
            lambda x, z: distances.procrustes(x, z, scale=True).residual,
            at="doubled",
            when=lambda given, x, z: abs(given) < 1e-3,
        ),
        Mistake(
            "Your residual has the unit of a squared length: in other units the same copy would "
            "be a worse one.",
            lambda x, z: _residual(x, z) * (x - x.mean(0)).square().sum(),
            agree=Within(relative=1e-3),
        ),
        Mistake(
            "You took a root: the residual is a share of squared lengths, like a variance.",
            lambda x, z: _residual(x, z).sqrt(),
        ),
    ),
    otherwise=Mistake(
        "For a copy that is not rigid your residual is {given:.4g}, which is not what the best "
        "rigid motion of x leaves, over the squared spread of x.",
        lambda x, z: 3 * _residual(x, z),
    ),
)


def _cubes() -> dict[str, tuple[Tensor]]:
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(600, 5, generator=generator, dtype=torch.float64)
    turn, _ = torch.linalg.qr(torch.randn(8, 5, generator=generator, dtype=torch.float64))
    x = x @ turn.T
    return {"once": (x,), "doubled": (torch.cat([x, x[:100]]),)}


def _ratio(x: Tensor, *, first: int = 1, unique: bool = True) -> Tensor:
    """Distances of the neighbours `first` + 1 and `first` over each other."""
    near = distances.pairwise(torch.unique(x, dim=0) if unique else x).sort(dim=1).values
    return near[:, first + 1] / near[:, first]


def _two_nn(x: Tensor, *, first: int = 1, unique: bool = True) -> Tensor:
    return 1 / _ratio(x, first=first, unique=unique).log().mean()


intrinsic_dimension = Exercise(
    """Check a function of points (n, d) that returns their two-nearest-neighbour dimension.

    Tried on points that fill a cube of 5 dimensions in a space of 8, then on the same with a part
    of the points doubled, where copies count once; tolerance 10 % of the maximum likelihood
    estimate n / sum log(r_2 / r_1), so that the fit of a line passes as well.

    >>> intrinsic_dimension(lambda x: -5.0)
    A ratio below 1 has a negative logarithm: dimensions came out negative.
    """,
    cases=_cubes,
    returns=Number("a dimension"),
    agree=Within(relative=0.1),
    right=_two_nn,
    praise="Right, with copies too. Another estimator would give another number.",
    mistakes=(
        Mistake(
            "Right as long as no point is there twice; with copies among them yours is "
            "{given:.3g}. A copy is no neighbour in a direction: count equal points once.",
            lambda x: _two_nn(x, unique=False),
            at="doubled",
        ),
        Mistake(
            "The nearest point to each point must be another one; you found dimension 0 or nan.",
            (lambda x: _two_nn(x, first=0), lambda x: torch.nan),
            when=lambda given, x: not 0.01 < abs(given) < torch.inf,
        ),
        Mistake(
            "A ratio below 1 has a negative logarithm: dimensions came out negative.",
            lambda x: -_two_nn(x),
            when=lambda given, x: given < 0,
        ),
        Mistake(
            "The mean of the ratio is not the mean of its logarithm.",
            (
                lambda x: _ratio(x).mean(),
                lambda x: 1 / _ratio(x).mean(),
                lambda x: _ratio(x).mean().log(),
                lambda x: 1 / _ratio(x).mean().log(),
            ),
            agree=Within(relative=1e-2),
        ),
        Mistake(
            "Long logarithms mean few dimensions: yours grows where the dimension falls.",
            lambda x: 1 / _two_nn(x),
            agree=Within(relative=0.02),
        ),
        Mistake(
            "You compared squared distances: that halves every dimension.",
            lambda x: _two_nn(x) / 2,
        ),
    ),
    otherwise=Mistake(
        "Points that fill five dimensions came out as {given:.3g}: list by hand the two nearest "
        "neighbours of the first point, and the ratio of their distances.",
        lambda x: x.shape[1],
    ),
)


def _three_classes() -> list[tuple[Tensor, Tensor]]:
    # The classes share one centre in x, so that moving them apart adds what x does not have.
    generator = torch.Generator().manual_seed(4)
    return [(torch.randn(60, 4, generator=generator, dtype=torch.float64), torch.arange(60) % 3)]


def _isometric(x: Tensor, z: Tensor, where: Tensor | bool = True) -> bool:
    error = (distances.pairwise(x) - distances.pairwise(z)).abs()
    return bool(((error <= 1e-6 + 1e-3 * distances.pairwise(z)) | ~torch.as_tensor(where)).all())


def _correlation(x: Tensor, z: Tensor) -> float:
    return float(distances.correlation(distances.pairwise(x), distances.pairwise(z)))


def _rulers(given: tuple[Tensor, Tensor], x: Tensor, y: Tensor) -> dict:
    return {"r": _correlation(x, given[0]), "cka": float(distances.cka(x, given[1]))}


def _apart(x: Tensor, y: Tensor) -> Tensor:
    """The classes moved 100 along the first axis, each as one piece."""
    return x + 100 * y[:, None] * torch.eye(x.shape[1], dtype=x.dtype)[0]


POINTS = Points(
    lambda x, y: (len(x), None),
    kind="points belong into a tensor with one row each.",
    meaning="There are {n} points, but one answer has shape {shape}: one row per point.",
    nan="A point came out as NaN or infinite, where no ruler measures: look for a division by 0.",
)

blind_rulers = Exercise(
    """Check a function of x (n, d), labels y (n,) that returns two deceptions z (n, k).

    The first has correlation 1 with x over all pairs and is no isometry. The second moves each
    class rigidly, so that the within-class correlation is 1, and has linear CKA below 0.5 with x.
    Distances may be off by 1e-3 of their size.

    >>> blind_rulers(lambda x, y: (x + 1, x))
    First: every distance is kept, so this is an isometry; a length must change and r must not.
    """,
    cases=_three_classes,
    returns=Parts(
        "Two sets of points are asked for: return both, the first one first.", (POINTS, POINTS)
    ),
    right=lambda x, y: (2 * x, _apart(x, y)),
    praise="Right: one ruler misses the size, the other where the classes went.",
    mistakes=(
        Mistake(
            "First: all points fell onto one; a constant has no correlation with anything.",
            lambda x, y: (0 * x, _apart(x, y)),
            when=lambda given, x, y: not distances.pairwise(given[0]).max() > 0,
        ),
        Mistake(
            "First: every distance is kept, so this is an isometry; a length must change and r "
            "must not.",
            lambda x, y: (x.flip(1) + 1, _apart(x, y)),
            when=lambda given, x, y: _isometric(x, given[0]),
        ),
        Mistake(
            "First: r is {r:.3f}. A stretch of one axis changes distances by direction: r falls "
            "below 1.",
            lambda x, y: (x * x.new_tensor([9, 1, 1, 1]), _apart(x, y)),
            when=lambda given, x, y: _correlation(x, given[0]) < 1 - 1e-6,
        ),
        Mistake(
            "Second: this moves everything rigidly: every ruler stays at 1; move one class only.",
            lambda x, y: (2 * x, x.flip(1) + 100),
            when=lambda given, x, y: _isometric(x, given[1]),
        ),
        Mistake(
            "Second: distances inside a class have changed; each class has to move as one piece.",
            lambda x, y: (2 * x, 2 * _apart(x, y)),
            when=lambda given, x, y: not _isometric(x, given[1], y[:, None] == y),
        ),
        Mistake(
            "Second: the classes moved as pieces, but CKA still says {cka:.2f}: they are hardly "
            "farther apart than they are wide.",
            lambda x, y: (2 * x, x + 0.01 * y[:, None]),
            when=lambda given, x, y: distances.cka(x, given[1]) >= 0.5,
        ),
    ),
    otherwise=None,
    numbers=_rulers,
)

__test__ = {name: globals()[name].asks for name in __all__}
