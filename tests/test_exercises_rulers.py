"""The exercises on rulers: other right solutions, and what only one exercise says.

What holds for all is in test_exercises.py.
"""

import numpy as np
import pytest
import torch

from companion import distances
from companion.book.exercises import rulers


def direct(x):
    return (x[:, None] - x[None]).norm(dim=-1)


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
    assert rulers.rigid_copy(solution).right is True


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
    assert rulers.intrinsic_dimension(solution).right is True


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
    assert rulers.blind_rulers(solution).right is True
