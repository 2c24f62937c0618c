"""Rulers of one cloud of points: how many dimensions it fills, how far its classes collapsed.

Explained in the chapter `book/distances/rulers`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from companion.borrow import few_threads
from companion.distances.metric import flat, float64, pairwise, refuse_nan
from companion.progress import bar

__all__ = ["Dimension", "intrinsic_dimension", "neural_collapse"]

# Neighbours used by each estimator, and distances held at a time while looking for them.
_NEIGHBOURS = {"two_nn": 2, "levina_bickel": 10}
_ENTRIES = 2**25

# Between-class directions weaker than this share of the strongest one are rounding, not geometry.
_WEAKEST = 1e-6


@dataclass(frozen=True)
class Dimension:
    """An intrinsic dimension and its interval; unpacks into `dimension, low, high`.

    Attributes:
        dimension: The estimate, a plain number without a unit.
        low: The lower end of its 95 % interval.
        high: The upper end.
        copies: How many rows repeat another row exactly and were left out before the estimate.
    """

    dimension: float
    low: float
    high: float
    copies: int

    def __iter__(self) -> Iterator[float]:
        return iter((self.dimension, self.low, self.high))


@few_threads
def intrinsic_dimension(
    x: Float[Tensor, "n ..."], *, method: Literal["two_nn", "levina_bickel"] = "two_nn"
) -> Dimension:
    """How many directions a cloud of points fills around each of its points (no unit).

    With r_j the distance to the j-th nearest neighbour, `two_nn` is d = n / sum log(r_2 / r_1) and
    `levina_bickel` d = 9 n / sum over points and j < 10 of log(r_10 / r_j): inverses averaged.
    The interval is the 95 % one of the chi-square law that either sum would have if its terms were
    independent: sampling error only, and about 1.3 times too narrow, since points share their
    neighbours.

    Args:
        x: Samples (n, ...), floating point; axes after the first are flattened to D.
        method: "two_nn", or "levina_bickel" from ten neighbours.

    Returns:
        The estimate with its interval, and how many copies were left out.

    Raises:
        TypeError: For integers.
        ValueError: For too few distinct samples (3, or 11), for nearest neighbours that are all
            equally far, an unknown method, NaN.

    Range of validity: points whose density is constant out to the neighbours used. For 2,000
    points of a uniform cube two-NN is right within 15 % up to d = 10 and a lower bound from d = 20
    on (31 for 50); more points hardly help. Noise counts as dimension: a square with noise of a
    hundredth of its side has 10. A lattice has no value. Unchanged by rotation, shift and scale.

    Copies: equal rows are taken once, and `copies` of the result says how many were left out;
    distances are exact (`pairwise`). Near-copies cannot be told from dimension 0: twins 1e-4 apart
    pull the estimate towards 0.

    Cost: O(n^2 D) time, up to 2^25 distances in memory at once. Looks at values: not for loops on
    a device. Source: Facco et al. (2017); Levina, Bickel (2004), with the average of inverses.

    >>> line = torch.tensor([[0.], [1.], [3.], [3.]])      # r_2 / r_1 = 3, 2 and 3/2, one copy
    >>> result = intrinsic_dimension(line)
    >>> f"{result.dimension:.3f}, copies: {result.copies}"           # 3 / log 9
    '1.365, copies: 1'
    """
    if method not in _NEIGHBOURS:
        raise ValueError(
            f"method is {method!r}: the estimators are {' and '.join(map(repr, _NEIGHBOURS))}, "
            "so pass one of these."
        )
    rows = flat(x.detach(), "x")
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    refuse_nan(rows.square().sum(dtype=float64(rows)), "x")
    distinct = torch.unique(rows, dim=0)
    copies, k = len(rows) - len(distinct), _NEIGHBOURS[method]
    if len(distinct) <= k:
        raise ValueError(
            f"x holds {len(distinct)} distinct samples ({copies} of {len(rows)} are copies): "
            f"{method!r} needs at least {k + 1}, so pass more samples."
        )
    near = _nearest(distinct, k).to(float64(rows)).log()
    total = (near[:, -1:] - near[:, :-1]).sum().item()
    degrees = 2 * len(distinct) * (k - 1)
    if total <= degrees * 1e-7:
        raise ValueError(
            f"the {k} nearest neighbours of every one of {len(distinct)} samples are equally far: "
            "a lattice has no intrinsic dimension by this ruler, so pass points without a grid."
        )
    from scipy.stats import chi2

    low, high = (float(quantile) / (2 * total) for quantile in chi2.ppf((0.025, 0.975), degrees))
    return Dimension(degrees / (2 * total), low, high, copies)


@few_threads
def neural_collapse(z: Float[Tensor, "n ..."], y: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """NC1: the spread within classes in units of the spread between their means, 0 when collapsed.

    NC1 = tr(S_W S_B^+) / C (no unit): S_W the mean of (z_i - mu_y)(z_i - mu_y)^T over samples,
    S_B the mean over the C classes of (mu_c - mu)(mu_c - mu)^T, mu the mean of all samples.

    Args:
        z: A representation (n, ...), flattened to d: meant for the last hidden layer after its
            activation, at training images, batch normalisation in evaluation mode.
        y: Labels (n,), any integers.

    Returns:
        One number in the dtype of z.

    Raises:
        TypeError: For integers in z.
        ValueError: For labels that do not match the samples, fewer than two classes, class means
            that all coincide, and NaN.

    S_B has rank C - 1 at most; its pseudo-inverse at a default tolerance would invert rounding.
    So S_B^+ comes from the singular values s_1 >= s_2 >= ... of the matrix of class means: the
    first C - 1 of them, as far as they exceed 1e-6 s_1. In float64.

    Unchanged by rotation, shift and one scale, not by linear maps; ruled by the weakest direction
    between classes, and therefore huge where one class mean hardly differs (10 to 10,000 for the
    logits of untrained networks). Looks at the labels.

    Cost: O(n C d) time, three float64 copies of z. Source: Papyan, Han, Donoho (2020).

    >>> z = torch.tensor([[-1.], [-3.], [1.], [3.]])            # S_W = 1, S_B = 4, C = 2
    >>> neural_collapse(z, torch.tensor([0, 0, 1, 1]))
    tensor(0.1250)
    """
    rows = flat(z, "z")
    if y.shape != rows.shape[:1]:
        raise ValueError(
            f"z holds {len(rows)} samples and y has shape {tuple(y.shape)}: every sample needs "
            f"one label, so pass y of shape ({len(rows)},)."
        )
    classes, index, counts = torch.unique(y, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise ValueError(
            f"y holds {len(classes)} classes: a spread between classes needs at least 2, "
            "so pass samples of several classes."
        )
    h = rows.to(float64(rows))
    refuse_nan(h.detach().square().sum(), "z")
    h = h - h.mean(0)
    means = h.new_zeros(len(classes), h.shape[1]).index_add(0, index, h) / counts[:, None]
    _, s, v = torch.linalg.svd(means / len(classes) ** 0.5, full_matrices=False)
    strongest = s[0].item() if len(s) else 0.0
    if strongest <= 1e-14 * h.detach().square().mean().sqrt().item():
        raise ValueError(
            f"the means of all {len(classes)} classes of z coincide: NC1 divides by their spread, "
            "so leave this representation out, or look for the layer that died."
        )
    kept = s[: len(classes) - 1] > _WEAKEST * strongest
    s, v = s[: len(kept)][kept], v[: len(kept)][kept]
    inside = (h - means[index]) @ v.T / s
    return (inside.square().sum() / (len(h) * len(classes))).to(z.dtype)


def _nearest(x, k):
    """Distances to the k nearest other rows, ascending (n, k); no two rows of x are equal."""
    block = max(1, _ENTRIES // len(x))
    if len(x) <= block:
        return pairwise(x).topk(k + 1, largest=False).values[:, 1:]
    with bar(x.split(block), label="nearest neighbours", unit="block") as blocks:
        near = [pairwise(rows, x).topk(k + 1, largest=False).values[:, 1:] for rows in blocks]
    return torch.cat(near)
