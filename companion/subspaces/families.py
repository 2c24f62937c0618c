"""Families of subspaces: blocks of frequencies along the diagonal, and random ones.

Explained in `book/boundaries/invariant_directions`.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from companion.subspaces.parts import Columns
from companion.subspaces.subspace import Subspace, image_sides

__all__ = ["dct_diagonal", "random"]


def dct_diagonal(image_shape: Sequence[int], *, size: int, step: int) -> list[Subspace]:
    """Square blocks of frequencies along the diagonal, from the lowest to the highest.

    Block k holds, of every channel, the coefficients [k step, k step + size) of both axes, as long
    as k step + size is at most the shorter side: dimension channels * size^2 each. The first holds
    the mean. Frequencies low in one axis and high in the other lie in no block, and of an image
    that is not square those of the longer axis above the shorter side.

    Args:
        image_shape: (channels, height, width).
        size: The side of a block, in frequencies.
        step: How far, in frequencies, a block lies from the one before; smaller than size, the
            blocks overlap.

    Returns:
        The blocks in order of their frequencies, each kept as its index set.

    Raises:
        ValueError: For an image shape that is none, a size that does not fit, a step below 1.

    Sizes in the source: MNIST 8 and 1 (21 blocks), CIFAR-10 8 and 2 (13), ImageNet 16 and 16 (14,
    disjoint); here digits 3 and 1 (6). Source: Ortiz-Jimenez, Modas, Moosavi-Dezfooli, Frossard
    (2020), their code.

    >>> blocks = dct_diagonal((1, 28, 28), size=8, step=1)
    >>> len(blocks), blocks[0]
    (21, Subspace(dim=64, ambient=784, frequencies of images (1, 28, 28)))
    """
    _, high, wide = image_sides(image_shape)
    if not 1 <= size <= min(high, wide):
        raise ValueError(
            f"size is {size} and an image {high} x {wide}: a square of frequencies needs a side "
            f"from 1 to {min(high, wide)}, so change size."
        )
    if step < 1:
        raise ValueError(f"step is {step}: blocks move on by 1 frequency or more, so change step.")
    blocks = []
    for start in range(0, min(high, wide) - size + 1, step):
        index = torch.zeros(high, wide, dtype=torch.bool)
        index[start : start + size, start : start + size] = True
        blocks.append(Subspace.from_index(image_shape, index))
    return blocks


def random(
    shape: Sequence[int],
    dim: int,
    *,
    within: Subspace | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Subspace:
    """A random subspace, every direction as likely as any other.

    The span of Gaussian vectors, which are projected into `within` first: uniform among the
    subspaces of this dimension that lie in it. A unit vector w has there |P^T w|^2 ~
    Beta(dim / 2, (D - dim) / 2) with mean dim / D, D the dimension of `within`.

    Args:
        shape: Of a sample, as x.shape[1:].
        dim: How many dimensions, from 1 on.
        within: Where it has to lie, as `complement(directions)`; by default anywhere.
        seed: What it is drawn with. Of one seed the subspace of fewer dimensions lies in that of
            more.
        dtype: Of the basis, by default float32; it is drawn and made orthonormal in float64.
        device: Where the basis is put. It is drawn on the CPU: one seed is one subspace
            everywhere.

    Returns:
        The subspace, kept as its basis (D, dim).

    Raises:
        ValueError: For a dim below 1 or larger than the space, and for a `within` of another
            size than the shape.

    Cost: D dim^2 multiply-adds, and two copies of the basis in float64.

    >>> from companion.subspaces import complement
    >>> w = torch.tensor([[3.0, 4.0, 0.0]])
    >>> random((3,), 2, within=complement(w.T / 5)).length(w).round(decimals=5)
    tensor([0.])
    """
    size = _numbers(shape)
    if within is not None and within.ambient != size:
        raise ValueError(
            f"within lies in {within.ambient} dimensions and a sample of shape {tuple(shape)} has "
            f"{size} numbers: both must be of one space, so change one of them."
        )
    room = size if within is None else within.dim
    if not 1 <= dim <= room:
        raise ValueError(
            f"dim is {dim} and the space to draw from has {room} dimensions: from 1 to {room} fit "
            "into it, so change dim."
        )
    drawn = _gaussian(dim, size, seed)
    if within is None:
        basis = torch.linalg.qr(drawn.T).Q
    else:
        inside = within.to("cpu").project
        # Once more afterwards: the decomposition enlarges what rounding left outside.
        basis = inside(torch.linalg.qr(inside(drawn).T).Q.T).T
    return Subspace._of(Columns(basis.to(dtype).to(device)))


def _gaussian(dim: int, size: int, seed: int) -> Tensor:
    """Rows (dim, size), one after another, so that more of them begin with the same."""
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randn(size, generator=generator, dtype=torch.float64) for _ in range(dim)]
    return torch.stack(rows)


def _numbers(shape: Sequence[int]) -> int:
    """How many numbers a sample has."""
    sides = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    if not isinstance(shape, Sequence) or not all(isinstance(n, int) and n >= 1 for n in sides):
        raise ValueError(
            f"shape is {shape}: the shape of one sample is needed, such as (784,) or (1, 28, 28), "
            "so pass x.shape[1:]."
        )
    return math.prod(sides)
