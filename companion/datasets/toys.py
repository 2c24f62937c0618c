"""Toy sets whose shape is known: linked circles and a torus.

All numbers are drawn in float64 on the CPU from a generator of their own, so a seed means the same
set on every device and in every dtype. Explained in the chapter
`book/distances/isometric_regularization`.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from companion.datasets.dataset import Dataset

__all__ = ["linked_circles", "torus"]


def linked_circles(*, points: int = 200, dtype: torch.dtype = torch.float32) -> Dataset:
    """Two linked unit circles in space, one class each: no plane and no rigid motion parts them.

    A(t) = (cos t, sin t, 0), B(t) = (1 + cos t, 0, sin t) at t = 2 pi i / points. The test set
    lies halfway between, at t = 2 pi (i + 1/2) / points. No noise, no randomness. Each circle
    passes through the centre of the other; the circles are nowhere closer than 1.

    Args:
        points: How many samples on each circle, to train and to test; at least 3.
        dtype: The dtype of the samples; by default float32.

    Returns:
        The data, named `linked-circles`, with classes A and B.

    Raises:
        ValueError: For fewer than 3 points.

    >>> linked_circles(points=4).x_train[:2].round()
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if points < 3:
        raise ValueError(
            f"points is {points}: a circle needs at least 3 points, ask for 3 or more on each."
        )

    def circles(start: float) -> Tensor:
        t = 2 * math.pi * (torch.arange(points, dtype=torch.float64) + start) / points
        zero = torch.zeros_like(t)
        a = torch.stack([t.cos(), t.sin(), zero], dim=1)
        b = torch.stack([1 + t.cos(), zero, t.sin()], dim=1)
        return torch.cat([a, b]).to(dtype)

    y = torch.arange(2).repeat_interleave(points)
    return Dataset(circles(0.0), y, circles(0.5), y, "linked-circles", ("A", "B"))


def torus(
    *,
    side: int = 40,
    bands: int = 8,
    radii: tuple[float | int, float | int] = (1.0, 0.66),
    grid: Literal["half-step", "published"] = "half-step",
    noise: float | int = 0.0,
    rescale: bool = False,
    test_side: int = 60,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Dataset:
    """A torus in space cut into `bands` rings around its tube, with its hierarchy of halvings.

    x = ((R + r cos t) cos p, (R + r cos t) sin p, r sin t) on a grid of side x side angles, t
    (round the tube) the slow index. The test set is a test_side x test_side grid of the same kind,
    with its own noise.

    Args:
        side: How many angles of either kind the training grid has.
        bands: How many classes, from 2 to the number of rings of either grid.
        radii: R, from the centre to the middle of the tube, and r of the tube, smaller than R.
        grid: "half-step": angles 2 pi (i + 1/2) / side, label floor(bands t / 2 pi), so that a
            band is made of whole rings and the first halving (upper and lower half) can be cut by
            a plane. "published": angles 2 pi i / side, labels cut the flattened index into equal
            intervals; there the ring t = pi lies in the hull of the ring t = 0, so that no plane
            makes the first cut, and where bands does not divide side a ring is cut in two.
        noise: Standard deviation of the Gaussian noise that is added to training and test samples;
            by default none.
        rescale: Whether to take (x - low) / (high - low) with the smallest and largest coordinate
            of the training samples, after the noise, as the published hierarchical script does.
        test_side: How many angles of either kind the test grid has.
        seed: What the noise is drawn with.
        dtype: The dtype of the samples; by default float32.

    Returns:
        The data, named `torus`; for a power of two its `hierarchy` (n, log2 bands) is, coarse
        first, label // bands * 2, ..., label (for test labels the same divisions apply), else
        None.

    Raises:
        ValueError: For an unknown grid, a number of bands or radii out of range, negative noise.

    Sizes by default: Beshkov, Verhellen, Lepperød (2022), flat labels; their hierarchical runs
    have R 0.67, r 0.33, noise 1e-3. The half steps are ours.

    >>> data = torus(side=8, bands=4)
    >>> data.hierarchy[::8].T                       # one column per ring: halves, then quarters
    tensor([[0, 0, 0, 0, 1, 1, 1, 1],
            [0, 0, 1, 1, 2, 2, 3, 3]])
    """
    _refuse_what_is_no_torus(grid, bands, min(side, test_side), radii)
    not_negative(noise=noise)
    generator = torch.Generator().manual_seed(seed)
    R, r = radii

    def surface(side: int) -> tuple[Tensor, Tensor]:
        t, p = _angles(side, 0.5 if grid == "half-step" else 0.0)
        ring = R + r * t.cos()
        x = torch.stack([ring * p.cos(), ring * p.sin(), r * t.sin()], dim=1)
        x = x + noise * torch.randn(x.shape, generator=generator, dtype=torch.float64)
        return x, _bands(side, bands, whole=grid == "half-step")

    x_train, y_train = surface(side)
    x_test, y_test = surface(test_side)
    low, high = x_train.aminmax() if rescale else (0.0, 1.0)
    x_train, x_test = [((x - low) / (high - low)).to(dtype) for x in (x_train, x_test)]
    names = tuple(map(str, range(bands)))
    return Dataset(
        x_train, y_train, x_test, y_test, "torus", names, hierarchy=_halvings(y_train, bands)
    )


def _refuse_what_is_no_torus(
    grid: str, bands: int, rings: int, radii: tuple[float | int, float | int]
) -> None:
    if grid not in ("half-step", "published"):
        raise ValueError(f"grid is {grid!r}: 'half-step' or 'published' is needed, take one.")
    if not 2 <= bands <= rings:
        raise ValueError(
            f"bands is {bands} and the smaller of side and test_side {rings}: at least 2 bands "
            f"and no more than the rings of either grid are needed, change one of them."
        )
    if not (len(radii) == 2 and 0 < radii[1] < radii[0]):
        raise ValueError(
            f"radii is {radii}: R and r with 0 < r < R are needed for a torus that does not meet "
            f"itself, change one of them."
        )


def _angles(side: int, start: float) -> tuple[Tensor, Tensor]:
    steps = 2 * math.pi * (torch.arange(side, dtype=torch.float64) + start) / side
    return steps.repeat_interleave(side), steps.repeat(side)


def _bands(side: int, bands: int, *, whole: bool) -> Tensor:
    """The band of each angle: of whole rings by their half steps, or cut by the flat index."""
    index = torch.arange(side**2)
    if not whole:
        return torch.div(index * bands, side**2, rounding_mode="floor")
    half_steps = 2 * torch.div(index, side, rounding_mode="floor") + 1
    return torch.div(half_steps * bands, 2 * side, rounding_mode="floor")


def _halvings(y: Tensor, bands: int) -> Tensor | None:
    levels = bands.bit_length() - 1
    if bands != 2**levels:
        return None
    halvings = [y >> (levels - 1 - level) for level in range(levels)]
    return torch.stack(halvings, dim=1)


def not_negative(**amounts: float | int) -> None:
    """Refuse amounts that are negative, infinite or NaN, each under its name."""
    for option, amount in amounts.items():
        if not 0 <= amount < math.inf:
            raise ValueError(
                f"{option} is {amount}: a finite number that is not negative is needed, change it."
            )
