"""Checks of the exercises on metric structure: right answers, and a sentence for each mistake.

What holds for every check (an untouched stub, an error inside) is in test_exercises.py.
"""

import itertools

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity as cosine

from companion import distances
from companion.book import exercises
from companion.book.exercises import metric_structure

CANCELLED = "the large norms cancelled; move the origin or subtract first."
SQUARES = "Twice as far must be twice as large; yours is four times."
ITSELF = "Every point has distance 0 to itself in any network: those pairs agree for free."
PREDICTED = (
    "Within a class means the label's class; a mistake of the network would hide its own tearing."
)


# Pairwise distances


def direct(x):
    return (x[:, None] - x[None]).norm(dim=-1)


def gram(x, *, clamp=True):
    s = x.square().sum(1)
    q = s[:, None] + s[None] - 2 * x @ x.T
    return (q.clamp(min=0) if clamp else q).sqrt()


def loop(x):
    return torch.stack([torch.stack([(a - b).norm() for b in x]) for a in x])


def in_numpy(x):
    x = x.numpy()
    return np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))


def changes_its_input(x):
    d = direct(x)
    x.zero_()
    return d


@pytest.mark.parametrize(
    "solution",
    [
        direct,
        in_numpy,
        changes_its_input,
        distances.pairwise,
        lambda x: torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist"),
        lambda x: gram(x.double() - x.double().mean(0)),
        lambda x: direct(x.requires_grad_()),
    ],
)
def test_right_distances(solution):
    answer = exercises.pairwise_distances(solution)
    assert answer.right is True
    assert repr(answer).startswith("Right")


def nan_for_twins(x):
    d = direct(x)
    return torch.where((0 < d) & (d < 0.01), torch.nan, d)


def nothing_for_twins(x):
    d = direct(x)
    return torch.where(d < 0.01, 0, d)


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (gram, f"Two points a thousandth apart came out farther apart than they are: {CANCELLED}"),
        (lambda x: gram(x, clamp=False), f"came out farther apart than they are: {CANCELLED}"),
        (lambda x: torch.cdist(x, x), f"came out farther apart than they are: {CANCELLED}"),
        (nothing_for_twins, f"came out closer together than they are: {CANCELLED}"),
        (nan_for_twins, f"came out at a distance that is not a number: {CANCELLED}"),
        (lambda x: gram(x - x.mean(0)), "from no origin are the norms of both groups small."),
        (lambda x: direct(x).square(), SQUARES),
        (lambda x: (x[:, None] - x[None]).square().sum(-1), SQUARES),
        (lambda x: (x[:, None] - x[None]).abs().sum(-1), "long side is 7: Pythagoras disagrees."),
        (lambda x: (x[:, None] - x[None]).abs().amax(-1), "long side is 4: Pythagoras disagrees."),
        (lambda x: direct(x).triu(), "The way back is as long as the way there; your matrix is"),
        (lambda x: direct(x) + torch.eye(len(x)), "A point is at distance 0 from itself; the"),
        (lambda x: direct(x) / x.shape[1] ** 0.5, "A step of length 3 along one axis came out as"),
        (lambda x: -direct(x), "A distance came out negative: walking from one point to another"),
        (lambda x: direct(x) / 0, "A distance came out as NaN or infinite for three points"),
        (lambda x: direct(x[:, [1, 0]] * torch.tensor([0.5, 1])), "One leg of a triangle is 3"),
        (torch.pdist, "but your answer has shape (3,): one row and one column per point."),
        (lambda x: x[:, None] - x[None], "but your answer has shape (3, 3, 2): one row and one"),
        (lambda x: direct(x).tolist(), "Your function returned a list; the distances of all"),
        (loop, "4 points take 48 calls of torch and 16 points 564: ask for all differences at"),
    ],
)
def test_wrong_distances_get_their_sentence(solution, sentence):
    answer = exercises.pairwise_distances(solution)
    assert answer.right is False
    assert sentence in answer.sentence
    assert not answer.sentence.startswith("Right")


# Within-class correlation


def pearson(d, e, where):
    return torch.corrcoef(torch.stack([d[where], e[where]]))[0, 1]


def rulers(x, z):
    return direct(x.double()), direct(z.double())


def by_pairs(x, z, y):
    """The slow twin: one pair after the other."""
    pairs = [(i, j) for i, j in itertools.combinations(range(len(y)), 2) if y[i] == y[j]]
    d = np.array([np.linalg.norm(x[i] - x[j]) for i, j in pairs])
    e = np.array([np.linalg.norm(z[i] - z[j]) for i, j in pairs])
    return np.corrcoef(d, e)[0, 1]


def same(y):
    return y[:, None] == y[None, :]


def half(y):
    return torch.ones(len(y), len(y), dtype=torch.bool).triu(1)


def everyone(x, z, y, keep):
    return pearson(*rulers(x, z), keep)


