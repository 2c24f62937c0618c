"""The decision function to second order: products with its Hessian, exact or at a scale."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Taylor", "difference", "exact"]


@dataclass(frozen=True)
class Taylor:
    """F(x + v) = value + <gradient, v> + <v, hvp(v)> / 2 + ..., at each sample x.

    Args:
        value: F at x (n,).
        gradient: Its gradient, of the shape of x.
        hvp: The Hessian of F at x as a function: it takes directions v of the shape of x, or
            (k, n, ...) for k of them at once, and returns Hv of the shape of v.
    """

    value: Float[Tensor, " n"]
    gradient: Float[Tensor, "n ..."]
    hvp: Callable[[Tensor], Tensor] = field(repr=False)


def exact(gradient: Tensor, x: Tensor) -> Callable[[Tensor], Tensor]:
    """Hv for v (k, m, ...), where the graph of the gradient is at hand: reverse over reverse.

    Args:
        gradient: Of the function at x (m, ...), with its graph.
        x: Samples (m, ...) that ask for gradients.

    Returns:
        A function of v that gives Hv.
    """

    def product(v: Tensor) -> Tensor:
        if not gradient.requires_grad:
            return torch.zeros_like(v)
        # A batch of one is slower than none.
        batched = len(v) > 1
        along = v if batched else v[0]
        (product,) = torch.autograd.grad(
            gradient, x, along, retain_graph=True, is_grads_batched=batched,
            allow_unused=True, materialize_grads=True,
        )  # fmt: skip
        return product.view(v.shape)

    return product


def difference(
    gradient: Callable[[Tensor], Tensor], x: Tensor, h: float | int
) -> Callable[[Tensor], Tensor]:
    """Hv for v (k, m, ...) from gradients h before and behind x: a central difference.

    Args:
        gradient: The function that gives the gradient at points (m, ...).
        x: Samples (m, ...).
        h: The length of a step, in units of x.

    Returns:
        A function of v that gives Hv.
    """

    def product(v: Tensor) -> Tensor:
        length = _length(v)
        step = h * v / length.masked_fill(length == 0, 1)
        up, down = (torch.stack([gradient(x + at) for at in side]) for side in (step, -step))
        return (up - down) * (length / (2 * h))

    return product


def _length(v: Tensor) -> Tensor:
    """Length of each direction (k, m, ...), as (k, m, 1, ...)."""
    wide = torch.promote_types(v.dtype, torch.float32)
    length = torch.linalg.vector_norm(v.flatten(2), dim=2, dtype=wide).to(v.dtype)
    return length.view(*v.shape[:2], *[1] * (v.ndim - 2))
