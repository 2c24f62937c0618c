"""A small picture of each instrument: what it measures, drawn by the instrument itself.

One module for each room that measures; in it a function for each instrument, under its name.
`sheet` holds what they draw with, `toys` what they draw. A function calls the instrument as
`room.instrument(...)`, on a few points in the plane, and gives a `Drawn`.
"""

from pathlib import Path

import matplotlib.pyplot as plt

from companion.plots.picture import Picture
from pictures import attacks, decision, distances, isometry, sheet
from pictures.sheet import Drawn

__all__ = ["FILES", "PICTURES", "drawn", "shown"]

#: The files that a page with pictures depends on.
FILES = sorted(Path(__file__).parent.glob("*.py"))

#: What draws, by the name of the instrument.
PICTURES = {
    f"companion.{room.__name__.rpartition('.')[2]}.{word}": getattr(room, word)
    for room in (distances, decision, isometry, attacks)
    for word in room.__all__
}


def drawn(name: str) -> Drawn:
    """Figure, caption and alt text of an instrument.

    Args:
        name: Of the instrument, as `companion.distances.pairwise`.
    """
    with plt.rc_context():
        sheet.style()
        return PICTURES[name]()


def shown(name: str) -> str:
    """The picture of an instrument as HTML, in the form in which chapters show theirs.

    Args:
        name: Of the instrument, as `companion.distances.pairwise`.
    """
    with plt.rc_context():
        # Ticks are made when a figure is saved: they take the style of that moment.
        sheet.style()
        one = drawn(name)
        return Picture.of(*one)._repr_html_()