@pytest.mark.parametrize(
    "solution",
    [
        by_pairs,
        lambda x, z, y: everyone(x, z, y, same(y) & half(y)),
        # Each pair twice is no mistake: it changes neither mean nor spread.
        lambda x, z, y: everyone(x, z, y, same(y) & (half(y) | half(y).T)),
        lambda x, z, y: distances.correlation(
            distances.pairwise(x), distances.pairwise(z), where=distances.within_class(y)
        ),
        lambda x, z, y: float(everyone(x, z, y, same(y) & half(y))),
    ],
)
def test_right_correlations(solution):
    answer = exercises.within_class_correlation(solution)
    assert answer.right is True
    assert repr(answer).startswith("Right")


def ranked(x, z, y):
    d, e = (d[same(y) & half(y)].argsort().argsort().double() for d in rulers(x, z))
    return torch.corrcoef(torch.stack([d, e]))[0, 1]


def with_diagonal(y):
    return half(y) | torch.eye(len(y), dtype=torch.bool)


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (lambda x, z, y: everyone(x, z, y, same(y)), ITSELF),
        (lambda x, z, y: everyone(x, z, y, same(y) & with_diagonal(y)), ITSELF),
        (lambda x, z, y: everyone(x, z, y, same(z.argmax(1)) & half(y)), PREDICTED),
        (lambda x, z, y: everyone(x, z, y, same(z.argmax(1))), PREDICTED),
        (lambda x, z, y: everyone(x, z, y, half(y)), "Pairs of two different classes are in it"),
        (lambda x, z, y: everyone(x, z, y, half(y) | True), "Pairs of two different classes are"),
        (lambda x, z, y: everyone(x, z, y, ~same(y)), "These are the pairs between the classes;"),
        (
            lambda x, z, y: cosine(*(d[same(y) & half(y)] for d in rulers(x, z)), dim=0),
            "Distances are never negative, so any two lists of them point the same way: compare",
        ),
        (
            lambda x, z, y: pearson(*(d.square() for d in rulers(x, z)), same(y) & half(y)),
            "A squared distance gives the far pairs most of the say: compare the lengths.",
        ),
        (ranked, "Only the order of the distances entered: compare how long they are."),
        (lambda x, z, y: 17.5, "A correlation lies between -1 and 1; yours is 17.5: divide by"),
        (lambda x, z, y: -0.125, "Your -0.125 is not how the distances of one class agree: list"),
        (lambda x, z, y: float("nan"), "Your answer is not a number (NaN): one of your two lists"),
        (lambda x, z, y: same(y), "a Tensor with 2304 entries; how well two lists of distances"),
        (lambda x, z, y: [0.5, 0.5], "a list with 2 entries; how well two lists of distances"),
        (lambda x, z, y: "0.5 or so", "a str with 1 entries; how well two lists of distances"),
    ],
)
def test_wrong_correlations_get_their_sentence(solution, sentence):
    answer = exercises.within_class_correlation(solution)
    assert answer.right is False
    assert sentence in answer.sentence


def test_the_mistakes_can_be_told_from_the_answer_and_from_each_other():
    x, z, y = metric_structure._scores()
    d, e = distances.pairwise(x), distances.pairwise(z)
    named = dict.fromkeys(metric_structure._correlation_mistakes(d, e, z, y))
    values = sorted([by_pairs(x, z, y), *(value for value, _ in named)])
    # The check looks within 1e-3, so 2e-3 keeps any two apart.
    assert np.diff(values).min() > 2e-3
    assert 0.05 < (z.argmax(1) != y).double().mean() < 0.5


# Rigid copies


def centred(x):
    return x - x.mean(0)


def best_motion(x, z, *, centre=centred, mirrors=True, share=True):
    """The residual from its definition: find the best turn, apply it, measure what is left."""
    x, z = centre(x), centre(z)
    u, _, v = torch.linalg.svd(x.T @ z)
    if not mirrors and (u @ v).det() < 0:
        u = u @ torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=x.dtype))
    left = (z - x @ u @ v).square().sum()
    return left / x.square().sum() if share else left


@pytest.mark.parametrize(
    "solution",
    [
        best_motion,
        lambda x, z: distances.procrustes(x, z).residual,
        lambda x, z: best_motion(x, z).item(),
        lambda x, z: best_motion(x.numpy(), z.numpy()) if isinstance(x, np.ndarray)
        else np.asarray(best_motion(x, z)),
    ],
)
def test_right_residuals(solution):
    answer = exercises.rigid_copy(solution)
    assert answer.right is True, answer


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (
            lambda x, z: best_motion(x, z, centre=lambda x: x),
            "A shift is a rigid motion; your residual charges for it.",
        ),
        (
            lambda x, z: best_motion(x, z, mirrors=False),
            "A mirror image keeps every distance, too.",
        ),
        (
            lambda x, z: (centred(x) - centred(z)).square().sum() / centred(x).square().sum(),
            "A turned copy keeps every distance, yet your residual is",
        ),
        (
            lambda x, z: distances.procrustes(x, z, scale=True).residual,
            "A copy of twice the size keeps no distance; your residual lets the size go free.",
        ),
        (lambda x, z: best_motion(x, z, share=False), "has the unit of a squared length"),
        (
            lambda x, z: best_motion(x, z).clamp(min=0).sqrt() if best_motion(x, z) > 1e-9 else 0,
            "You took a root: the residual is a share of squared lengths, like a variance.",
        ),
        (
            lambda x, z: 3 * best_motion(x, z).clamp(min=0),
            "For a copy that is not rigid your residual is",
        ),
        (lambda x, z: float("nan"), "Your answer is not a number (NaN): look for a division by 0"),
        (lambda x, z: z, "a Tensor with 120 entries; what no rigid motion explains is one number"),
    ],
)
def test_wrong_residuals_get_their_sentence(solution, sentence):
    answer = exercises.rigid_copy(solution)
    assert answer.right is False
    assert sentence in answer.sentence


