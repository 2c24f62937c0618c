"""The prologue's exercises: other right solutions. What holds for all is in test_exercises.py."""

import numpy as np
import pytest
import torch

from companion.book.exercises import prologue


def by_search(x, W, b):
    """The slow twin: all directions of the plane, and how far each wall is along them."""
    angle = torch.linspace(0, 2 * torch.pi, 20_001, dtype=x.dtype)
    u = torch.stack([angle.cos(), angle.sin()])
    f = x @ W.T + b
    own = f.argmax(1)
    gap = f.amax(1, keepdim=True) - f
    slope = (W - W[own][:, None]) @ u
    t = torch.where(slope > 1e-9, gap[:, :, None] / slope, torch.inf)
    return t.amin(dim=(1, 2))


def corner(x, w, b):
    return -(x @ w + b)[:, None] * w.sign() / w.abs().sum()


def one_step(F, x):
    z = x.clone().requires_grad_()
    w = torch.autograd.grad(F(z), z)[0]
    return -F(x) * w / (w @ w)


def by_kronecker(n, side, seed):
    coarse = torch.randn(n, (side // 2) ** 2, generator=torch.Generator().manual_seed(seed))
    half = torch.eye(side // 2).repeat_interleave(2, 0)
    return coarse @ torch.kron(half, half).T / (2 * coarse.norm(dim=1, keepdim=True))


def from_the_equation(x, w, b, u):
    """Signed ways along each line, over the margin."""
    return -(x @ w + b) / (u @ w) / ((x @ w + b).abs() / w.norm())


@pytest.mark.parametrize(
    "exercise, solution",
    [
        (prologue.block_directions, by_kronecker),
        (prologue.block_directions, lambda *case: by_kronecker(*case).numpy()),
        (prologue.classifier_margin, by_search),
        (prologue.cube_step, lambda x, w, b: corner(x, w, b).numpy()),
        (prologue.linearised_step, one_step),
        (prologue.linearised_step, lambda F, x: one_step(F, x.requires_grad_()).detach()),
        (prologue.median_line, lambda *case: from_the_equation(*case).abs().median()),
        (prologue.median_line, lambda x, w, b, u: np.median((w.norm() / (u @ w).abs()).numpy())),
    ],
)
def test_other_right_solutions(exercise, solution):
    answer = exercise(solution)
    assert answer.right is True, answer
