"""How the book draws: looks of networks and methods, figures with caption and alt text.

A colour, a marker and a line style belong to a network or a method through the whole book, so
that no figure tells them apart by colour alone; whatever else is drawn takes the neutral looks
(`looks`). `figures` draws, `picture` shows. First used in `book/distances/metric_structure`.
"""

from companion.plots.figures import by_layer, legend, style
from companion.plots.looks import LOOKS, METHODS, NEUTRAL, Look, look, looks
from companion.plots.picture import show
from companion.run import interval

__all__ = [
    "LOOKS",
    "METHODS",
    "NEUTRAL",
    "Look",
    "by_layer",
    "interval",
    "legend",
    "look",
    "looks",
    "show",
    "style",
]


def __dir__() -> list[str]:
    return __all__
