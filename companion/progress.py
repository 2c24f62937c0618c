"""The one progress bar: a widget in a live notebook, plain text on stderr elsewhere.

It appears only when the wait is long, is gone when the wait is over, and is quiet when asked.
Explained beside its first use in `book/distances/metric_structure`.
"""

import functools
import os
import sys
import warnings
import weakref
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
    manager, which closes it at once where its loop is interrupted. Quiet under
    `COMPANION_PROGRESS=0`, and while another bar is open: a loop over fits has one bar, its own.

    In the kernel of a notebook it is tqdm's widget, or text on stdout where ipywidgets is missing:
    what is written to stderr stands there in red.

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
    silent = not shown or quiet() or bool(getattr(tqdm, "_instances", ()))
    live = not silent and _live()
    kind = (_widget() if live else None) or _Bar
    return kind(
        iterable,
        total=total,
        desc=label or None,
        unit=unit,
        unit_scale=unit == "B",
        unit_divisor=1024,
        file=sys.stdout if live else sys.stderr,
        # Given explicitly: TQDM_DISABLE would decide otherwise.
        disable=silent,
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


class _Bar(tqdm):
    """A bar whose text beside it keeps its delay, too: else a short one would stay for ever."""

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        there = not self.disable and self.last_print_t >= self.start_t + self.delay
        super().set_postfix_str(s, refresh and there)


def _live() -> bool:
    """Whether the kernel of a notebook runs this, and neither a terminal nor a script."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


@functools.cache
def _widget() -> type[tqdm] | None:
    """The bar for a live notebook; None where it could not be shown."""
    with warnings.catch_warnings():
        # That it is experimental, and that ipywidgets is missing.
        warnings.simplefilter("ignore")
        from tqdm.autonotebook import tqdm as chosen
    if chosen is tqdm:
        return None

    class Widget(_Bar):
        """tqdm's own makes its widgets before they are shown, and stays, red, where a loop ends
        early: by an exception, or because a goal is reached."""

        status_printer = staticmethod(chosen.status_printer)
        container = None

        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options, gui=True)
            self.displayed, self.ncols = False, "100%"

        def display(self, *args: object, **options: object) -> None:
            if self.container is None:
                self.container = self.status_printer(None, self.total, self.desc, self.ncols)
                self.container.pbar = weakref.proxy(self)
            chosen.display(self, *args, **options)

        def close(self) -> None:
            super().close()
            if self.container is not None:
                _take_away(self.container)
                self.container = None

    return Widget


def _take_away(box: object) -> None:
    """Close a box of widgets, what it holds, and what these look like."""
    for widget in (box, *box.children):
        for part in (widget, widget.layout, getattr(widget, "style", None)):
            if part is not None:
                part.close()


def __dir__() -> list[str]:
    return __all__
