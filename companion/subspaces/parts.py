"""The two ways in which a subspace is kept: columns of a matrix, or an index set of frequencies.

Both give coordinates of rows (n, D), and the rows that coordinates stand for. Explained in
`book/boundaries/invariant_directions`.
"""

import numpy as np
import torch
from torch import Tensor

from companion.subspaces.cosines import Rows, analysis, rows_of, synthesis

__all__ = ["Columns", "Frequencies"]


class Columns:
    """A subspace as the orthonormal columns of P: coordinates P^T x.

    Args:
        basis: P (D, k), float32 or float64; not checked here.
    """

    def __init__(self, basis: Tensor) -> None:
        self.columns = basis
        self.ambient, self.dim = basis.shape

    def beside(self, x: Tensor) -> Tensor:
        """P in the dtype of x; refuses samples on another device.

        Args:
            x: Samples (n, ...).
        """
        if x.device != self.columns.device:
            raise ValueError(
                f"x is on {x.device} and the basis of the subspace on {self.columns.device}: both "
                "have to lie on one device, so take subspace.to(x.device) once and use it there."
            )
        return self.columns.to(x.dtype)

    def coordinates(self, x: Tensor) -> Tensor:
        """Coordinates (n, k) of samples (n, ...).

        Args:
            x: Samples (n, ...), float32 or wider.
        """
        if x.shape[1:].numel() != self.ambient:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, {x.shape[1:].numel()} numbers a sample, and the "
                f"subspace lies in {self.ambient} dimensions: samples (n, ...) of as many numbers "
                "are needed, so take a subspace of their space, or x[None] for a single sample."
            )
        return x.flatten(1) @ self.beside(x)

    def lift(self, c: Tensor) -> Tensor:
        """The rows (n, D) that coordinates (n, k) stand for.

        Args:
            c: Coordinates (n, k).
        """
        return c @ self.beside(c).T

    def basis(self) -> Tensor:
        """P (D, k)."""
        return self.columns

    def others(self) -> Tensor:
        """An orthonormal basis (D, D - k) of the complement."""
        q = torch.linalg.qr(self.columns.double(), mode="complete").Q
        return q[:, self.dim :].to(self.columns.dtype)


class Frequencies:
    """A subspace as a set of coefficients of the cosine transform of images.

    The coefficients are computed in the smallest rows x columns that hold the set, and those in
    it that do not belong to the set are set to 0.

    Args:
        mask: (channels, height, width), True for the frequencies that belong to it, on the CPU.
    """

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask
        self.shape = tuple(mask.shape)
        self.ambient, self.dim = mask.numel(), int(mask.sum())
        rows, columns = (mask.any(0).any(axis).nonzero().flatten() for axis in (1, 0))
        box = mask[:, rows][:, :, columns]
        self.size = box.numel()
        self.holes = None if box.all() else box
        self.rows, self.columns = _slice(rows.numpy()), _slice(columns.numpy())

    def coordinates(self, x: Tensor) -> Tensor:
        """Coefficients (n, channels, r, c) of samples (n, ...).

        Args:
            x: Samples (n, channels, height, width) or (n, D), float32 or wider.
        """
        channels, high, wide = self.shape
        if x.shape[1:].numel() != self.ambient or (x.ndim > 2 and x.shape[-2:] != (high, wide)):
            raise ValueError(
                f"x has shape {tuple(x.shape)} and the subspace holds frequencies of images "
                f"{self.shape}: samples (n, {channels}, {high}, {wide}) are needed, so make the "
                "subspace for the shape of x[0], or pass x[None] for a single sample."
            )
        c = analysis(x.reshape(len(x) * channels, high, wide), self.rows, self.columns)
        c = c.view(len(x), channels, *c.shape[1:])
        if self.holes is None:
            return c
        return c * self.holes.to(c.device, non_blocking=True)

    def lift(self, c: Tensor) -> Tensor:
        """The rows (n, D) that coefficients stand for.

        Args:
            c: Coefficients (n, channels, r, c).
        """
        _, high, wide = self.shape
        images = synthesis(c.flatten(0, 1), high, wide, self.rows, self.columns)
        return images.view(len(c), self.ambient)

    def basis(self) -> Tensor:
        """An orthonormal basis (D, k), float64, one wave per frequency."""
        return waves(self.mask)

    def others(self) -> Tensor:
        """An orthonormal basis (D, D - k) of the complement, float64."""
        return waves(~self.mask)


def waves(mask: Tensor) -> Tensor:
    """The waves of chosen frequencies as columns.

    Args:
        mask: (channels, height, width), True for those that are wanted.

    Returns:
        (D, k), float64.

    >>> waves(torch.tensor([[[True, False]]]))
    tensor([[0.7071],
            [0.7071]], dtype=torch.float64)
    """
    channel, row, column = mask.nonzero(as_tuple=True)
    high, wide = mask.shape[1:]
    like = torch.empty(0, dtype=torch.float64)
    down, across = rows_of(high, like)[row], rows_of(wide, like)[column]
    images = torch.zeros(len(channel), *mask.shape, dtype=torch.float64)
    images[torch.arange(len(channel)), channel] = down[:, :, None] * across[:, None, :]
    return images.flatten(1).T


def _slice(index: np.ndarray) -> Rows:
    """The same as a slice where it has no gaps, which copies nothing."""
    whole = len(index) and index[-1] - index[0] + 1 == len(index)
    return slice(int(index[0]), int(index[-1]) + 1) if whole else index
