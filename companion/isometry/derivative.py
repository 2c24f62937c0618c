"""What a map does to a direction at a point: the norm of a directional derivative.

Explained in the chapter `book/distances/isometric_regularization`.
"""

import functools
import warnings
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from companion import borrow
from companion.isometry.penalty import tapped

__all__ = ["stretch"]


def stretch(
    model: nn.Module | Callable[[Tensor], Tensor],
    x: Float[Tensor, "n ..."],
    v: Float[Tensor, "..."],
    *,
    layer: str | None = None,
) -> Float[Tensor, "..."]:
    """Length of J v at each sample, in units of the representation per unit of the input.

    J is the derivative at x of what a layer makes of a sample, flattened; for a unit vector v the
    result is the factor by which the map stretches that direction: 1 for an isometry. A kink has
    the derivative that torch gives it.

    Args:
        model: A module or function that takes (n, ...); it is borrowed: evaluation mode, each
            sample on its own, everything as before afterwards.
        x: Samples (n, ...), at least one.
        v: Directions of the shape of x, one per sample, or (k, n, ...) for k directions at once.
        layer: A name as `models.representations` gives it; by default the whole model.

    Returns:
        Lengths (n,), or (k, n) for k directions; without a gradient.

    Raises:
        ValueError: For v of another shape, an empty x, a layer that is not called, and a model
            that answers NaN or at random.
        TypeError: For a layer of what is no module.

    Forward mode: J is never built; relative error a few eps of the dtype (checked against J).
    Cost: about four forward passes per direction, in chunks of about 64 MiB.

    >>> x, v = torch.zeros(1, 2), torch.eye(2)[:, None]     # two directions at one point
    >>> stretch(lambda x: x * torch.tensor([3.0, 0.5]), x, v)
    tensor([[3.0000],
            [0.5000]])
    """
    if v.shape != x.shape and v.shape[1:] != x.shape:
        raise ValueError(
            f"v has shape {tuple(v.shape)} and x {tuple(x.shape)}: one direction per sample is "
            "needed, so pass v of the shape of x, or (k, *x.shape) for k directions."
        )
    if len(x) == 0:
        raise ValueError("x holds no sample: pass at least one row.")
    if layer is not None and not isinstance(model, nn.Module):
        raise TypeError(
            f"layer = {layer!r} was asked of a {type(model).__name__}: only a torch.nn.Module has "
            "named layers, so pass one, or leave layer at None."
        )
    shape = v.shape[: v.ndim - x.ndim + 1]
    x = x.detach()
    # A sample that meets k directions goes through k times: the chunk is bounded in both.
    points = x.expand_as(v).reshape(-1, *x.shape[1:]).contiguous()
    v = v.detach().to(x.dtype).reshape(points.shape).contiguous()
    # As for representations, and twice: the derivative travels beside the values.
    size = borrow.chunks(len(points), 2 * 16 * x[0].numel())
    lengths = []
    _load_forward_mode()
    with borrow.borrowed(model, x) as lent:
        for at, along in zip(points.split(size), v.split(size), strict=True):
            z, jv = torch.func.jvp(_map(lent, layer), (at,), (along,))
            borrow.refuse_nan(z)
            lengths.append(torch.linalg.vector_norm(jv.reshape(len(jv), -1), dim=1))
    return torch.cat(lengths).view(shape)


def _map(model: Callable[[Tensor], Tensor], layer: str | None) -> Callable[[Tensor], Tensor]:
    return model if layer is None else lambda x: tapped(model, x, layer)


@functools.cache
def _load_forward_mode() -> None:
    # The first use of forward mode loads parts of torch that warn of torch's own old code.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.func.jvp(torch.sin, (torch.zeros(1),), (torch.ones(1),))
