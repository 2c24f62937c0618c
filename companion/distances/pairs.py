"""Rulers that compare two sets of pairwise distances of the same samples.

Explained in the chapter `book/distances/metric_structure`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Real
from torch import Tensor

from companion.borrow import few_threads
from companion.distances.metric import at_hand, float64

__all__ = ["Distortion", "correlation", "distortion"]

_ENTRIES = 2**17  # of a distance matrix, taken at a time: a few float64 copies fit in the cache


@dataclass(frozen=True)
class Distortion:
    """How strongly a map stretches pairs; unpacks into the two stretches: `low, high = ...`.

    Attributes:
        low: The weaker of the two stretches (no unit).
        high: The stronger one (no unit).
        left_out: How many chosen pairs had distance 0 before the map, which no factor describes.
    """

    low: Float[Tensor, ""]
    high: Float[Tensor, ""]
    left_out: Int[Tensor, ""]

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.low, self.high))


@few_threads
def correlation(
    d: Real[Tensor, "n m"],
    e: Real[Tensor, "n m"],
    *,
    where: Bool[Tensor, "n m"] | None = None,
    kind: Literal["pearson", "spearman"] = "pearson",
) -> Float[Tensor, ""]:
    """Correlation r of two sets of pairwise distances, between -1 and 1 (no unit).

    Over the pairs i < j that `where` chooses: of Pearson's kind, or of Spearman's (Pearson's of
    the ranks, ties averaged). Known as Mantel correlation and as representational similarity
    (RSA); it is not Székely's distance correlation. A square matrix is read as the distances
    within one set of samples: its diagonal and lower half never count. Of a matrix that is not
    square, as `pairwise(x, other)` gives, every chosen entry counts; to say so of a square one,
    reshape d, e and `where` to (1, n * m).

    Args:
        d: Distances (n, m) of one view of the samples; whole numbers (steps in a graph) count
            as exact.
        e: Distances (n, m) of the other view, of the same samples in the same order.
        where: True (n, m) for the pairs that count; by default all.
        kind: "pearson", or "spearman" for the correlation of the ranks.

    Returns:
        One number in the wider dtype of d and e; NaN where r does not exist, which is for fewer
        than two pairs, for a set of distances that is constant (its spread below 8 eps of its
        mean), and for a chosen distance that is not finite.

    Raises:
        ValueError: For matrices or a mask of different size, and for an unknown kind.
        TypeError: For a mask that is not boolean.

    Unchanged by rigid motion and by one scale, and blind to a constant: e = a + b d has r = 1 and
    need be no isometry. Pairs share points: intervals come from seeds or from permuting points.
    Pearson's is differentiable. On devices other than the CPU the mask is a weight, and no value
    is looked at to choose pairs. Sums in float64.

    Cost: Pearson's takes O(n m) time, on the CPU a few rows at a time, without gradients in hardly
    any memory. Spearman's sorts the P chosen pairs, O(P log P), and holds about 35 P bytes on
    the CPU. Source: Mantel (1967); Kriegeskorte, Mur, Bandettini (2008).

    >>> d = torch.tensor([[0., 1., 2.], [1., 0., 4.], [2., 4., 0.]])
    >>> correlation(d, 3 * d + 1)
    tensor(1.)
    """
    if kind not in ("pearson", "spearman"):
        raise ValueError(f"kind is {kind!r}: r needs a kind, so pass 'pearson' or 'spearman'.")
    moments = _moments(_blocks(d, e, where))
    exists = _varies(moments, d, e)
    if kind == "spearman":
        moments = _moments((_sorted_ranks if at_hand(d) else _masked_ranks)(d, e, where))
    r = moments.both / moments.a.sqrt() / moments.b.sqrt()
    return r.clamp(-1, 1).where(exists, torch.nan).to(_result(d, e))


@few_threads
def distortion(
    d: Real[Tensor, "n m"],
    e: Real[Tensor, "n m"],
    *,
    where: Bool[Tensor, "n m"] | None = None,
    quantiles: tuple[float | int, float | int] = (0, 1),
) -> Distortion:
    """Weakest and strongest stretch of a pair by a map: two quantiles of e_ij / d_ij (no unit).

    Over the pairs that `correlation` describes. Quantiles (0, 1) are the bi-Lipschitz bounds of
    the sample: high / low, free of scale, is a lower bound of the map's own distortion, and one
    pair sets it, so report (0.05, 0.95) beside it. low = high = 1: an isometry; low = high: a
    similarity. Between two pairs the quantile is interpolated linearly.

    Args:
        d: Distances (n, m) before the map; whole numbers (steps in a graph) count as exact.
        e: Distances (n, m) after the map, of the same samples in the same order.
        where: True (n, m) for the pairs that count; by default all.
        quantiles: Two ascending shares of the pairs, from 0 to 1; by default the weakest and the
            strongest stretch.

    Returns:
        The two stretches in the wider dtype of d and e, and how many pairs were left out (those
        with d_ij = 0). Both are NaN if no pair remains or a chosen distance is not finite.

    Raises:
        ValueError: For quantiles not ascending or outside [0, 1], and for matrices or a mask of
            different size.
        TypeError: For a mask that is not boolean.

    Differentiable: of equal stretches one gets the derivative. Looks at no value on devices other
    than the CPU.

    Cost: O(n m) time. On the CPU a few rows at a time: quantiles 0 and 1 in hardly any memory,
    others by selection among the P chosen stretches, which are held twice. Elsewhere all in
    memory, and by sorting.

    >>> d = torch.tensor([[0., 1., 3.], [1., 0., 2.], [3., 2., 0.]])
    >>> e = torch.tensor([[0., 2., 3.], [2., 0., 1.], [3., 1., 0.]])
    >>> low, high = distortion(d, e)                            # stretches 2, 1 and 1/2
    >>> low, high
    (tensor(0.5000), tensor(2.))
    """
    if len(quantiles) != 2 or not 0 <= quantiles[0] <= quantiles[1] <= 1:
        raise ValueError(
            f"quantiles is {quantiles}: two ascending numbers between 0 and 1 are needed, "
            "so pass (0, 1) for the bounds or (0.05, 0.95) for the bulk."
        )
    bounds = _selected_quantiles if at_hand(d) else _sorted_quantiles
    low, high, left_out = bounds(d, e, where, quantiles)
    return Distortion(low.to(_result(d, e)), high.to(_result(d, e)), left_out)


def _result(d, e):
    """The dtype of a result: the wider one of both sides, of whole numbers torch's default."""
    dtype = torch.promote_types(d.dtype, e.dtype)
    return dtype if dtype.is_floating_point else torch.get_default_dtype()


