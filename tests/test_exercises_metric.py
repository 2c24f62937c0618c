"""The exercises on metric structure: other right solutions, and what only one exercise says.

What holds for all is in test_exercises.py.
"""

import itertools

import numpy as np
import pytest
import torch

from companion import distances
from companion.book.exercises import metric_structure
from companion.book.exercises.metric_structure import pairs


def direct(x):
    return (x[:, None] - x[None]).norm(dim=-1)


def gram(x):
    s = x.square().sum(1)
    return (s[:, None] + s[None] - 2 * x @ x.T).clamp(min=0).sqrt()


def in_numpy(x):
    x = x.numpy()
    return np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))


@pytest.mark.parametrize(
    "solution",
    [
        in_numpy,
        distances.pairwise,
        lambda x: torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist"),
        lambda x: gram(x.double() - x.double().mean(0)),
        lambda x: direct(x.requires_grad_()),
    ],
)
def test_right_distances(solution):
    assert metric_structure.pairwise_distances(solution).right is True


@pytest.mark.parametrize(
    "apart, words",
    [
        (0.0, "closer together than they are"),
        (1.0, "farther apart than they are"),
        (torch.nan, "at a distance that is not a number"),
    ],
)
def test_the_sentence_on_twins_says_how_far_they_came_out(apart, words):
    answer = metric_structure.pairwise_distances(lambda x: pairs._twins_at(x, apart))
    assert f"a thousandth apart came out {words}: the large norms" in answer.sentence


def test_calls_of_torch_are_counted():
    answer = metric_structure.pairwise_distances(pairs._loop)
    assert "4 points take 48 calls of torch and 16 points 564: ask for all" in answer.sentence


def by_pairs(x, z, y):
    """The slow twin: one pair after the other."""
    same = [(i, j) for i, j in itertools.combinations(range(len(y)), 2) if y[i] == y[j]]
    d = np.array([np.linalg.norm(x[i] - x[j]) for i, j in same])
    e = np.array([np.linalg.norm(z[i] - z[j]) for i, j in same])
    return np.corrcoef(d, e)[0, 1]


def over_each_pair_twice(x, z, y):
    # No mistake: it changes neither mean nor spread.
    where = (y[:, None] == y) & ~torch.eye(len(y), dtype=torch.bool)
    return torch.corrcoef(torch.stack([direct(x)[where], direct(z)[where]]))[0, 1]


@pytest.mark.parametrize(
    "solution",
    [
        by_pairs,
        over_each_pair_twice,
        lambda *case: float(over_each_pair_twice(*case)),
        lambda x, z, y: distances.correlation(
            distances.pairwise(x), distances.pairwise(z), where=distances.within_class(y)
        ),
    ],
)
def test_right_correlations(solution):
    assert metric_structure.within_class_correlation(solution).right is True


def test_the_network_of_the_correlations_takes_some_points_for_another_class():
    ((_, z, y),) = pairs._scores()
    assert 0.05 < (z.argmax(1) != y).double().mean() < 0.5


def by_the_best_turn(x, z):
    x, z = x - x.mean(0), z - z.mean(0)
    u, _, v = torch.linalg.svd(x.T @ z)
    return (z - x @ u @ v).square().sum() / x.square().sum()


@pytest.mark.parametrize(
    "solution",
    [
        lambda x, z: distances.procrustes(x, z).residual,
        lambda x, z: by_the_best_turn(x, z).item(),
        lambda x, z: np.asarray(by_the_best_turn(x, z)),
    ],
)
def test_right_residuals(solution):
    assert metric_structure.rigid_copy(solution).right is True


def fitted_line(x):
    """The authors' own fit: a line through the origin, the largest tenth left out."""
    near = direct(torch.unique(x, dim=0)).sort(dim=1).values
    ratio = (near[:, 2] / near[:, 1]).log().sort().values
    keep = int(0.9 * len(ratio))
    below = torch.arange(1, keep + 1, dtype=x.dtype) / len(ratio)
    a, b = ratio[:keep], -(1 - below).log()
    return float(a @ b / (a @ a))


@pytest.mark.parametrize(
    "solution", [fitted_line, lambda x: distances.intrinsic_dimension(x).dimension]
)
def test_right_dimensions(solution):
    assert metric_structure.intrinsic_dimension(solution).right is True


def apart(x, y):
    return x + 100.0 * y[:, None] * torch.eye(x.shape[1])[0]


@pytest.mark.parametrize(
    "solution",
    [
        lambda x, y: [-0.5 * x.flip(1) + 3, apart(x, y).numpy()],
        # A turn of one class alone is rigid for it; the shift does the rest.
        lambda x, y: (3 * x, apart(torch.where((y == 1)[:, None], x.flip(1), x), y)),
        lambda x, y: (torch.cat([x, x], dim=1), apart(x, y)),
    ],
)
def test_right_deceptions(solution):
    assert metric_structure.blind_rulers(solution).right is True
