"""Toy sets whose geometry is known: linked circles, a torus, features along known directions.

All numbers are drawn in float64 on the CPU from a generator of their own, so a seed means the same
set on every device and in every dtype. Explained in the chapters that use them: linked circles
and torus in `book/distances/isometric_regularization`, the feature sets in
`book/boundaries/invariant_directions` and `book/boundaries/held_boundaries`, slabs by parity in
`book/boundaries/classification_regions`.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from companion.datasets.dataset import Dataset

__all__ = ["linked_circles", "one_feature", "parity_slabs", "slabs", "torus"]


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
    major_radius: float | int = 1.0,
    minor_radius: float | int = 0.66,
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
        major_radius: R, from the centre to the middle of the tube.
        minor_radius: r of the tube, smaller than R.
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
    if grid not in ("half-step", "published"):
        raise ValueError(f"grid is {grid!r}: 'half-step' or 'published' is needed, take one.")
    if not 2 <= bands <= min(side, test_side):
        raise ValueError(
            f"bands is {bands}, side {side} and test_side {test_side}: at least 2 bands and no "
            f"more than the rings of either grid are needed, change one of them."
        )
    if not 0 < minor_radius < major_radius:
        raise ValueError(
            f"minor_radius is {minor_radius} and major_radius {major_radius}: "
            f"0 < minor_radius < major_radius is needed for a torus that does not meet itself, "
            f"change one of them."
        )
    _not_negative(noise=noise)
    generator = torch.Generator().manual_seed(seed)

    def surface(side: int) -> tuple[Tensor, Tensor]:
        t, p = _angles(side, 0.5 if grid == "half-step" else 0.0)
        ring = major_radius + minor_radius * t.cos()
        x = torch.stack([ring * p.cos(), ring * p.sin(), minor_radius * t.sin()], dim=1)
        x = x + noise * torch.randn(x.shape, generator=generator, dtype=torch.float64)
        index = torch.arange(side**2)
        half_steps = 2 * torch.div(index, side, rounding_mode="floor") + 1
        whole = torch.div(half_steps * bands, 2 * side, rounding_mode="floor")
        cut = torch.div(index * bands, side**2, rounding_mode="floor")
        return x, whole if grid == "half-step" else cut

    x_train, y_train = surface(side)
    x_test, y_test = surface(test_side)
    low, high = x_train.aminmax() if rescale else (0.0, 1.0)
    x_train, x_test = [((x - low) / (high - low)).to(dtype) for x in (x_train, x_test)]
    names = tuple(map(str, range(bands)))
    return Dataset(
        x_train, y_train, x_test, y_test, "torus", names, hierarchy=_halvings(y_train, bands)
    )


def one_feature(
    eps: float | int,
    *,
    sigma: float | int = 1.0,
    n: int = 4000,
    dim: int = 100,
    n_test: int = 1000,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Dataset:
    """Two classes that differ along one direction only, 2 eps apart; noise along all others.

    x = eps s u_1 + sigma (z_2 u_2 + ... + z_D u_D), s = 2y - 1, z standard normal, y balanced.
    The u_j are the columns of `directions`: Q of the QR decomposition (diagonal of R positive) of
    a D x D Gaussian matrix drawn with `seed`, alike for every eps, sigma and n. The test set has
    the same directions and new noise. In x u_1 there is no noise: its absolute value is eps.

    Args:
        eps: Half the distance of the classes along u_1.
        sigma: Standard deviation of the noise along each other direction.
        n: How many training samples, at least 2.
        dim: D, how many axes a sample has, at least 2.
        n_test: How many test samples, at least 2.
        seed: What directions, labels and noise are drawn with.
        dtype: The dtype of samples and directions; by default float32.

    Returns:
        The data, named `one-feature`, with its `directions`.

    Raises:
        ValueError: For a negative or infinite eps or sigma, and for a size below 2.

    Construction after Ortiz-Jimenez, Modas, Moosavi-Dezfooli, Frossard (2020), constants ours.

    >>> data = one_feature(0.5, n=4, dim=3)
    >>> (data.x_train @ data.directions[:, 0]).abs()
    tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    _not_negative(eps=eps, sigma=sigma)
    _large_enough(n=n, n_test=n_test, dim=dim)
    generator = torch.Generator().manual_seed(seed)
    directions = _rotation(dim, generator)

    def draw(n: int) -> tuple[Tensor, Tensor]:
        y = _balanced(n, generator)
        z = sigma * _normal(n, dim, generator)
        z[:, 0] = eps * (2 * y - 1)
        return z @ directions.T, y

    return _along(directions, draw(n), draw(n_test), "one-feature", ("0", "1"), dtype)


