"""Many networks in one stack against one after another, on one CPU thread.

Claim: below about 10,000 weights a member the stack is faster, and above it is not worth its
memory: `ensembles.TINY` is where `fit_many` changes over on the CPU.
"""

import torch

from benchmarks.rounds import Row, alternate, table
from companion.ensembles import fit_many
from companion.models import MLP
from companion.training import Recipe

__all__ = ["main"]


def main(*, small: bool = False) -> list[Row]:
    """Print time of both ways for four widths, and the largest difference of their logits."""
    n, epochs, members, rounds = (60, 1, 2, 2) if small else (1000, 4, 10, 7)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(n, 64, generator=generator), torch.arange(n) % 10
    rows = []
    for width in (8,) if small else (16, 64, 128, 512):
        recipe = Recipe(epochs, lr=1e-3, batch_size=100)
        run = {
            way: lambda stack=stack, width=width, recipe=recipe: fit_many(
                lambda: MLP((64, width, 10)), x, y, recipe, seeds=range(members), stack=stack
            )
            for way, stack in (("one after another", False), ("stacked", True))
        }
        logits = {way: make().logits(x) for way, make in run.items()}
        first = next(iter(logits.values()))
        errors = {way: {"difference": (z - first).abs().max().item()} for way, z in logits.items()}
        these = alternate(run, rounds=rounds, errors=errors)
        weights = sum(parameter.numel() for parameter in MLP((64, width, 10)).parameters())
        table(f"{members} networks 64-{width}-10, {weights} weights each, batch 100", these)
        rows += these
    return rows


if __name__ == "__main__":
    main()
