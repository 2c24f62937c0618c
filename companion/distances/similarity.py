"""Rulers that compare two representations of the same samples: CKA and Procrustes.

Explained in the chapter `book/distances/rulers`.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from companion.borrow import few_threads
from companion.distances.metric import at_hand, centred, flat, float64, refuse_constant, refuse_nan

__all__ = ["Procrustes", "cka", "procrustes"]

_ROWS = 1024  # taken at a time: the working memory of `cka` then depends on the features alone


class _Motion(NamedTuple):
    """A rigid motion by its parts, in float64: few samples of many features need no D x d matrix.

    `turn` (r, t) takes the orthonormal columns of `before` (D, r) to those of `after` (d, t), and
    `start` (D,) to `end` (d,).
    """

    before: Tensor
    turn: Tensor
    after: Tensor
    start: Tensor
    end: Tensor


@dataclass(frozen=True, repr=False)
class Procrustes:
    """The rigid motion that brings x closest to z: `scale * z` is about `x @ rotation + shift`.

    Attributes:
        residual: What the motion leaves, over |x_c|^2, the squared spread of x (no unit).
        scale: The factor on z; 1 unless asked for.
        parts: What `rotation` and `shift` are made of when they are first read.
    """

    residual: Float[Tensor, ""]
    scale: Float[Tensor, ""]
    parts: _Motion = field(compare=False)

    @cached_property
    def rotation(self) -> Float[Tensor, "D d"]:
        """The block (D, d) of the orthogonal matrix that takes x to z, mirror images among them.

        Its other columns (D > d) take x to the zeros z is padded with, its other rows (D < d) meet
        zeros. Made when first read: O(n D (D + d)), much more work than the residual of n samples
        of many features.
        """
        start = self.parts.start
        axes = torch.eye(len(start), dtype=start.dtype, device=start.device)
        return _turned(axes, self.parts).to(self.residual.dtype)

    @cached_property
    def shift(self) -> Float[Tensor, " d"]:
        """What is added (d,) to the rotated x. Made when first read."""
        turned = _turned(self.parts.start[None], self.parts)[0]
        return (self.parts.end - turned).to(self.residual.dtype)

    def __repr__(self) -> str:
        shape = " x ".join(str(len(side)) for side in (self.parts.start, self.parts.end))
        residual, scale = (f"{float(x):.4g}" for x in (self.residual, self.scale))
        return f"Procrustes(residual={residual}, scale={scale}, rotation {shape})"


@few_threads
def cka(
    x: Float[Tensor, "n ..."], z: Float[Tensor, "n ..."], *, unbiased: bool = False
) -> Float[Tensor, ""]:
    """Linear centred kernel alignment: how alike the sample similarities of x and z are (no unit).

    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with K = X X^T and L = Z Z^T. Plain:
    |X^T Z|^2 / (|X^T X| |Z^T Z|) of centred X and Z (Frobenius norms), between 0 and 1. It is
    biased: independent Gaussians give about sqrt(D d / ((n + D) (n + d))). Unbiased: with HSIC_1,
    so that independence gives about 0, at times a little less; the ratio is nearly unbiased only.

    Args:
        x: One representation (n, ...), floating point; axes after the first are flattened to D.
        z: The other one (n, ...), of the same samples in the same order; flattened to d.
        unbiased: Whether to take HSIC_1 of Song et al.; by default the plain form.

    Returns:
        One number in the wider dtype of x and z.

    Raises:
        TypeError: For a side that is not floating point.
        ValueError: For different numbers of samples, fewer than 2 (unbiased: 4), a side that is
            the same for all samples, NaN, and samples equally far from each other (unbiased:
            HSIC_1 = 0).

    Unchanged by rotation, shift and one scale, not by linear maps; ruled by the leading principal
    components. Centred before any product, so that an offset costs no digits; products in the
    input's dtype (of a shorter one, float32), sums in float64. Differentiable. Looks at no value
    on other devices than the CPU, where NaN stands for an error.

    Cost: with fewer features than samples O(n (D + d)^2) time, working memory O((D + d)^2), not
    O(n^2). Otherwise from blocks of K and L: O(n^2 (D + d)) time, two centred copies and 2,048 n
    numbers. Source: Kornblith et al. (2019), section 3; Song et al. (2012), HSIC_1.

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


