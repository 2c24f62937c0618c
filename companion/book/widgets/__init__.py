"""Living figures: what the reader moves in the built page, without a kernel and offline.

`Plane` evaluates a small network in the browser, under a list of overlays; `Frames` shows frames
that Python computed, in a list of panels. Both are the last expression of a cell, and both say in
Python what they show on the page (`at`). `explore` makes panels for a live kernel.
The first figure stands in `book/prologue`, the second in `book/distances/metric_structure`.

>>> from companion.book.widgets import Plane
"""

from companion.book.widgets.axes import Panel
from companion.book.widgets.field import Field, Here, Setting, Window
from companion.book.widgets.frame import Frame, curves, histogram, images, scatter
from companion.book.widgets.frames import Frames, FrameState
from companion.book.widgets.overlays import Arrow, Circle, LinearGuess, NearestBoundary, Overlay
from companion.book.widgets.panels import explore
from companion.book.widgets.plane import Plane, PlaneState

__all__ = [
    "Arrow",
    "Circle",
    "Field",
    "Frame",
    "FrameState",
    "Frames",
    "Here",
    "LinearGuess",
    "NearestBoundary",
    "Overlay",
    "Panel",
    "Plane",
    "PlaneState",
    "Setting",
    "Window",
    "curves",
    "explore",
    "histogram",
    "images",
    "scatter",
]


def __dir__() -> list[str]:
    return __all__
