"""The one progress bar: plain text on stderr, only when the wait is long, quiet when asked.

Explained beside its first use in `book/distances/metric_structure`.
"""

import os
import sys
from collections.abc import Iterable

from tqdm import tqdm

__all__ = ["bar", "quiet"]


def bar(
    iterable: Iterable | None = None,
    *,
    total: int | None = None,
    label: str = "",
    unit: str = "it",
    shown: bool = True,
) -> tqdm:
    """A bar that counts `unit`s up to `total`, shown after about two seconds, then wiped away.

    Iterate over it, or call `update(n)`; `set_postfix_str(text)` writes beside it; it is a context
    manager. Quiet under `COMPANION_PROGRESS=0`, and while another bar is open: a loop over fits
    has one bar, its own.

    Args:
        iterable: What is counted; by default nothing, and `update` counts.
        total: How many there will be; by default the length of `iterable`, unknown without one.
        label: What stands before the bar.
        unit: The name of what is counted; "B" counts bytes in powers of 1024.
        shown: False keeps it quiet.

    Returns:
        The bar.

    Cost: below 1 microsecond a count.

    >>> [step for step in bar(range(3), label="steps")]
    [0, 1, 2]
    """
    return tqdm(
        iterable,
        total=total,
        desc=label or None,
        unit=unit,
        unit_scale=unit == "B",
        unit_divisor=1024,
        file=sys.stderr,
        # Given explicitly: TQDM_DISABLE and a notebook's own bar would decide otherwise.
        disable=not shown or quiet() or bool(getattr(tqdm, "_instances", ())),
        delay=2,
        leave=False,
        dynamic_ncols=True,
    )


def quiet() -> bool:
    """Whether bars are switched off, which `COMPANION_PROGRESS=0` does.

    >>> import os
    >>> os.environ.get("COMPANION_PROGRESS") != "0" or quiet()
    True
    """
    return os.environ.get("COMPANION_PROGRESS") == "0"


def __dir__() -> list[str]:
    return __all__
