"""Toy sets of features along known directions: one feature, slabs, slabs by parity.

All numbers are drawn as in `toys`. Explained in the chapters that use them: one feature and slabs
in `book/boundaries/invariant_directions` and `book/boundaries/held_boundaries`, slabs by parity in
`book/boundaries/classification_regions`.
"""

import torch
from torch import Tensor

from companion.datasets.dataset import Dataset
from companion.datasets.toys import not_negative

__all__ = ["one_feature", "parity_slabs", "slabs"]


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
    not_negative(eps=eps, sigma=sigma)
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
    sigma: float | int | tuple[float | int, float | int] = 1.0,
    n: int = 4000,
    dim: int = 100,
    n_slabs: int = 5,
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
        sigma: Standard deviation of the noise along u_3 ... u_D; of two numbers the first is that
            along u_1 and u_2, which by default have none.
        n: How many training samples, at least 2.
        dim: D, how many axes a sample has, at least 2.
        n_slabs: How many slabs, an odd number from 3 on.
        n_test: How many test samples, at least 2.
        seed: What directions, labels, slabs and noise are drawn with.
        dtype: The dtype of samples and directions; by default float32.

    Returns:
        The data, named `slabs`, with its `directions`.

    Raises:
        ValueError: For a negative or infinite eps, rho or sigma, a size below 2, and an n_slabs
            that is even or below 3.

    Construction after Ortiz-Jimenez, Modas, Moosavi-Dezfooli, Frossard (2020), constants ours.

    >>> data = slabs(0.5, n=200, dim=3)
    >>> (data.x_train @ data.directions[:, 1]).round().unique()        # five slabs, 10 apart
    tensor([-20., -10.,   0.,  10.,  20.])
    """
    jitter, sigma = sigma if isinstance(sigma, tuple) else (0.0, sigma)
    not_negative(eps=eps, rho=rho, sigma=sigma)
    not_negative(sigma=jitter)
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
    not_negative(thickness=thickness, sigma=sigma)
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


def _large_enough(**sizes: int) -> None:
    for option, size in sizes.items():
        if size < 2:
            raise ValueError(f"{option} is {size}: at least 2 is needed, ask for more.")
