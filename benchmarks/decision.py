"""Hessian-vector products of a decision function, against other ways to make them.

Claim: reverse over reverse, several directions in one batch on one graph, is faster than forward
over reverse (`torch.func`) and than a graph for each direction, for one direction and for many.
The error is that of each way against the loop in float64.
"""

import copy
import warnings

import torch
from torch import nn

from benchmarks.rounds import Row, alternate, table
from companion.decision import DecisionFunction
from companion.models import MLP
from companion.training import initialised

__all__ = ["main"]


def main(*, small: bool = False) -> list[Row]:
    """Print time and error of each way; the rows, forward over reverse first."""
    shapes = [(4, (6,), 2)] if small else [
        (100, (784,), 1), (100, (784,), 6), (4, (784,), 64), (50, (1, 28, 28), 1),
        (50, (1, 28, 28), 6),
    ]  # fmt: skip
    rows = []
    for n, shape, k in shapes:
        rows += _compare(n, shape, k, rounds=2 if small else 9)
    return rows


def _network(shape):
    if len(shape) == 1:
        return MLP((*shape, 256, 128, 10), "softplus", beta=5.0)
    smooth = nn.Softplus(beta=5)
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), smooth, nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), smooth,
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(400, 120), smooth, nn.Linear(120, 10),
    )  # fmt: skip


def _compare(n, shape, k, *, rounds):
    model = initialised(lambda: _network(shape), seed=0).requires_grad_(False)
    dice = torch.Generator().manual_seed(0)
    x = torch.rand(n, *shape, generator=dice)
    v = torch.randn(k, *x.shape, generator=dice)
    F = DecisionFunction(model, x)

    def forward(one):
        def total(z):
            f = model(z)
            return (f.gather(1, F.rival[:, None]) - f.gather(1, F.own[:, None])).sum()

        return torch.func.jvp(torch.func.grad(total), (x,), (one,))[1]

    ways = {
        "forward over reverse": lambda: torch.stack([forward(one) for one in v]),
        "a graph for each direction": lambda: torch.stack([F.hvp(x, one) for one in v]),
        "companion.decision": lambda: F.hvp(x, v),
    }
    wide = DecisionFunction(copy.deepcopy(model).double(), x.double(), pair=(F.rival, F.own))
    exact = torch.stack([wide.hvp(x.double(), one) for one in v])
    with warnings.catch_warnings():
        # The first use of forward mode loads parts of torch that warn of torch's own old code.
        warnings.simplefilter("ignore", FutureWarning)
        errors = {way: {"error": _off(run(), exact)} for way, run in ways.items()}
    rows = alternate(ways, rounds=rounds, errors=errors)
    table(f"Hessian times {k} directions at {n} points, {'x'.join(map(str, shape))}", rows)
    return rows


def _off(found, exact):
    return float((found - exact).norm() / exact.norm())


if __name__ == "__main__":
    main()
