"""What is drawn over a field, one object each: its numbers, its still, its script.

A new one is a file here, a script of the same name in static/overlays/, and an entry in the
browser test. Explained where the first ones are drawn, in `book/prologue`.
"""

from companion.book.widgets.overlays.arrow import Arrow
from companion.book.widgets.overlays.circle import Circle
from companion.book.widgets.overlays.linear_guess import LinearGuess
from companion.book.widgets.overlays.nearest_boundary import NearestBoundary
from companion.book.widgets.overlays.overlay import Overlay

__all__ = ["Arrow", "Circle", "LinearGuess", "NearestBoundary", "Overlay"]
