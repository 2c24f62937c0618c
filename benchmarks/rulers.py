"""Rulers over all pairs, and Procrustes of few samples, against NumPy and SciPy.

Claim: quantiles of the distortion and Spearman's correlation over the pairs of 2,000 samples take
at most twice the time of NumPy and SciPy; Procrustes of 50 samples in a thousand features at most
a tenth of SciPy's, which decomposes a matrix of features times features.
"""

import numpy as np
import torch

from benchmarks.rounds import Row, alternate, table
from companion.distances import correlation, distortion, pairwise, procrustes

__all__ = ["main"]

_QUANTILES = (0.05, 0.95)


def main(*, small: bool = False) -> list[Row]:
    """Print time and error of each ruler and its alternative; the rows, alternatives first."""
    n, samples, features = (40, 5, (12, 9)) if small else (2000, 50, (784, 1024))
    rounds = 2 if small else 7
    return [
        row
        for ways, what in (
            (_distortion(n), f"Quantiles of the distortion over the pairs of {n}"),
            (_spearman(n), f"Spearman over the pairs of {n}"),
            (_procrustes(samples, features), f"Procrustes of {samples} x {features}"),
        )
        for row in _compared(ways, what, rounds)
    ]


def _compared(ways, what, rounds):
    answers = {way: np.asarray(run()) for way, run in ways.items()}
    first = next(iter(answers.values()))
    errors = {way: {"error": abs(answer - first).max()} for way, answer in answers.items()}
    rows = alternate(ways, rounds=rounds, errors=errors)
    table(f"{what}, float32; difference from the first way", rows)
    return rows


def _distances(n):
    x = torch.randn(n, 20, generator=torch.Generator().manual_seed(0))
    d = pairwise(x)
    return d, pairwise(x.tanh()), torch.triu_indices(n, n, 1).unbind()


def _distortion(n):
    d, e, pairs = _distances(n)

    def ours():
        found = distortion(d, e, quantiles=_QUANTILES)
        return float(found.low), float(found.high)

    return {
        "NumPy quantile": lambda: np.quantile(e[pairs].numpy() / d[pairs].numpy(), _QUANTILES),
        "companion.distances.distortion": ours,
    }


def _spearman(n):
    from scipy.stats import spearmanr

    d, e, pairs = _distances(n)
    return {
        "SciPy spearmanr": lambda: spearmanr(d[pairs].numpy(), e[pairs].numpy()).statistic,
        "companion.distances.correlation": lambda: float(correlation(d, e, kind="spearman")),
    }


def _procrustes(samples, features):
    from scipy.spatial import procrustes as scipys

    before, after = features
    x = torch.randn(samples, before, generator=torch.Generator().manual_seed(0))
    z = (x @ torch.randn(before, after, generator=torch.Generator().manual_seed(1))).tanh()
    padded = [
        np.pad(side.numpy(), ((0, 0), (0, max(features) - side.shape[1]))) for side in (x, z)
    ]
    return {
        "SciPy procrustes, padded": lambda: scipys(*padded)[2],
        "companion.distances.procrustes": lambda: float(procrustes(x, z, scale=True).residual),
    }


if __name__ == "__main__":
    main()
