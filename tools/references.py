"""Train the reference networks of a data set that are not in the cache, two at a time.

    python tools/references.py [digits]

Chapters, tests and pages share these networks: made once before, nothing is trained twice.
"""

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache

import torch

from companion import datasets, storage, training

__all__ = ["JOBS", "make"]

KINDS = ("trained", "untrained", "memorized", "trained_small")
LONG = (*KINDS, "trained_long")

# (model, seed, kinds), the longest first. The kinds of one network stay in one process: the twin
# of a memorized network takes over its recipe, and two processes would both look for it.
JOBS = [
    ("lenet", 0, KINDS),
    *(("mlp", seed, LONG if seed < 3 else KINDS) for seed in range(5)),
    *(("linear", seed, ("trained",)) for seed in range(5)),
]


# The networks of a process share the data, and with it the checksum that finds them.
_data = lru_cache(maxsize=1)(datasets.load)


def make(name: str, model: str, seed: int, kinds: tuple[str, ...]) -> int:
    """Make or find the networks of one job; returns how many there are."""
    torch.set_num_threads(1)
    data = _data(name)
    for kind in kinds:
        training.reference(data, kind, model=model, seed=seed)
    return len(kinds)


def main(arguments: list[str]) -> int:
    name = arguments[0] if arguments else os.environ.get("COMPANION_DATASET") or "digits"
    start = time.perf_counter()
    torch.set_num_threads(1)  # also because processes forked from a threaded one can hang
    try:
        # Once before the two processes, which would otherwise both download.
        datasets.load(name)
        with ProcessPoolExecutor(2) as pool:
            ready = sum(pool.map(make, *zip(*((name, *job) for job in JOBS), strict=True)))
    except (OSError, RuntimeError, ValueError) as error:
        print(error)
        return 1
    seconds, place = time.perf_counter() - start, storage.cache()
    kept = f"kept in {place}" if place else "not kept"
    print(f"{ready} reference networks of {name} are ready, {kept} ({seconds:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