@few_threads
def procrustes(
    x: Float[Tensor, "n ..."], z: Float[Tensor, "n ..."], *, scale: bool = False
) -> Procrustes:
    """What the best rigid motion of x leaves of z, over the squared spread of x (no unit).

    residual = min over Q, t of |Z - X Q - 1 t^T|^2 / |X_c|^2, that is
    (|X_c|^2 + |Z_c|^2 - 2 |X_c^T Z_c|_*) / |X_c|^2, Q orthogonal, mirror images allowed, the
    narrower side padded with zeros. With `scale` one factor acts on z, and
    residual = 1 - |X_c^T Z_c|_*^2 / (|X_c|^2 |Z_c|^2), symmetric and in [0, 1]: without it
    networks are not comparable, since the residual carries the size of z.

    Args:
        x: The representation (n, ...) that is moved, floating point; axes after the first are
            flattened to D.
        z: The representation (n, ...) it is brought to, of the same samples in the same order;
            flattened to d.
        scale: Whether z may also be multiplied by one factor; by default it may not.

    Returns:
        The residual, the factor, and the motion, whose matrix is made when it is read.

    Raises:
        TypeError: For a side that is not floating point.
        ValueError: For different numbers of samples, fewer than 2, NaN, and an x (with `scale`,
            or a z) that is the same for all samples.

    Applied by hand, the motion gives the residual again: with p = x @ rotation + shift,
    residual |X_c|^2 = |scale z - p|^2 + |X_c|^2 - |p_c|^2, whose last two terms are what a
    narrower z has no room for (0 if D <= d). Where X_c^T Z_c has not full rank, as with fewer
    samples than features, Q is one of many. In float64, error about 1e-14. No loss: an SVD has no
    derivative where singular values coincide. Looks at no value on other devices than the CPU.

    Cost: O(n (D r + d t) + r t min(r, t)) time with r = min(n, D) and t = min(n, d): of samples
    wider than many only the space that they span is compared. Float64 copies of x and z, and of a
    wide side one more. Source: Schönemann (1966).

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
    (before, c), (after, o) = _spanned(c), _spanned(o)
    u, s, v = torch.linalg.svd(c.T @ o, full_matrices=False)
    shared = s.sum()
    factor = shared / other if scale else torch.ones_like(shared)
    if scale:
        residual = 1 - (shared / size) * (shared / other)
    else:
        residual = (size + other - 2 * shared) / size
    motion = _Motion(before, u @ v, after, x.to(wide).mean(0), factor * z.to(wide).mean(0))
    return Procrustes(residual.clamp(min=0).to(dtype), factor.to(dtype), motion)


def _spanned(c):
    """Orthonormal columns (D, r) that span the rows of c, and c in their coordinates (n, r)."""
    if len(c) >= c.shape[1]:
        return torch.eye(c.shape[1], dtype=c.dtype, device=c.device), c
    # Without a derivative: |X_c^T Z_c|_* is the same in any basis.
    basis = torch.linalg.qr(c.detach().T)[0]
    return basis, c @ basis


def _turned(rows, motion):
    """Rows (k, D) turned to (k, d), also where both sides have directions that no sample has."""
    q, turn, p = motion[:3]
    n = len(turn)
    if n in (len(q), len(p)):  # one side is spanned
        return rows @ q @ turn @ p.T
    # H = I - Y M Y^T is a rotation whose first n columns span those of q; the directions that are
    # left over go to each other in any order, so in the order of the axes.
    y, m, start = _reflector(q)
    w, k, end = _reflector(p)
    rows = rows - (rows @ y @ m) @ y.T
    shared = min(len(q), len(p))
    out = rows.new_zeros(len(rows), len(p))
    out[:, :shared] = rows[:, :shared]
    out[:, :n] = rows[:, :n] @ (start @ turn @ end.T)
    return out - (out @ w @ k) @ w.T


def _reflector(q):
    """Y, M and an orthogonal S such that H = I - Y M Y^T is orthogonal and H[:, :n] S = q."""
    u, s, v = torch.linalg.svd(q[: q.shape[1]])
    turn = -u @ v  # of all S the one that keeps I - S^T q[:n] farthest from singular
    y = torch.cat((q[: len(turn)] - turn, q[len(turn) :]))
    return y, v.T / (1 + s) @ v, turn


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
