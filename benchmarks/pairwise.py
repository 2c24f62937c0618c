"""Exact distances of float32 rows against the fast inexact ones, and their error near zero.

Claim: at 2,000 x 784 at most twice the time of `torch.cdist` by matrix multiplication, while twins
1e-3 apart are right to 1e-5 wherever the cloud lies; that `cdist` is wrong there by a factor.
"""

import torch

from benchmarks.rounds import Row, alternate, table
from companion.distances import pairwise

__all__ = ["main"]

# How far the second half of the rows is moved: in norm, and in every single column.
_SHIFTS = {"offset 10": 0.0, "+ 1,000 away": None, "+ 1,000 each": 1000.0}


def main(*, small: bool = False) -> list[Row]:
    """Print time and error of every way; the rows, the inexact `cdist` first."""
    from scipy.spatial.distance import cdist, pdist, squareform
    from sklearn.metrics import euclidean_distances

    n, dim, rounds = (60, 20, 2) if small else (2000, 784, 7)
    x = torch.randn(n, dim, generator=torch.Generator().manual_seed(0)) + 10
    ways = {
        "torch.cdist, matrix product": lambda x: torch.cdist(
            x, x, compute_mode="use_mm_for_euclid_dist"
        ),
        "companion.distances.pairwise": pairwise,
        "torch.cdist, direct": lambda x: torch.cdist(
            x, x, compute_mode="donot_use_mm_for_euclid_dist"
        ),
        "scikit-learn euclidean_distances": lambda x: euclidean_distances(x.numpy()),
        "SciPy pdist, float64": lambda x: pdist(x.double().numpy()),
        "SciPy cdist, float64": lambda x: cdist(x.double().numpy(), x.double().numpy()),
    }
    errors = {way: {} for way in ways}
    for case, shift in _SHIFTS.items():
        twins = _twins(x, shift)
        for way, run in ways.items():
            d = torch.as_tensor(run(twins))
            square = d if d.ndim == 2 else torch.from_numpy(squareform(d.numpy()))
            errors[way][case] = _error(square, twins)
    timed = {way: (lambda run=run: run(x)) for way, run in ways.items()}
    rows = alternate(timed, rounds=rounds, errors=errors)
    table(f"Distances of {n} x {dim}, float32; largest relative error of twins 1e-3 apart", rows)
    return rows


def _twins(x, shift):
    n, dim = len(x), x.shape[1]
    noise = torch.randn(n // 2, dim, generator=torch.Generator().manual_seed(1))
    twins = x.clone()
    twins[1::2] = twins[::2] + noise * 1e-3 / dim**0.5
    twins[n // 2 :] += 1000 / dim**0.5 if shift is None else shift
    return twins


def _error(d, x):
    i = torch.arange(0, len(x), 2)
    exact = (x[i].double() - x[i + 1].double()).norm(dim=1)
    return ((d[i, i + 1].double() - exact).abs() / exact).max().item()


if __name__ == "__main__":
    main()
