"""Where an attack may go: the ball of its budget around each sample, cut off at the bounds.

What it gives lies within the budget exactly, not up to rounding: in bfloat16 a rounded x + eps is
off by as much as an eighth of eps = 8/255.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from companion.decision.samples import length_of, with_axes_of

__all__ = ["Bounds", "ball", "ends", "in_unit_ball", "refuse_outside", "steepest"]

Bounds = tuple[float | int | Tensor, float | int | Tensor]
Ends = tuple[float | int | Tensor, float | int | Tensor]


def ball(
    x: Tensor, eps: float | int, norm: str, ends: Ends = (-math.inf, math.inf)
) -> Callable[[Tensor], Tensor]:
    """The function that brings points back to within eps of x and between the ends.

    For "linf" |z_i - x_i| <= eps in exact arithmetic: each end of the cube is a number of the
    dtype of x. For "l2" |z - x| <= eps, where the length is taken in float64 of what is returned:
    a point outside is drawn in along its radius, in float32 and float64 a little further than
    rounding could lead out again; in shorter dtypes, where that would be much of the budget, what
    rounding moved away from x is moved back by one number.

    Args:
        x: Samples (n, ...), the centres.
        eps: The radius, in units of x.
        norm: "l2" or "linf".
        ends: What every value lies between, as `ends` gives it; by default anything.

    Returns:
        A function of points (n, ...), which gives points of the dtype of x.
    """
    low, high = ends
    if norm == "linf":
        low, high = (-_farthest(-x, eps)).clamp(min=low), _farthest(x, eps).clamp(max=high)
        return lambda point: point.clamp(low, high)
    dtype = torch.promote_types(x.dtype, torch.float32)
    longest = torch.float32 if x.device.type == "mps" else torch.float64
    digit, center = torch.finfo(dtype).eps, x.to(dtype)
    # For three roundings of a coordinate, and for those of two sums of squares.
    radius = eps * max(0, 1 - 2 * digit - x[0].numel() * torch.finfo(longest).eps)
    if x.dtype == dtype:
        # And for the rounding of x + delta: a thousandth where eps is a ten-thousandth of |x|.
        radius = (radius - digit / 2 * (_length(x, longest) + eps)).clamp(min=0)

    def within(point: Tensor) -> Tensor:
        # In place: at MNIST's size fresh memory costs more than all the arithmetic.
        delta = point.to(dtype) - center
        length = _length(delta, longest).clamp_(min=torch.finfo(longest).tiny)
        delta *= (radius / length).clamp_(max=1).to(dtype)
        if x.dtype == dtype:
            return delta.add_(x).clamp_(low, high)
        moved = (center + delta).to(x.dtype)
        beyond = (moved.to(dtype) - center).abs() > delta.abs()
        return torch.where(beyond, moved.nextafter(x), moved).clamp_(low, high)

    return within


def _farthest(x: Tensor, eps: float | int) -> Tensor:
    """The largest number of the dtype of x that is at most x + eps, without rounding."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    budget = torch.tensor(eps, dtype=dtype)
    if budget.item() > eps:
        budget = budget.nextafter(torch.zeros_like(budget))
    eps, at = budget.item(), x.to(dtype)
    end = (at + eps).to(x.dtype)
    # The difference end - x is far + rest, both exactly (Knuth's two-sum).
    to = end.to(dtype)
    far = to - at
    part = far - to
    rest = (to - (far - part)) - (at + part)
    beyond = (far > eps) | ((far == eps) & (rest > 0))
    return end.where(~beyond, end.nextafter(torch.full_like(end, -math.inf)))


def steepest(gradient: Tensor, norm: str) -> Tensor:
    """The direction of length 1 in which the loss grows fastest; 0 where the gradient is.

    Args:
        gradient: Of the loss (n, ...).
        norm: "l2" or "linf", in which the length is taken.

    Returns:
        Directions (n, ...) in the dtype of the gradient.
    """
    if norm == "linf":
        return gradient.sign()
    length = _length(gradient)
    return (gradient / length.masked_fill(length == 0, 1)).to(gradient.dtype)


def _length(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    dtype = dtype or torch.promote_types(x.dtype, torch.float32)
    return with_axes_of(length_of(x, dtype=dtype), x)


def in_unit_ball(x: Tensor, norm: str, generator: torch.Generator) -> Tensor:
    """One point per sample, drawn evenly from the ball of radius 1 around 0.

    Args:
        x: Samples (n, ...), whose shape, dtype and device are taken.
        norm: "l2" or "linf".
        generator: What the points are drawn with.

    Returns:
        Points (n, ...).
    """
    n, dim = len(x), x[0].numel()
    if norm == "linf":
        point = 2 * torch.rand(n, dim, generator=generator, dtype=x.dtype) - 1
    else:
        # Even on the sphere in dim + 2 dimensions is even in the ball of its first dim axes. The
        # rows are drawn by sixteens, the block of torch's normal numbers, and the rest left over.
        rows = -(-n // 16) * 16
        point = torch.randn(rows, dim + 2, generator=generator, dtype=x.dtype)[:n]
        point = (point / _length(point))[:, :dim].to(x.dtype)
    return point.reshape(x.shape).to(x.device)


def ends(x: Tensor, bounds: Bounds | None) -> Ends:
    """The bounds as two numbers, or as two tensors of the shape of x.

    Args:
        x: Samples (n, ...).
        bounds: Lowest and highest value, each a number or one per channel; None for no bounds.

    Returns:
        The lower and the upper end.

    Raises:
        ValueError: For bounds whose shape does not fit x.
    """
    if bounds is None:
        return -math.inf, math.inf
    if not any(isinstance(end, Tensor) for end in bounds):
        return bounds
    low, high = (torch.as_tensor(end, dtype=x.dtype, device=x.device) for end in bounds)
    try:
        low, high = (_per_channel(end, x).expand_as(x) for end in (low, high))
    except RuntimeError:
        raise ValueError(
            f"Bounds of shape {tuple(low.shape)} and {tuple(high.shape)} do not fit x of shape "
            f"{tuple(x.shape)}: pass two numbers, or one for each channel."
        ) from None
    return low, high


def _per_channel(end: Tensor, x: Tensor) -> Tensor:
    return end.view(-1, *[1] * (x.ndim - 2)) if end.ndim == 1 else end


def refuse_outside(x: Tensor, ends: Ends) -> None:
    """Samples between the ends, or a sentence that counts the values outside.

    Args:
        x: Samples (n, ...); on device `meta` nothing is asked.
        ends: What every value has to lie between, as `ends` gives it.

    Raises:
        ValueError: For values outside.
    """
    if x.is_meta:
        return
    inside = x.clamp(*ends)
    outside = int(((inside < x) | (inside > x)).sum())
    if outside:
        raise ValueError(
            f"{outside} of {x.numel()} values of x lie outside the bounds, between "
            f"{x.min():.4g} and {x.max():.4g}: an attack would move them in for free, so pass "
            "the bounds of the data, (0, 1) for images."
        )