# Intrinsic dimension


def two_nn(x, *, first=1, unique=True):
    x = torch.unique(x, dim=0) if unique else x
    near = direct(x).sort(dim=1).values
    return 1 / (near[:, first + 1] / near[:, first]).log().mean()


def fitted_line(x):
    """The authors' own fit: a line through the origin, the largest tenth left out."""
    near = direct(torch.unique(x, dim=0)).sort(dim=1).values
    ratio = (near[:, 2] / near[:, 1]).log().sort().values
    keep = int(0.9 * len(ratio))
    below = torch.arange(1, keep + 1, dtype=x.dtype) / len(ratio)
    a, b = ratio[:keep], -(1 - below).log()
    return float(a @ b / (a @ a))


@pytest.mark.parametrize(
    "solution",
    [two_nn, fitted_line, lambda x: distances.intrinsic_dimension(x).dimension],
)
def test_right_dimensions(solution):
    answer = exercises.intrinsic_dimension(solution)
    assert answer.right is True, answer


def ratios(x):
    near = direct(torch.unique(x, dim=0)).sort(dim=1).values
    return near[:, 2] / near[:, 1]


ANOTHER = "The nearest point to each point must be another one; you found dimension 0 or nan."
MEAN = "The mean of the ratio is not the mean of its logarithm."


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (lambda x: two_nn(x, first=0), ANOTHER),
        (lambda x: float("nan"), ANOTHER),
        (lambda x: -two_nn(x), "A ratio below 1 has a negative logarithm: dimensions came out"),
        (lambda x: ratios(x).mean(), MEAN),
        (lambda x: 1 / ratios(x).mean().log(), MEAN),
        (lambda x: 1 / two_nn(x), "Long logarithms mean few dimensions: yours grows where"),
        (lambda x: two_nn(x) / 2, "You compared squared distances: that halves every dimension."),
        (lambda x: x.shape[1], "Points that fill five dimensions came out as 8: list by hand"),
        (lambda x: two_nn(x, unique=False), "Right as long as no point is there twice; with"),
        (lambda x: "five", "Your function returned a str with 1 entries; a dimension is one"),
        (lambda x: x, "Your function returned a Tensor with 4800 entries; a dimension is one"),
    ],
)
def test_wrong_dimensions_get_their_sentence(solution, sentence):
    answer = exercises.intrinsic_dimension(solution)
    assert answer.right is False
    assert sentence in answer.sentence


# Blind rulers


def apart(x, y):
    far = torch.zeros_like(x)
    far[:, 0] = 100.0 * y
    return x + far


@pytest.mark.parametrize(
    "solution",
    [
        lambda x, y: (2 * x, apart(x, y)),
        lambda x, y: [-0.5 * x.flip(1) + 3, apart(x, y).numpy()],
        # A turn of one class alone is rigid for it; the shift does the rest.
        lambda x, y: (3 * x, apart(torch.where((y == 1)[:, None], x.flip(1), x), y)),
    ],
)
def test_right_deceptions(solution):
    answer = exercises.blind_rulers(solution)
    assert answer.right is True, answer


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (lambda x, y: (x.flip(1) + 1, apart(x, y)), "First: every distance is kept, so this is"),
        (
            lambda x, y: (x * torch.tensor([9, 1, 1, 1]), apart(x, y)),
            "A stretch of one axis changes distances by direction: r falls below 1.",
        ),
        (lambda x, y: (0 * x, apart(x, y)), "First: all points fell onto one; a constant has"),
        (
            lambda x, y: (2 * x, x.flip(1) + 100),
            "Second: this moves everything rigidly: every ruler stays at 1; move one class only.",
        ),
        (lambda x, y: (2 * x, 2 * apart(x, y)), "Second: distances inside a class have changed;"),
        (
            lambda x, y: (2 * x, x + 0.01 * y[:, None]),
            "Second: the classes moved as pieces, but CKA still says 1.00: they are hardly",
        ),
        (lambda x, y: 2 * x, "Two sets of points are asked for: return both, the first one first"),
        (lambda x, y: (2 * x, 7), "Your function returned a int; points belong into a tensor"),
        (lambda x, y: (2 * x[:3], x), "There are 60 points, but one answer has shape (3, 4): one"),
    ],
)
def test_wrong_deceptions_get_their_sentence(solution, sentence):
    answer = exercises.blind_rulers(solution)
    assert answer.right is False
    assert sentence in answer.sentence
