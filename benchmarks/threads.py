"""One thread against as many as there are, for networks from small to large.

Claim: below twice `borrow.BUSY` multiply-adds in the largest matrix product, what a second thread
saves on a quiet machine, half the time at most, is less than what it costs beside one other
program. One step of Adam is timed; run it both ways.
"""

import os

import torch
from torch.nn import functional

from benchmarks.rounds import Row, alternate, table
from companion.borrow import BUSY
from companion.models import MLP
from companion.training import initialised

__all__ = ["main"]

# Widths and batch, from the smallest chapter's network to one whose product keeps a thread busy.
SIZES = [
    ((64, 100, 100, 10), 100),
    ((784, 256, 128, 10), 128),
    ((784, 1024, 1024, 10), 256),
    ((784, 2048, 2048, 10), 1024),
]


def main(*, small: bool = False) -> list[Row]:
    """Print the time of one step on one thread and on all, beside the largest product."""
    rows = []
    for widths, batch in SIZES[:1] if small else SIZES:
        step = _step(widths, batch)
        ways = {
            f"{threads} threads": lambda threads=threads, step=step: _on(threads, step)
            for threads in (1, max(2, os.cpu_count() or 1))
        }
        product = batch * max(a * b for a, b in zip(widths, widths[1:], strict=False))
        these = alternate(ways, rounds=2 if small else 9)
        sizes = "-".join(map(str, widths))
        table(f"{sizes}, batch {batch}: {product / BUSY:.2g} of what keeps a thread busy", these)
        rows += these
    return rows


def _on(threads, step):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    step()
    torch.set_num_threads(before)


def _step(widths, batch):
    model = initialised(lambda: MLP(widths), seed=0)
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.rand(batch, widths[0]), torch.arange(batch) % widths[-1]

    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main()
