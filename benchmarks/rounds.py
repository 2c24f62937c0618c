"""Alternating rounds: how much faster one way is than another, on a machine that is never quiet.

Every benchmark measures through this file, and through nothing else, so that all ratios of the
book are taken alike: each round runs every way once, in turn and on one thread; a ratio is formed
within a round, where both ways met the same load; the median over the rounds is reported with its
quartiles, beside the error, since a fast wrong answer is no answer. It is a file of its own
because it is the only thing the benchmarks share, and it belongs to none of them.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

__all__ = ["Row", "alternate", "one_thread", "table"]


@dataclass(frozen=True)
class Row:
    """One way of a comparison: median time in seconds, ratio to the first way, its errors."""

    way: str
    seconds: float
    ratio: float
    low: float
    high: float
    errors: Mapping[str, float] = field(default_factory=dict)


def alternate(
    ways: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 9,
    errors: Mapping[str, Mapping[str, float]] | None = None,
) -> list[Row]:
    """Time each way once per round, after one round that does not count; one row per way.

    Ratios are to the first way. `low` and `high` are their quartiles, `errors` what was measured
    beforehand of each way, by the name of the column.
    """
    times: dict[str, list[float]] = {way: [] for way in ways}
    with one_thread():
        for k in range(rounds + 1):
            for way, run in ways.items():
                start = time.perf_counter()
                run()
                if k:
                    times[way].append(time.perf_counter() - start)
    first = next(iter(times.values()))
    return [
        Row(
            way,
            statistics.median(taken),
            *_spread([a / b for a, b in zip(taken, first, strict=True)]),
            (errors or {}).get(way, {}),
        )
        for way, taken in times.items()
    ]


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch and for the libraries beside it; as before afterwards."""
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def table(title: str, rows: list[Row]) -> None:
    """Print rows: time, ratio to the first row with its quartiles, errors."""
    columns = list(dict.fromkeys(name for row in rows for name in row.errors))
    width = max(len(row.way) for row in rows)
    print(f"\n{title}\n{'':{width}}  {'ms':>9}  {'ratio':>7}  {'quartiles':>15}", end="")
    print("".join(f"  {name:>{max(9, len(name))}}" for name in columns))
    for row in rows:
        quartiles = f"{row.low:.3g} to {row.high:.3g}"
        print(f"{row.way:{width}}  {1e3 * row.seconds:9.2f}  {row.ratio:7.3g}", end="")
        print(f"  {quartiles:>15}", end="")
        for name in columns:
            shown = f"{row.errors[name]:.1e}" if name in row.errors else ""
            print(f"  {shown:>{max(9, len(name))}}", end="")
        print()


def _spread(ratios):
    if len(ratios) < 2:
        return (ratios[0],) * 3
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return middle, low, high
