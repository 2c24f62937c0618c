"""Training against the plain loop with a DataLoader, and with a penalty on a layer.

Claims: `fit` on tensors in memory is faster than the loop of every tutorial and reaches the same
training loss; a penalty that asks for its layer saves the forward pass that it would make. The
networks are the reference MLP and the five layers of the chapter on the isometric penalty, the
data have the shape of the digits.
"""

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.rounds import Row, alternate, table
from companion.isometry import IsometricStack, isometry_penalty
from companion.models import MLP
from companion.training import Recipe, fit, initialised

__all__ = ["main"]


def main(*, small: bool = False) -> list[Row]:
    """Print time and last training loss of both loops at two batch sizes."""
    n, epochs, rounds = (60, 1, 2) if small else (1347, 10, 9)
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 10
    x = torch.randn(n, 64, generator=generator) + 3 * functional.one_hot(y, 64)
    rows = []
    for batch_size in (20,) if small else (20, 100):
        ways = {
            "plain loop, DataLoader": lambda size=batch_size: _plain(x, y, epochs, size),
            "companion.training.fit": lambda size=batch_size: _fit(x, y, epochs, size),
        }
        errors = {way: {"loss": run()} for way, run in ways.items()}
        these = alternate(ways, rounds=rounds, errors=errors)
        table(f"{epochs} epochs of {n} x 64, 64-256-128-10, batch {batch_size}", these)
        rows += these
    return rows + _penalties(x, y, epochs, rounds)


def _penalties(x, y, epochs, rounds):
    asks = isometry_penalty(10, "tap1")
    ways = {
        "a pass of its own": lambda: _fit_penalised(x, y, epochs, lambda *given: asks(*given)),
        "asks for its layer": lambda: _fit_penalised(x, y, epochs, asks),
        "no penalty": lambda: _fit_penalised(x, y, epochs, None),
    }
    rows = alternate(ways, rounds=rounds, errors={way: {"loss": ways[way]()} for way in ways})
    table(f"{epochs} epochs of {len(x)} x 64, five layers of 100, batch 100, penalty", rows)
    return rows


def _fit_penalised(x, y, epochs, penalty):
    model = initialised(lambda: IsometricStack(64, [(100,) * 5], (10,)), seed=0)
    fit(model, x, y, Recipe(epochs, 1e-3, batch_size=100), penalty=penalty)
    return _loss(model, x, y)


def _network() -> nn.Module:
    return initialised(lambda: MLP((64, 256, 128, 10)), seed=0)


def _fit(x, y, epochs, batch_size):
    model = _network()
    fit(model, x, y, Recipe(epochs=epochs, batch_size=batch_size, lr=1e-3))
    return _loss(model, x, y)


def _plain(x, y, epochs, batch_size):
    model = _network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(TensorDataset(x, y), batch_size=batch_size, shuffle=True,
                        generator=torch.Generator().manual_seed(0))  # fmt: skip
    for _ in range(epochs):
        total, correct = 0.0, 0
        for inputs, labels in loader:
            optimizer.zero_grad()
            logits = model(inputs)
            loss = functional.cross_entropy(logits, labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
            correct += (logits.argmax(1) == labels).sum().item()
    return _loss(model, x, y)


def _loss(model, x, y):
    with torch.no_grad():
        return functional.cross_entropy(model(x), y).item()


if __name__ == "__main__":
    main()
