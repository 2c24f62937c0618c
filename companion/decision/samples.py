"""One number for each sample: the length of a direction, and a number with the axes of the input.

What the walks of this room and the attacks above it share; explained in `book/prologue`.
"""

import torch
from torch import Tensor

__all__ = ["length_of", "with_axes_of"]


def length_of(v: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
    """Euclidean length of each direction, in units of v.

    Args:
        v: Directions (n, ...).
        dtype: What is summed in and returned; by default that of v.

    Returns:
        One length per direction (n,).

    >>> length_of(torch.tensor([[[3.0], [4.0]]]))
    tensor([5.])
    """
    return torch.linalg.vector_norm(v.flatten(1), dim=1, dtype=dtype)


def with_axes_of(per_sample: Tensor, x: Tensor) -> Tensor:
    """One number per sample, with as many axes as x.

    Args:
        per_sample: Numbers (n,).
        x: Samples (n, ...).

    Returns:
        The numbers (n, 1, ...).

    >>> with_axes_of(torch.ones(2), torch.ones(2, 1, 8, 8)).shape
    torch.Size([2, 1, 1, 1])
    """
    return per_sample.view(-1, *[1] * (x.ndim - 1))
