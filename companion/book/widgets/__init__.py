"""Living figures: what the reader moves in the built page, without a kernel and offline.

`Plane` evaluates a small network in the browser, `Frames` shows frames that Python computed. Both
are the last expression of a cell; both say in Python what they show on the page (`at`). `explore`
makes panels for a live kernel. The first figure stands in `book/prologue`, the second in
`book/distances/metric_structure`.

>>> from companion.book.widgets import Plane
"""

from companion.book.widgets.frame import Frame, curves, histogram, images, scatter
from companion.book.widgets.frames import Frames, FrameState
from companion.book.widgets.panels import explore
from companion.book.widgets.plane import Plane, PlaneState

__all__ = [
    "Frame",
    "FrameState",
    "Frames",
    "Plane",
    "PlaneState",
    "curves",
    "explore",
    "histogram",
    "images",
    "scatter",
]