def slabs(
    eps: float | int,
    *,
    rho: float | int = 10.0,
    sigma: float | int = 1.0,
    n: int = 4000,
    dim: int = 100,
    n_slabs: int = 5,
    jitter: float | int = 0.0,
    n_test: int = 1000,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Dataset:
    """Two classes in alternating slabs rho apart along u_2, and 2 eps apart along u_1.

    x = eps s u_1 + rho k u_2 + sigma (z_3 u_3 + ... + z_D u_D), s = 2y - 1, y balanced. k is
    uniform over the even integers of -(n_slabs - 1)/2 ... (n_slabs - 1)/2 if y = 1, over the odd
    ones if y = 0. With eps = 0 only the slabs tell the classes apart; with eps > 0 a plane across
    u_1 does. Directions and test set as in `one_feature`.

    Args:
        eps: Half the distance of the classes along u_1.
        rho: Distance of neighbouring slabs along u_2.
        sigma: Standard deviation of the noise along u_3 ... u_D.
        n: How many training samples, at least 2.
        dim: D, how many axes a sample has, at least 2.
        n_slabs: How many slabs, an odd number from 3 on.
        jitter: Standard deviation of Gaussian noise along u_1 and u_2; by default none.
        n_test: How many test samples, at least 2.
        seed: What directions, labels, slabs and noise are drawn with.
        dtype: The dtype of samples and directions; by default float32.

    Returns:
        The data, named `slabs`, with its `directions`.

    Raises:
        ValueError: For a negative or infinite eps, rho, sigma or jitter, a size below 2, and an
            n_slabs that is even or below 3.

    Construction after Ortiz-Jimenez, Modas, Moosavi-Dezfooli, Frossard (2020), constants ours.

    >>> data = slabs(0.5, n=200, dim=3)
    >>> (data.x_train @ data.directions[:, 1]).round().unique()        # five slabs, 10 apart
    tensor([-20., -10.,   0.,  10.,  20.])
    """
    _not_negative(eps=eps, rho=rho, sigma=sigma, jitter=jitter)
    _large_enough(n=n, n_test=n_test, dim=dim)
    if n_slabs < 3 or n_slabs % 2 == 0:
        raise ValueError(
            f"n_slabs is {n_slabs}: an odd number from 3 on is needed so that the slabs are "
            f"centred and both classes have one, take {max(3, n_slabs + 1)}."
        )
    generator = torch.Generator().manual_seed(seed)
    directions = _rotation(dim, generator)
    places = torch.arange(n_slabs) - n_slabs // 2

    def draw(n: int) -> tuple[Tensor, Tensor]:
        y = _balanced(n, generator)
        z = _normal(n, dim, generator)
        z[:, :2] *= jitter
        z[:, 2:] *= sigma
        z[:, 0] += eps * (2 * y - 1)
        z[:, 1] += rho * torch.where(
            y == 1,
            _uniform(places[places % 2 == 0], n, generator),
            _uniform(places[places % 2 == 1], n, generator),
        )
        return z @ directions.T, y

    return _along(directions, draw(n), draw(n_test), "slabs", ("0", "1"), dtype)


def parity_slabs(
    *,
    n: int = 2000,
    dim: int = 10,
    n_slabs: int = 4,
    thickness: float | int = 0.15,
    sigma: float | int = 0.3,
    n_test: int = 1000,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Dataset:
    """Slabs at 0, 1, 2, ... along x_1 whose class is the parity of round(x_1): no class connected.

    x_1 is normal with s.d. `thickness` about the slab's place, all other axes are normal with s.d.
    `sigma` about 0; the slabs hold equally many samples. The sign of cos(pi x_1) classifies
    exactly (even: positive). `directions` are the axes. The test set is a new draw.

    Args:
        n: How many training samples, at least 2.
        dim: How many axes a sample has, at least 2.
        n_slabs: How many slabs, at least 2.
        thickness: Standard deviation along x_1 about the slab's place.
        sigma: Standard deviation along each other axis.
        n_test: How many test samples, at least 2.
        seed: What slabs and noise are drawn with.
        dtype: The dtype of samples and directions; by default float32.

    Returns:
        The data, named `parity-slabs`, with its `directions`.

    Raises:
        ValueError: For a negative or infinite thickness or sigma, a size below 2, fewer than 2
            slabs.

    >>> data = parity_slabs(n=100)
    >>> bool((data.x_train[:, 0].round() % 2 == data.y_train).all())
    True
    """
    _not_negative(thickness=thickness, sigma=sigma)
    _large_enough(n=n, n_test=n_test, dim=dim)
    if n_slabs < 2:
        raise ValueError(f"n_slabs is {n_slabs}: both classes need a slab, ask for 2 or more.")
    generator = torch.Generator().manual_seed(seed)

    def draw(n: int) -> tuple[Tensor, Tensor]:
        place = (torch.arange(n) % n_slabs)[torch.randperm(n, generator=generator)]
        x = _normal(n, dim, generator)
        x[:, 0] = place + thickness * x[:, 0]
        x[:, 1:] *= sigma
        x = x.to(dtype)
        # From the rounded numbers: the class is exact for the samples as they are returned.
        return x, x[:, 0].round().remainder(2).long()

    axes = torch.eye(dim, dtype=torch.float64)
    return _along(axes, draw(n), draw(n_test), "parity-slabs", ("even", "odd"), dtype)


def _angles(side: int, start: float) -> tuple[Tensor, Tensor]:
    steps = 2 * math.pi * (torch.arange(side, dtype=torch.float64) + start) / side
    return steps.repeat_interleave(side), steps.repeat(side)


def _halvings(y: Tensor, bands: int) -> Tensor | None:
    levels = bands.bit_length() - 1
    if bands != 2**levels:
        return None
    halvings = [y >> (levels - 1 - level) for level in range(levels)]
    return torch.stack(halvings, dim=1)


def _rotation(dim: int, generator: torch.Generator) -> Tensor:
    # With the diagonal of R positive the decomposition is unique, whatever library computes it.
    q, r = torch.linalg.qr(_normal(dim, dim, generator))
    return q * r.diagonal().sign()


def _normal(n: int, dim: int, generator: torch.Generator) -> Tensor:
    return torch.randn(n, dim, generator=generator, dtype=torch.float64)


def _balanced(n: int, generator: torch.Generator) -> Tensor:
    return (torch.arange(n) % 2)[torch.randperm(n, generator=generator)]


def _uniform(values: Tensor, n: int, generator: torch.Generator) -> Tensor:
    return values[torch.randint(len(values), (n,), generator=generator)]


def _along(
    directions: Tensor,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    name: str,
    classes: tuple[str, ...],
    dtype: torch.dtype,
) -> Dataset:
    (x_train, y_train), (x_test, y_test) = train, test
    return Dataset(
        x_train.to(dtype),
        y_train,
        x_test.to(dtype),
        y_test,
        name,
        classes,
        directions=directions.to(dtype),
    )


def _not_negative(**amounts: float | int) -> None:
    for option, amount in amounts.items():
        if not 0 <= amount < math.inf:
            raise ValueError(
                f"{option} is {amount}: a finite number that is not negative is needed, change it."
            )


def _large_enough(**sizes: int) -> None:
    for option, size in sizes.items():
        if size < 2:
            raise ValueError(f"{option} is {size}: at least 2 is needed, ask for more.")
