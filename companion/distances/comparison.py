"""Rulers that compare two representations of the same samples, or their distances.

Explained in the chapter `book/distances/metric_structure`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from companion.distances.metric import at_hand, centred, flat, float64, refuse_constant, refuse_nan

__all__ = ["Distortion", "Procrustes", "cka", "correlation", "distortion", "procrustes"]

_ROWS = 1024  # taken at a time: the working memory of `cka` then depends on the features alone
_ENTRIES = 2**17  # of a distance matrix, taken at a time: a few float64 copies fit in the cache


@dataclass(frozen=True)
class Distortion:
    """How strongly a map stretches pairs; unpacks into the two stretches: `low, high = ...`.

    `left_out`: chosen pairs of distance 0 before the map, which no factor describes (a count).
    """

    low: Float[Tensor, ""]
    high: Float[Tensor, ""]
    left_out: Int[Tensor, ""]

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.low, self.high))


@dataclass(frozen=True, repr=False)
class Procrustes:
    """The rigid motion that brings x closest to z: `scale * z` is about `x @ rotation + shift`.

    `residual`: what the motion leaves, over |x_c|^2, the squared spread of x (no unit).
    `rotation` (D, d): the block of the orthogonal matrix that takes x to z, mirror images among
    them; the other columns (D > d) take x to the zeros z is padded with, the other rows (D < d)
    meet zeros. `shift` (d,). `scale`: 1 unless asked for.
    """

    residual: Float[Tensor, ""]
    rotation: Float[Tensor, "D d"]
    shift: Float[Tensor, " d"]
    scale: Float[Tensor, ""]

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.rotation.shape))
        residual, scale = (f"{float(x):.4g}" for x in (self.residual, self.scale))
        return f"Procrustes(residual={residual}, scale={scale}, rotation {shape})"


def correlation(
    d: Float[Tensor, "n m"],
    e: Float[Tensor, "n m"],
    *,
    where: Bool[Tensor, "n m"] | None = None,
    kind: Literal["pearson", "spearman"] = "pearson",
) -> Float[Tensor, ""]:
    """Correlation r of two sets of pairwise distances, between -1 and 1 (no unit).

    Over the pairs i < j that `where` chooses, all without it: of Pearson's kind, or of Spearman's
    (Pearson's of the ranks, ties averaged). Known as Mantel correlation and as representational
    similarity (RSA); it is not Székely's distance correlation. A square matrix is read as the
    distances within one set of samples: its diagonal and lower half never count. Of a matrix that
    is not square, as `pairwise(x, other)` gives, every chosen entry counts; to say so of a
    square one, reshape d, e and `where` to (1, n * m).

    Unchanged by rigid motion and by one scale, and blind to a constant: e = a + b d has r = 1 and
    need be no isometry. Pairs share points: intervals come from seeds or from permuting points.

    NaN where r does not exist: fewer than two pairs, a set of distances that is constant (its
    spread below 8 eps of its mean), a chosen distance that is not finite. Pearson's is
    differentiable. The mask is a weight: on no device is a value looked at to choose pairs. Sums
    in float64. O(n m) time; on the CPU Pearson's takes a few rows at a time, without gradients in
    hardly any memory.

    Raises ValueError for matrices or a mask of different size and for an unknown kind, TypeError
    for a mask that is not boolean. Source: Mantel (1967); Kriegeskorte, Mur, Bandettini (2008).

    >>> d = torch.tensor([[0., 1., 2.], [1., 0., 4.], [2., 4., 0.]])
    >>> correlation(d, 3 * d + 1)
    tensor(1.)
    """
    if kind not in ("pearson", "spearman"):
        raise ValueError(f"kind is {kind!r}: r needs a kind, so pass 'pearson' or 'spearman'.")
    if kind == "spearman":
        a, b, keep = _pairs(d, e, where)
        exists = _varies(_moments([(a, b, keep)]), d, e)
        moments = _moments([(_ranks(a, keep), _ranks(b, keep), keep)])
    else:
        moments = _moments(_blocks(d, e, where))
        exists = _varies(moments, d, e)
    r = moments.both / moments.a.sqrt() / moments.b.sqrt()
    r = r.clamp(-1, 1).where(exists, torch.nan)
    return r.to(torch.promote_types(d.dtype, e.dtype))


def distortion(
    d: Float[Tensor, "n m"],
    e: Float[Tensor, "n m"],
    *,
    where: Bool[Tensor, "n m"] | None = None,
    quantiles: tuple[float | int, float | int] = (0, 1),
) -> Distortion:
    """Weakest and strongest stretch of a pair by a map: two quantiles of e_ij / d_ij (no unit).

    d holds distances before the map, e after it, over the pairs that `correlation` describes.
    Quantiles (0, 1) are the bi-Lipschitz bounds of the sample: high / low, free of scale, is a
    lower bound of the map's own distortion, and one pair sets it, so report (0.05, 0.95) beside
    it. low = high = 1: an isometry; low = high: a similarity. Between two pairs the quantile is
    interpolated linearly.

    Pairs with d_ij = 0 are left out, `left_out` counts them; both are NaN if none remains or a
    chosen distance is not finite. Differentiable. O(n m) time and memory, quantiles within (0, 1)
    by sorting. Looks at no value on other devices than the CPU.

    Raises as `correlation` does, and ValueError for quantiles not ascending or outside [0, 1].

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
    a, b, keep = _pairs(d, e, where)
    finite = (a.sum() + b.sum()).isfinite()
    counted = keep & (a != 0)
    stretch = b / a.masked_fill(~counted, 1)
    dtype = torch.promote_types(d.dtype, e.dtype)
    low, high = (
        _quantile(stretch, counted, share).where(finite, torch.nan).to(dtype)
        for share in quantiles
    )
    return Distortion(low, high, keep.sum() - counted.sum())


def cka(
    x: Float[Tensor, "n ..."], z: Float[Tensor, "n ..."], *, unbiased: bool = False
) -> Float[Tensor, ""]:
    """Linear centred kernel alignment: how alike the sample similarities of x and z are (no unit).

    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with K = X X^T and L = Z Z^T. Plain:
    |X^T Z|^2 / (|X^T X| |Z^T Z|) of centred X and Z (Frobenius norms), between 0 and 1. It is
    biased: independent Gaussians give about sqrt(D d / ((n + D) (n + d))). Unbiased: with HSIC_1,
    so that independence gives about 0, at times a little less; the ratio is nearly unbiased only.

    Unchanged by rotation, shift and one scale, not by linear maps; ruled by the leading principal
    components. Centred before any product, so that an offset costs no digits; products in the
    input's dtype (of a shorter one, float32), sums in float64.

    Fewer features than samples: O(n (D + d)^2) time, working memory O((D + d)^2), not O(n^2).
    Otherwise from blocks of K and L: O(n^2 (D + d)) time, two centred copies and 2,048 n numbers.
    Differentiable. Looks at no value on other devices than the CPU, where NaN stands for an error.

    Raises ValueError for different numbers of samples, fewer than 2 (unbiased: 4), a side that is
    the same for all samples, NaN, and samples equally far from each other (unbiased: HSIC_1 = 0).
    Source: Kornblith et al. (2019), section 3; Song et al. (2012), HSIC_1.

    >>> x = torch.tensor([[1., 0.], [0., 1.], [-1., -1.], [0., 0.]])
    >>> cka(x, 5 - 3 * x)
    tensor(1.)
    """
    x, z = flat(x, "x"), flat(z, "z")
    _check_samples(x, z, 4 if unbiased else 2, "unbiased CKA" if unbiased else "CKA")
    narrow = max(x.shape[1], z.shape[1]) < len(x)
    dtype = torch.promote_types(x.dtype, z.dtype)
    sides = [side.to(torch.promote_types(dtype, torch.float32)) for side in (x, z)]
    xz, xx, zz = (_by_features if narrow else _by_samples)(*sides)
    if at_hand(x):  # |X^T X| is the spread of x up to a factor between 1 and sqrt(D)
        refuse_constant(x, xx.sqrt(), "x", "CKA")
        refuse_constant(z, zz.sqrt(), "z", "CKA")
    if unbiased:
        a, b = map(_squares, sides)
        left = torch.stack((_hsic(xx, a, a) / xx, _hsic(zz, b, b) / zz))
        if at_hand(x) and not left.min() > 16 * torch.finfo(sides[0].dtype).eps:
            raise ValueError(
                f"unbiased CKA divides by the HSIC_1 of each side with itself, and of {len(x)} "
                "samples almost equally far from each other it is 0: pass more samples."
            )
        xz, xx, zz = _hsic(xz, a, b), left[0] * xx, left[1] * zz
    return (xz / xx.sqrt() / zz.sqrt()).to(dtype)


def procrustes(
    x: Float[Tensor, "n ..."], z: Float[Tensor, "n ..."], *, scale: bool = False
) -> Procrustes:
    """What the best rigid motion of x leaves of z, over the squared spread of x (no unit).

    residual = min over Q, t of |Z - X Q - 1 t^T|^2 / |X_c|^2
             = (|X_c|^2 + |Z_c|^2 - 2 |X_c^T Z_c|_*) / |X_c|^2, Q orthogonal, mirror images
    allowed, the narrower side padded with zeros. With `scale` one factor acts on z, and
    residual = 1 - |X_c^T Z_c|_*^2 / (|X_c|^2 |Z_c|^2), symmetric and in [0, 1]: without it
    networks are not comparable, since the residual carries the size of z.

    Applied by hand, the motion gives the residual again: with p = x @ rotation + shift,
    residual |X_c|^2 = |scale z - p|^2 + |X_c|^2 - |p_c|^2, whose last two terms are what a
    narrower z has no room for (0 if D <= d). Where X_c^T Z_c has not full rank, Q is one of many.

    In float64, error about 1e-14. O(n D d + D d min(D, d)) time, float64 copies of x and z. No
    loss: an SVD has no derivative where singular values coincide. Looks at no value on a device.

    Raises ValueError for different numbers of samples, NaN, and an x (with `scale`, or a z) that
    is the same for all samples. Source: Schönemann (1966).

    >>> x = torch.tensor([[0., 0.], [3., 0.], [0., 4.]])
    >>> procrustes(x, x.flip(1) + 7).residual.round(decimals=6)      # a mirror image, shifted
    tensor(0.)
    """
    x, z = flat(x, "x"), flat(z, "z")
    _check_samples(x, z, 2, "Procrustes")
    wide, dtype = float64(x), torch.promote_types(x.dtype, z.dtype)
    c, o = centred(x, wide), centred(z, wide)
    size, other = c.square().sum(), o.square().sum()
    if at_hand(x):
        refuse_constant(x, size, "x", "Procrustes")
        refuse_nan(other, "z")
        if scale:
            refuse_constant(z, other, "z", "Procrustes with scale")
    u, s, v = torch.linalg.svd(c.T @ o, full_matrices=False)
    rotation, shared = u @ v, s.sum()
    factor = shared / other if scale else torch.ones_like(shared)
    if scale:
        residual = 1 - (shared / size) * (shared / other)
    else:
        residual = (size + other - 2 * shared) / size
    shift = factor * z.to(wide).mean(0) - x.to(wide).mean(0) @ rotation
    return Procrustes(*(a.to(dtype) for a in (residual.clamp(min=0), rotation, shift, factor)))


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


def _pairs(d, e, where):
    """The chosen distances of both matrices as vectors, and which of them count."""
    blocks = [tuple(side.flatten() for side in block) for block in _blocks(d, e, where)]
    if at_hand(d):
        blocks = [tuple(side[block[-1]] for side in block) for block in blocks]
    return tuple(map(torch.cat, zip(*blocks, strict=True)))


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
        exists &= squares > count * (8 * torch.finfo(side.dtype).eps * mean) ** 2
    return exists


def _ranks(a, keep):
    """Ranks from 1, ties averaged; what does not count is sorted behind everything else."""
    ordered, order = a.masked_fill(~keep, torch.inf).sort()
    before = torch.searchsorted(ordered, ordered)
    upto = torch.searchsorted(ordered, ordered, right=True)
    ranks = (before + upto + 1).to(a.dtype) / 2
    return torch.empty_like(a).scatter(0, order, ranks).masked_fill(~keep, 0)


def _quantile(a, keep, share):
    if not len(a):
        return a.new_full((), torch.nan)
    if share in (0, 1):
        value = a.where(keep, -torch.inf).amax() if share else a.where(keep, torch.inf).amin()
        return value.where(keep.any(), torch.nan)
    ordered = a.where(keep, torch.inf).sort().values
    place = share * (keep.sum() - 1).clamp(min=0).to(a.dtype)
    below, above = ordered.take(place.floor().long()), ordered.take(place.ceil().long())
    return below.lerp(above, place.frac()).where(keep.any(), torch.nan)


def _check_samples(x, z, least, ruler):
    if len(x) != len(z):
        raise ValueError(
            f"x holds {len(x)} samples and z {len(z)}: {ruler} compares two views of the same "
            "samples, so pass the representations of one batch in one order."
        )
    if len(x) < least:
        raise ValueError(
            f"x and z hold {len(x)} samples: {ruler} needs at least {least}, so pass more samples."
        )


def _centred_blocks(x):
    # In two steps: the mean of rows far from the origin is rounded to their size, and the mean of
    # what is left then restores the digits, without a float64 copy of x.
    coarse, blocks = x.mean(0), x.split(_ROWS)
    if len(blocks) == 1:
        rows = x - coarse
        return [rows.sub_(rows.mean(0))]
    fine = torch.stack([(rows - coarse).sum(0) for rows in blocks]).sum(0) / len(x)
    return ((rows - coarse).sub_(fine) for rows in blocks)


def _by_features(x, z):
    """|X^T Z|^2, |X^T X|^2 and |Z^T Z|^2 of the centred sides."""
    products = None
    for p, q in zip(_centred_blocks(x), _centred_blocks(z), strict=True):
        pairs = [pair.to(float64(x)).flatten() for pair in (p.T @ q, p.T @ p, q.T @ q)]
        products = (
            [s + pair for s, pair in zip(products, pairs, strict=True)] if products else pairs
        )
    return [product @ product for product in products]


def _by_samples(x, z):
    """The same three from blocks of rows of K = X X^T and L = Z Z^T, which are never whole."""
    x, z = torch.cat([*_centred_blocks(x)]), torch.cat([*_centred_blocks(z)])
    sums = 0
    for p, q in zip(x.split(_ROWS), z.split(_ROWS), strict=True):
        k, m = (p @ x.T).to(float64(x)).flatten(), (q @ z.T).to(float64(x)).flatten()
        sums = sums + torch.stack((k @ m, k @ k, m @ m))
    return sums.unbind()


def _squares(x):
    norms = [torch.linalg.vecdot(rows, rows) for rows in _centred_blocks(x)]
    return torch.cat(norms).to(float64(x))


def _hsic(product, a, b):
    # n (n - 3) HSIC_1 of Song et al. for centred rows: a row of K without its diagonal then sums
    # to -a_i, which turns 1^T K L 1 into sum(a b) and 1^T K 1 into -sum(a).
    n, both = len(a), a @ b
    return product - both + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * both
