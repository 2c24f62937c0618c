"""Clouds of points, and what moves them, for the tests of the rulers that compare two views."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

__all__ = ["clouds", "few", "points", "rigid", "rotation", "stretched"]

few = settings(max_examples=25)
# At least six points of a cloud in at least two dimensions: fewer fit every ruler by accident.
clouds = given(seed=st.integers(0, 10**6), n=st.integers(6, 15), dim=st.integers(2, 5))


def points(seed, n, dim, dtype=torch.float64):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def rotation(seed, dim):
    return torch.linalg.qr(points(seed, dim, dim))[0]


def rigid(x, seed):
    return x @ rotation(seed, x.shape[1]) + 5


def stretched(x):
    """A linear map that is no similarity: the first axis ten times as long."""
    return x * torch.tensor([10.0] + [1.0] * (x.shape[1] - 1), dtype=x.dtype)
