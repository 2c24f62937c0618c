"""The cosines of the transform, and how images are taken apart and put together along both axes.

T[k, i] = a_k cos(pi (2i + 1) k / 2n), a_0 = sqrt(1/n), else sqrt(2/n): rows are orthonormal, so
that the transpose undoes it. Explained where the frequencies are used,
`book/boundaries/invariant_directions`.
"""

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "EVERY",
    "Rows",
    "analysis",
    "flipped",
    "reflection",
    "refuse_no_images",
    "refuse_no_numbers",
    "rows_of",
    "synthesis",
]

Rows = slice | np.ndarray  # of T: which frequencies of an axis

EVERY = slice(None)


@functools.lru_cache(maxsize=64)
def _matrix(n: int, dtype: str = "float64") -> np.ndarray:
    """T (n, n); the angle is reduced in whole numbers, so that no digit is lost."""
    k, i = np.ogrid[:n, :n]
    t = np.cos(math.pi / (2 * n) * ((2 * i + 1) * k % (4 * n))) * math.sqrt(2 / n)
    t[0] = math.sqrt(1 / n)
    return t.astype(dtype)


@functools.lru_cache(maxsize=64)
def _flip(n: int, dtype: str) -> np.ndarray:
    """T^T R T (n, n) with R the reversal of all frequencies: symmetric, its own inverse."""
    t = _matrix(n)
    return (t.T @ t[::-1]).astype(dtype)


def _beside(made: Callable[[int, str], np.ndarray], n: int, x: Tensor, rows: Rows) -> Tensor:
    """Rows of a matrix in the dtype of x and on its device, which is not waited for."""
    # Kept as arrays and not as tensors: those would belong to the mode that they were made in.
    values = made(n, "float64" if x.dtype == torch.float64 else "float32")[rows]
    return torch.from_numpy(values).to(x.device, non_blocking=True)


def rows_of(n: int, x: Tensor, rows: Rows = EVERY) -> Tensor:
    """Rows of the cosine matrix of an axis.

    Args:
        n: The length of the axis.
        x: What they will be multiplied with: its dtype and device decide.
        rows: Which frequencies; by default all.

    Returns:
        (k, n), one row per frequency.

    >>> rows_of(2, torch.zeros(1))
    tensor([[ 0.7071,  0.7071],
            [ 0.7071, -0.7071]])
    """
    return _beside(_matrix, n, x, rows)


def reflection(n: int, x: Tensor) -> Tensor:
    """The matrix that reverses all frequencies of an axis, in the domain of pixels.

    Args:
        n: The length of the axis.
        x: What it will be multiplied with: its dtype and device decide.

    Returns:
        (n, n), symmetric and its own inverse.

    >>> reflection(2, torch.zeros(1))
    tensor([[ 1.,  0.],
            [ 0., -1.]])
    """
    return _beside(_flip, n, x, EVERY)


def analysis(x: Tensor, rows: Rows = EVERY, columns: Rows = EVERY) -> Tensor:
    """Coefficients of images: T x T^T, of the frequencies that are asked for.

    Args:
        x: Images (m, h, w), float32 or wider.
        rows: Vertical frequencies; by default all.
        columns: Horizontal frequencies; by default all.

    Returns:
        (m, r, c).
    """
    high, wide = x.shape[-2:]
    return _both(rows_of(high, x, rows), x, rows_of(wide, x, columns).T)


def synthesis(
    c: Tensor, high: int, wide: int, rows: Rows = EVERY, columns: Rows = EVERY
) -> Tensor:
    """Images from coefficients, T^T c T; the frequencies that are left out are 0.

    Args:
        c: Coefficients (m, r, c), float32 or wider.
        high: Rows of an image.
        wide: Columns of an image.
        rows: The vertical frequencies of c.
        columns: The horizontal ones.

    Returns:
        (m, high, wide).
    """
    return _both(rows_of(high, c, rows).T, c, rows_of(wide, c, columns))


def flipped(x: Tensor) -> Tensor:
    """Images with both axes of frequencies reversed.

    Args:
        x: Images (m, h, w), float32 or wider.

    Returns:
        (m, h, w).
    """
    high, wide = x.shape[-2:]
    return _both(reflection(high, x), x, reflection(wide, x))


def _both(left: Tensor, x: Tensor, right: Tensor) -> Tensor:
    """left @ x @ right for each of the matrices x (m, h, w)."""
    # The fastest of five ways on one thread: image by image, then all rows in one product.
    down = left.expand(len(x), *left.shape).bmm(x)
    return (down.flatten(0, 1) @ right).view(*down.shape[:2], right.shape[1])


def refuse_no_numbers(x: Tensor, name: str = "x") -> None:
    """Name what is no tensor of floating-point numbers.

    Args:
        x: What was given.
        name: How the caller knows it.

    Raises:
        TypeError: For anything else.

    >>> refuse_no_numbers(torch.ones(2))
    """
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{name} is a {type(x).__name__}: a tensor of floating-point numbers is needed, so "
            f"pass torch.as_tensor({name})."
        )
    if not x.is_floating_point():
        raise TypeError(
            f"{name} holds {x.dtype} values: real floating-point numbers are needed, so pass "
            f"{name}.float()."
        )


def refuse_no_images(x: Tensor) -> None:
    """Name what has no two axes of pixels.

    Args:
        x: What was given.

    Raises:
        TypeError: For anything but a tensor of floating-point numbers.
        ValueError: For fewer than two axes, or an axis without pixels.

    >>> refuse_no_images(torch.ones(8, 8))
    """
    refuse_no_numbers(x)
    if x.ndim < 2 or 0 in x.shape[-2:]:
        raise ValueError(
            f"x has shape {tuple(x.shape)}: frequencies need images (..., height, width), so give "
            "it its last two axes back, as in x.view(n, 1, 28, 28)."
        )
