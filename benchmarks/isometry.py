"""The isometric loss with its gradient, against a masked `cdist` and a loop over classes.

Claim: on a batch of 512 with ten classes, 784 values before and 128 after the map, at least twice
as fast as masking the matrices of `torch.cdist`, and at most twice the time of a loop over classes
with `pdist`. With two classes half of all pairs count, and no way is much faster than another.
`twins` is the relative error of the loss of pairs 1e-3 apart in data around 10, where `cdist` by
matrix multiplication is wrong by a factor.
"""

import torch
from torch.nn import functional

from benchmarks.rounds import Row, alternate, table
from companion.isometry import isometry_loss

__all__ = ["main"]


def main(*, small: bool = False) -> list[Row]:
    """Print time and errors of every way at four sizes; the rows, the masked `cdist` first."""
    sizes = [(60, 12, 5, 3)] if small else [(512, 784, 128, 10), (512, 784, 128, 2),
                                            (100, 784, 100, 10), (100, 64, 100, 10)]  # fmt: skip
    return [row for size in sizes for row in _compare(*size, rounds=2 if small else 21)]


def _compare(n, dim, width, classes, *, rounds):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, dim, generator=generator)
    z = torch.randn(n, width, generator=generator).requires_grad_()
    y = torch.arange(n) % classes
    ways = {"masked cdist": _masked, "pdist, class by class": _loop, "companion": isometry_loss}
    exact = _gradient(_definition, x.double(), z.detach().double().requires_grad_(), y)
    errors = {}
    for way, loss in ways.items():
        gradient = _gradient(loss, x, z, y).double()
        errors[way] = {
            "gradient": ((gradient - exact).norm() / exact.norm()).item(),
            "twins": _error_of_twins(loss, x, z.detach()),
        }
    timed = {way: (lambda loss=loss: _gradient(loss, x, z, y)) for way, loss in ways.items()}
    rows = alternate(timed, rounds=rounds, errors=errors)
    table(f"Loss and gradient, {n} x {dim} -> {width}, {classes} classes, float32", rows)
    return rows


def _gradient(loss, x, z, y):
    return torch.autograd.grad(loss(x, z, y), z)[0]


def _masked(x, z, y):
    error = torch.cdist(z, z) - torch.cdist(x, x)
    return (error * (y[:, None] == y)).square().mean()


def _loop(x, z, y):
    total = 0.0
    for label in y.unique():
        mine = y == label
        total = total + (functional.pdist(z[mine]) - functional.pdist(x[mine])).square().sum()
    return 2 * total / len(x) ** 2


def _definition(x, z, y):
    i, j = torch.triu_indices(len(x), len(x), 1)
    i, j = i[y[i] == y[j]], j[y[i] == y[j]]
    before, after = ((v[i] - v[j]).square().sum(1).sqrt() for v in (x, z))
    return 2 * (after - before).square().sum() / len(x) ** 2


def _error_of_twins(loss, x, z):
    # Classes of two: twins 1e-3 apart before the map, and one point after it.
    x, z = x + 10, z.clone()
    x[1::2] = x[::2] + (x[1::2] - 10) * 1e-3 / x.shape[1] ** 0.5
    z[1::2] = z[::2]
    y = torch.arange(len(x)) // 2
    return abs(loss(x, z, y) / _definition(x.double(), z.double(), y) - 1).item()


if __name__ == "__main__":
    main()