def _blocks(d, e, where):
    """Both matrices in float64, a few rows at a time, and which of their entries count."""
    shapes = [" x ".join(map(str, m.shape)) for m in (d, e, d if where is None else where)]
    if d.shape != e.shape:
        raise ValueError(
            f"d is {shapes[0]} and e is {shapes[1]}: both must hold the distances of the same "
            "samples, so compute them from the same rows in the same order."
        )
    if where is not None and where.shape != d.shape:
        raise ValueError(
            f"where is {shapes[2]} and d is {shapes[0]}: a mask needs one entry per pair, "
            "so make it from the labels of the same samples."
        )
    if where is not None and where.dtype != torch.bool:
        raise TypeError(
            f"where holds {where.dtype} values: a mask needs True and False, so pass where != 0."
        )
    n, m = d.shape
    # A device is fed the whole matrix at once; a CPU works in its cache.
    rows = max(1, min(n, _ENTRIES // max(1, m))) if at_hand(d) else max(1, n)
    for start in range(0, max(1, n), rows):
        # Of distances within one set only what lies right of the diagonal is a pair.
        block = slice(start, start + rows), slice(start if n == m else 0, None)
        keep = torch.ones_like(d[block], dtype=torch.bool) if where is None else where[block]
        if n == m:
            keep = keep.triu(1)
        a, b = (side[block].to(float64(d)).masked_fill(~keep, 0) for side in (d, e))
        yield a, b, keep


class _Moments(NamedTuple):
    """Of chosen pairs: their number, both means, sums of squared deviations and of products."""

    count: Tensor
    mean_a: Tensor
    mean_b: Tensor
    a: Tensor
    b: Tensor
    both: Tensor


def _moments(blocks):
    """Moments of each block about its own means, then put together (Chan et al., 1979)."""
    parts = []
    for a, b, keep in blocks:
        count = keep.sum().to(a.dtype)
        mean_a, mean_b = (side.sum() / count.clamp(min=1) for side in (a, b))
        p, q = ((side - mean).mul_(keep).flatten() for side, mean in ((a, mean_a), (b, mean_b)))
        parts.append(torch.stack((count, mean_a, mean_b, p @ p, q @ q, p @ q)))
    count, mean_a, mean_b, a, b, both = torch.stack(parts).T
    total = count.sum()
    centre_a, centre_b = (count @ mean / total for mean in (mean_a, mean_b))
    p, q = mean_a - centre_a, mean_b - centre_b
    return _Moments(
        total, centre_a, centre_b,
        a.sum() + count @ p**2, b.sum() + count @ q**2, both.sum() + count @ (p * q),
    )  # fmt: skip


def _varies(moments, d, e):
    """Whether r exists: two pairs, all finite, and more spread on both sides than rounding."""
    count = moments.count
    exists = (count >= 2) & (moments.mean_a + moments.mean_b).isfinite()
    for mean, squares, side in ((moments.mean_a, moments.a, d), (moments.mean_b, moments.b, e)):
        dtype = side.dtype if side.is_floating_point() else float64(side)
        exists &= squares > count * (8 * torch.finfo(dtype).eps * mean) ** 2
    return exists


def _sorted_ranks(d, e, where):
    """Ranks of the chosen pairs, ties averaged, some pairs at a time: where values are at hand."""
    from scipy.stats import rankdata

    exact = _exact(d, e)
    with torch.no_grad():
        chosen = (
            (a[keep].to(exact).numpy(), b[keep].to(exact).numpy())
            for a, b, keep in _blocks(d, e, where)
        )
        if exact == torch.float32 and d.numel() < 2**31:
            ranks = _ranks_by_packing(chosen)
        else:
            ranks = [rankdata(np.concatenate(side)) for side in zip(*chosen, strict=True)]
    for start in range(0, max(1, len(ranks[0])), _ENTRIES):
        part = slice(start, start + _ENTRIES)
        p, q = (torch.from_numpy(side[part].astype(float)) for side in ranks)
        yield p, q, torch.ones_like(p, dtype=torch.bool)


def _ranks_by_packing(chosen):
    """Twice the ranks of both sides, float32, pair by pair in the order of the second one."""
    # Instead of an argsort, whose order then has to be followed through memory in leaps: each
    # sorted number carries in its lower half what belongs to it, here b, then the rank of a.
    half = np.uint64(32)
    keys = np.concatenate([_in_order(a) << half | _in_order(b) for a, b in chosen])
    keys.sort()
    ranks = _doubled_ranks(keys >> half)
    keys <<= half
    keys |= ranks
    keys.sort()
    return keys.astype(np.uint32), _doubled_ranks(keys >> half)


def _in_order(a):
    """Whole numbers below 2^32 that are ordered and tied as the float32 numbers are."""
    bits = (a + np.float32(0)).view(np.int32)  # -0 becomes 0
    return (bits ^ (bits >> 31 | np.int32(-(2**31)))).view(np.uint32).astype(np.uint64)


def _doubled_ranks(ordered):
    """Twice the ranks from 1 of an ascending vector, ties averaged: whole numbers."""
    edges = np.ones(len(ordered) + 1, dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=edges[1:-1])
    del ordered
    edges = edges.nonzero()[0].astype(np.uint32)
    return np.repeat(edges[1:] + edges[:-1] + np.uint32(1), np.diff(edges))


def _exact(d, e):
    """The shortest dtype that holds both sides without rounding and that NumPy sorts."""
    short = all(m.is_floating_point() and m.dtype != torch.float64 for m in (d, e))
    return torch.float32 if short else torch.float64


def _masked_ranks(d, e, where):
    """The same ranks as one matrix each, without a look at a value."""
    for a, b, keep in _blocks(d, e, where):
        yield _ranks(a, keep), _ranks(b, keep), keep.flatten()


def _ranks(a, keep):
    """Ranks from 1, ties averaged; what does not count is sorted behind everything else."""
    a, keep = a.flatten(), keep.flatten()
    ordered, order = a.masked_fill(~keep, torch.inf).sort()
    before = torch.searchsorted(ordered, ordered)
    upto = torch.searchsorted(ordered, ordered, right=True)
    ranks = (before + upto + 1).to(a.dtype) / 2
    return torch.empty_like(a).scatter(0, order, ranks).masked_fill(~keep, 0)


def _selected_quantiles(d, e, where, quantiles):
    """Two quantiles and the number of pairs left out, where values are at hand."""
    exact, ends = _exact(d, e), tuple(quantiles) == (0, 1)
    chosen, left_out, total = [], torch.tensor(0), 0
    with torch.no_grad():
        for a, b, keep in _blocks(d, e, where):
            counted = keep & (a != 0)
            left_out += keep.sum() - counted.sum()
            total = total + a.sum() + b.sum()
            stretch = (b / a)[counted].to(exact)
            chosen.append(torch.stack(stretch.aminmax()) if ends and len(stretch) else stretch)
        stretch = torch.cat(chosen).numpy()
    if not len(stretch) or not total.isfinite():
        return *(torch.nan * (d.sum() + e.sum()),) * 2, left_out
    places = np.array(quantiles, float) * (len(stretch) - 1)
    below, above = np.floor(places).astype(int), np.ceil(places).astype(int)
    stretch.partition(np.unique((below, above)))
    pairs = torch.from_numpy(np.stack((stretch[below], stretch[above])))
    if torch.is_grad_enabled() and (d.requires_grad or e.requires_grad):
        pairs = torch.stack([_stretch_of_value(d, e, where, value) for value in pairs.flatten()])
    pairs = pairs.view(2, 2).double()
    between = pairs[0].lerp(pairs[1], torch.from_numpy(places - below))
    low, high = pairs[0].where(pairs[0] == pairs[1], between)  # infinite ones have no difference
    return low, high, left_out


def _stretch_of_value(d, e, where, value):
    """The stretch of the first pair that has this one, as a function of its two distances."""
    for a, b, keep in _blocks(d, e, where):
        hit = keep & ((b / a).detach().to(value.dtype) == value)
        if hit.any():
            return (b[hit] / a[hit])[0]


def _sorted_quantiles(d, e, where, quantiles):
    """The same from one sorted matrix, without a look at a value."""
    ((a, b, keep),) = _blocks(d, e, where)
    counted = keep & (a != 0)
    stretch = b / a.masked_fill(~counted, 1)
    exists = (a.sum() + b.sum()).isfinite() & counted.any()
    left_out = keep.sum() - counted.sum()
    if not stretch.numel():
        return *(stretch.sum() * torch.nan,) * 2, left_out
    if tuple(quantiles) == (0, 1):
        lows, highs = (stretch.where(counted, other) for other in (torch.inf, -torch.inf))
        bounds = [lows.amin(), highs.amax()]
    else:
        ordered, bounds = stretch.where(counted, torch.inf).flatten().sort().values, []
        for share in quantiles:
            place = share * (counted.sum() - 1).clamp(min=0).to(a.dtype)
            below, above = ordered.take(place.floor().long()), ordered.take(place.ceil().long())
            bounds.append(below.lerp(above, place.frac()))
    low, high = (bound.where(exists, torch.nan) for bound in bounds)
    return low, high, left_out
