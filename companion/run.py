"""What is being run and how large: the sizes of a chapter, and the interval over its seeds.

The one room that reads the variables NETWORK_GEOMETRY_FULL and COMPANION_STRICT. Every chapter
chooses its sizes here; the claims and the figures take their intervals from here. Explained in
`book/distances/metric_structure`.
"""

import math
import os
import statistics
from collections.abc import Iterable

__all__ = ["ASKED", "SIZES", "VARIABLE", "interval", "name", "pick", "size", "split", "strict"]

VARIABLE = "NETWORK_GEOMETRY_FULL"

#: What the variable says for each size.
ASKED = {"build": "", "hour": "hour", "full": "1"}

#: From small to large: what a build runs, what two cores finish in an hour, the paper's own size.
SIZES = tuple(ASKED)

#: The size of this run, one of `SIZES`. It follows the environment: NETWORK_GEOMETRY_FULL unset or
#: empty, `hour`, or `1`; a `ValueError` for anything else.
size: str


def __getattr__(attribute: str) -> str:
    if attribute == "size":
        return _size()
    raise AttributeError(f"module 'companion.run' has no attribute {attribute!r}")


def _size() -> str:
    asked = os.environ.get(VARIABLE, "")
    known = {value: one for one, value in ASKED.items()}
    if asked not in known:
        raise ValueError(
            f"{VARIABLE} is {asked!r}, but a run has one of three sizes: leave it unset for the "
            "build's, or set it to 'hour' or to '1' for the paper's own (full)"
        )
    return known[asked]


def name(data: str) -> str:
    """What a run on a data set is called: the key of its verdicts and of its kept results.

    Args:
        data: The name of a data set without a size, such as `"mnist"` or `"torus"`.

    Returns:
        `data` itself at the build's size, otherwise with the size behind it, as `"mnist hour"` or
        `"mnist full"`.

    Raises:
        ValueError: For a name that is empty or has a size behind it already.

    >>> name("mnist")
    'mnist'
    """
    if not data or split(data)[1] != "build":
        raise ValueError(
            f"the data set is called {data!r}, but a name without a size is needed: pass "
            "run.name('mnist'), which itself adds the size of the run"
        )
    present = _size()
    return data if present == "build" else f"{data} {present}"


def split(run: str) -> tuple[str, str]:
    """The data set and the size that a run's name is made of; the inverse of `name`.

    Args:
        run: The name of a run, such as `"mnist hour"`.

    Returns:
        The data set's name and one of `SIZES`.

    >>> split("mnist hour"), split("mnist")
    (('mnist', 'hour'), ('mnist', 'build'))
    """
    for one in SIZES[1:]:
        if run.endswith(f" {one}"):
            return run.removesuffix(f" {one}"), one
    return run, "build"


def pick(*, build: object, hour: object = ..., full: object = ...) -> object:
    """The one of a chapter's sizes that belongs to this run.

    A size that is not given is the next smaller one: a chapter without `hour` runs in an hour
    what the build runs, one without `full` knows nothing larger than its hour.

    Args:
        build: What `make book` runs: a number, or anything that holds several.
        hour: What two cores finish in about an hour; by default `build`.
        full: The paper's own size; by default `hour`.

    Returns:
        One of the three, as it was given.

    >>> pick(build=range(5), full=range(10))
    range(0, 5)
    """
    given = dict(zip(SIZES, (build, hour, full), strict=True))
    up_to = SIZES[: SIZES.index(_size()) + 1]
    return next(given[one] for one in reversed(up_to) if given[one] is not ...)


def strict() -> bool:
    """Whether what differs from the book stops the run, as it does in builds and tests.

    Returns:
        True under COMPANION_STRICT=1; otherwise, as in a reader's own run, it is only said.

    >>> strict()
    False
    """
    return os.environ.get("COMPANION_STRICT") == "1"


def interval(values: Iterable) -> tuple[float, float]:
    """The 90 % interval of a mean over seeds, in the unit of the values.

    mean ± t s/√n, with Student's t for n - 1 degrees of freedom, two-sided (5 % on either side),
    and s with n - 1 in the denominator. One or two values say nothing about their spread: their
    range stands for the interval. seaborn takes the function as `errorbar=`.

    Args:
        values: One number per seed (n,): a list, an array, a series or a 1-D tensor.

    Returns:
        The lower and the upper end.

    Raises:
        ValueError: For no value, NaN or infinity.

    It speaks of networks drawn anew, not of images, and takes their values for normal.
    Source: Student (1908), The probable error of a mean, Biometrika 6.

    >>> interval([1, 2, 3])                             # s = 1 and t = 2.92, so 2 ± 2.92/√3
    (0.314, 3.686)
    """
    # A tensor that asks for gradients warns when it is turned into a number one by one.
    given = [float(v) for v in (values.tolist() if hasattr(values, "tolist") else values)]
    if not given or not all(map(math.isfinite, given)):
        raise ValueError(
            f"the values are {given}, but finite numbers, one per seed, are needed: look for the "
            "seed that they come from"
        )
    if len(given) < 3:
        return min(given), max(given)
    # Inside, since SciPy would be most of what it costs to import the claims.
    from scipy.special import stdtrit

    # The exact mean: n equal values must have precisely that value as their mean, or a bound
    # that they all touch would be missed by a rounding.
    mean = statistics.mean(given)
    half = float(stdtrit(len(given) - 1, 0.95)) * statistics.stdev(given) / math.sqrt(len(given))
    return mean - half, mean + half


def __dir__() -> list[str]:
    return __all__
