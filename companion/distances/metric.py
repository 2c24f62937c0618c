"""Distances between samples, right for close points too: the ruler under every other ruler.

Explained in the chapter `book/distances/metric_structure`.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from companion.borrow import few_threads

__all__ = ["pairwise", "within_class"]

# Rows of one block of squared distances. 320 keep the block in the cache and still feed the
# matrix product; a block never holds more than _ENTRIES numbers, whatever the other side's length.
_ROWS = 320
_ENTRIES = 2**22

# A squared distance q = |a|^2 + |b|^2 - 2 ab below this share of |a|^2 + |b|^2 has lost too many
# digits and is computed again from the rows. The relative error of a distance that is kept is a
# few float64 eps over twice the share: below 1e-7 for float32 results, below 1e-11 for float64.
_CANCELS = {torch.float32: 1e-8, torch.float64: 1e-4}

_DIRECT = "donot_use_mm_for_euclid_dist"


@few_threads
def pairwise(
    x: Float[Tensor, "n ..."], other: Float[Tensor, "m ..."] | None = None
) -> Float[Tensor, "n m"]:
    """Euclidean distance of every two samples, in units of the input.

    d_ij = |x_i - x_j|, or |x_i - other_j| if `other` is given.

    Args:
        x: Samples (n, ...), floating point; axes after the first are flattened (a vector holds n
            points of a line).
        other: Samples (m, ...) of the same space; by default x itself, and then the matrix is
            symmetric and its diagonal exactly 0.

    Returns:
        Distances (n, m) in the input's dtype, of two dtypes the wider one, on its device.

    Raises:
        TypeError: For integers.
        ValueError: For samples of different length and, on the CPU, for values that are NaN or
            infinite.

    Near zero: twins a thousandth apart in data of norm 30,000 come out right, which the expansion
    |a|^2 + |b|^2 - 2 ab in float32 misses by a factor of hundreds. On the CPU the expansion is
    taken in float64 on centred rows, and pairs that cancel there are computed again from the rows
    as given: relative error below 1e-6 for float32 input (rounding of the result included), 1e-10
    for float64. float16 and bfloat16 are computed as float32 and rounded at the end. On other
    devices every pair is computed directly, because choosing pairs would look at values and wait
    for the device.

    Differentiable twice, d_ij = 0 included: such a pair has derivative 0, where a plain root has
    NaN. Reverse mode, `torch.func.grad` among it; no forward mode (`jvp`) and no `vmap`.

    Cost: O(n m D) time. Memory on the CPU: the result, float64 copies of x and other, and about
    100 MB at most for blocks; backward: three float64 matrices of the size of the result. Two
    clusters more than 10,000 of their diameters apart (float64: 100) make most pairs cancel, and
    cost about ten times as much.

    >>> pairwise(torch.tensor([[0., 0.], [3., 4.]]))
    tensor([[0., 5.],
            [5., 0.]])
    """
    points = flat(x, "x")
    others = points if other is None else flat(other, "other")
    if points.shape[1] != others.shape[1]:
        raise ValueError(
            f"a sample of x has {points.shape[1]} numbers and one of other {others.shape[1]}: "
            "a distance needs as many on both sides, so pass samples of the same space."
        )
    dtype = torch.promote_types(points.dtype, others.dtype)
    wide = torch.promote_types(dtype, torch.float32)
    others = None if other is None else others.to(wide)
    return _Distance.apply(points.to(wide), others).to(dtype)


def within_class(y: Int[Tensor, " n"]) -> Bool[Tensor, "n n"]:
    """Which pairs of different samples carry the same label: a mask for `where`, True or False.

    Its diagonal is False: every sample has distance 0 to itself in any network, so those pairs
    agree for free.

    Args:
        y: Labels (n,), any whole numbers.

    Returns:
        A symmetric mask (n, n).

    Raises:
        ValueError: For labels that are not one number per sample.

    Looks at no value, waits for no device. Cost: O(n^2) time and memory.

    >>> within_class(torch.tensor([7, 7, 3]))
    tensor([[False,  True, False],
            [ True, False, False],
            [False, False, False]])
    """
    if y.ndim != 1:
        raise ValueError(
            f"y has shape {tuple(y.shape)}: a mask of pairs needs one label per sample, "
            "so pass labels of shape (n,)."
        )
    return (y[:, None] == y).fill_diagonal_(False)


def flat(x: Tensor, name: str) -> Tensor:
    """The samples of x as rows (n, D); refuses what holds no distances, naming the argument."""
    if not x.is_floating_point():
        raise TypeError(
            f"{name} holds {x.dtype} values: distances need real floating point numbers, "
            f"so pass {name}.float()."
        )
    if x.ndim == 0:
        raise ValueError(
            f"{name} is a single number: distances need samples along the first axis, "
            f"so pass {name} of shape (n, ...)."
        )
    return x.flatten(1) if x.ndim > 1 else x[:, None]


class _Distance(torch.autograd.Function):
    """Distances whose derivative is built from the distances themselves, never from their root."""

    @staticmethod
    def forward(x, other):
        if at_hand(x):
            return _blockwise(x, other)
        return torch.cdist(x, x if other is None else other, compute_mode=_DIRECT)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx, grad):
        # Plain differentiable operations on the saved output: the second derivative flows through
        # d, that is through this function again, and d = 0 stays out of every division.
        x, other, d = ctx.saved_tensors
        zero = d == 0
        wide = float64(x)
        weight = (grad.to(wide) / d.to(wide).masked_fill(zero, 1)).masked_fill(zero, 0)
        c, o = _centred(x, other, wide)
        if other is None:
            weight = weight + weight.T
            return (weight.sum(1, keepdim=True) * c - weight @ c).to(x.dtype), None
        to_x = to_other = None
        if ctx.needs_input_grad[0]:
            to_x = (weight.sum(1, keepdim=True) * c - weight @ o).to(x.dtype)
        if ctx.needs_input_grad[1]:
            to_other = (weight.sum(0)[:, None] * o - weight.T @ c).to(x.dtype)
        return to_x, to_other


def float64(x: Tensor) -> torch.dtype:
    """The dtype to accumulate in on the device of x: float64 wherever the device has it."""
    return torch.float32 if x.device.type == "mps" else torch.float64


def at_hand(x: Tensor) -> bool:
    """Whether the values of x may decide what is computed: elsewhere that waits for the device."""
    return x.device.type == "cpu"


def refuse_nan(total: Tensor, name: str) -> None:
    """Name a NaN where it enters: `total` is a sum over all squared values of the argument."""
    if not math.isfinite(total.item()):
        raise ValueError(
            f"{name} holds values that are NaN, infinite or too large to be squared: a ruler "
            "needs finite numbers, so look for the sample or the layer they come from."
        )


def refuse_constant(x: Tensor, spread: Tensor, name: str, ruler: str) -> None:
    """Name a representation without spread (a sum of squares) where a ruler would divide by it."""
    refuse_nan(spread, name)
    # Rows that agree up to rounding: their spread is a few eps of any one of them.
    row = torch.linalg.vector_norm(x.detach()[0], dtype=spread.dtype).item()
    if spread.item() <= len(x) * (4 * torch.finfo(x.dtype).eps * row) ** 2:
        raise ValueError(
            f"{name} is the same for all {len(x)} samples: {ruler} divides by its spread, "
            "so leave this representation out, or look for the layer that died."
        )


def centred(x: Tensor, dtype: torch.dtype) -> Tensor:
    """A copy of the rows of x in this dtype, their mean subtracted."""
    # In place, because fresh memory costs more than the subtraction. The mean carries no gradient:
    # what is built from centred rows here does not change when all of them move together.
    c = x.to(dtype, copy=True)
    return c.sub_(c.mean(0).detach())


def _centred(x, other, dtype):
    # One centre for both sides, or the distances between them would change.
    if other is None:
        c = centred(x, dtype)
        return c, c
    c, o = x.to(dtype, copy=True), other.to(dtype, copy=True)
    centre = ((c.sum(0) + o.sum(0)) / max(1, len(c) + len(o))).detach()
    return c.sub_(centre), o.sub_(centre)


def _blockwise(x, other):
    same = other is None
    c, o = _centred(x, other, torch.float64)
    s = torch.linalg.vector_norm(c, dim=1).square_()
    t = s if same else torch.linalg.vector_norm(o, dim=1).square_()
    refuse_nan(s.sum() + t.sum(), "x" if same else "x or other")
    points = x if same else other
    d = x.new_empty(len(x), len(points))
    rows = max(1, min(_ROWS, _ENTRIES // max(1, len(points))))
    buffer = torch.empty(rows * len(points), dtype=torch.float64)
    for start in range(0, len(x), rows):
        a = slice(start, start + rows)
        b = slice(start, None) if same else slice(None)
        shape = len(s[a]), len(t[b])
        q = torch.add(s[a, None], t[b], out=buffer[: shape[0] * shape[1]].view(shape))
        q.addmm_(c[a], o[b].T, alpha=-2)
        if same:
            q.diagonal().fill_(torch.inf)
        _recompute(q, x[a], points[b], s[a], t[b])
        if same:
            q.diagonal().fill_(0)
        d[a, b] = q.sqrt_()
        if same:
            d[start + rows :, a] = d[a, start + rows :].T
            d[a, a] = d[a, a].triu() + d[a, a].triu(1).T
    return d


def _recompute(q, x, other, s, t):
    """Replace in place the squared distances of q that cancelled, from the rows as given."""
    share = _CANCELS[x.dtype]
    if not q.numel() or q.min() >= share * (s.max() + t.max()):
        return
    cancelled = q < share * (s[:, None] + t)
    i, j = cancelled.nonzero(as_tuple=True)
    rows, columns = (cancelled.any(axis).nonzero().squeeze(1) for axis in (1, 0))
    if len(rows) * len(columns) <= 8 * len(i):
        exact = torch.cdist(x[rows].double(), other[columns].double(), compute_mode=_DIRECT)
        q[rows[:, None], columns] = exact.square_()
        return
    pairs = max(1, _ENTRIES // 4 // max(1, x.shape[1]))
    for k, m in zip(i.split(pairs), j.split(pairs), strict=True):
        q[k, m] = (x[k].double() - other[m].double()).square_().sum(1)
