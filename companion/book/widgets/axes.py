"""The axes that the frames of a figure share: their range, their still, their numbers on the page.

Explained where the first ones stand, in `book/distances/metric_structure`.
"""

__all__ = ["Axes", "Packer", "Panel", "axes_of"]

import base64
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from companion.book.widgets.frame import Frame
from companion.book.widgets.page import INK, seen, words

SIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
PAIRS = np.array([a + b for a in SIX for b in SIX])
LINES = ("-", (0, (3, 2)), (0, (1, 2)), (0, (4, 1, 1, 1)))

# Width over height of what static/frames.js draws into.
SHAPE = 378 / 328


@dataclass(frozen=True)
class Panel:
    """How one panel of a `Frames` is drawn; its range is the same in all frames.

    Args:
        xlabel: What is measured across, with its unit.
        ylabel: What is measured upward, with its unit.
        xlim: (left, right), by default what holds every point.
        ylim: (bottom, top), by default what holds every point.
        diagonal: Draw y = x.
        equal: Draw one unit of x as long as one of y, for points of a plane: the range that is too
            short for it is widened to both sides.
    """

    xlabel: str = "x"
    ylabel: str = "y"
    xlim: Sequence[float | int] | None = None
    ylim: Sequence[float | int] | None = None
    diagonal: bool = False
    equal: bool = False


@dataclass(frozen=True)
class Axes:
    """What all frames of a panel share.

    Args:
        panel: How it is drawn.
        like: One of the frames.
        window: (left, right, bottom, top).
    """

    panel: Panel
    like: Frame
    window: tuple[float, ...]

    @property
    def legend(self) -> tuple[bool, tuple[str, ...]] | None:
        """What a legend tells: by marks or by lines, and which groups; None for one group."""
        if len(self.like.groups) == 1:
            return None
        return self.like.kind == "points", self.like.groups

    def data(self) -> dict[str, object]:
        """What the page knows of the panel before it draws a frame."""
        kind = self.like.kind
        return {
            "kind": "lines" if kind == "steps" else kind,
            "filled": kind == "steps",
            "shape": list(self.like.parts.shape) if kind == "images" else None,
            "groups": self.like.groups,
            "window": self.window,
            "diagonal": self.panel.diagonal,
            "xlabel": self.panel.xlabel,
            "ylabel": self.panel.ylabel,
        }

    def draw(self, ax, frame: Frame) -> None:
        """One frame under its text.

        Args:
            ax: Axes of matplotlib.
            frame: What is drawn.
        """
        ax.set_title(textwrap.fill(frame.text, 46), fontsize=11)
        if frame.kind == "images":
            ax.imshow(np.concatenate(list(frame.parts), 1), cmap="gray", vmin=0, vmax=255)
            ax.set_axis_off()
            return
        if self.panel.diagonal:
            ax.axline((0, 0), slope=1, color="gray", ls=":")
        for k, (name, (x, y)) in enumerate(zip(frame.groups, frame.parts, strict=True)):
            if frame.kind == "points":
                face = "none" if k % 2 else INK[k]
                ax.scatter(x, y, 12, marker="o^sD"[k], fc=face, ec=INK[k], label=name, alpha=0.6)
            else:
                ax.plot(x, y, color=INK[k], ls=LINES[k], lw=2, label=name)
        ax.set(xlim=self.window[:2], ylim=self.window[2:])
        ax.set(xlabel=self.panel.xlabel, ylabel=self.panel.ylabel)


def axes_of(panel: Panel, frames: Sequence[Frame], where: str = "") -> Axes:
    """Axes of a panel that hold every point of its frames, which are alike.

    Args:
        panel: How it is drawn.
        frames: All that it will show.
        where: Which one it is, as in " of panel 2", for the sentences.

    Returns:
        The panel with its range.

    Raises:
        ValueError: For frames without a point, and points outside `xlim` or `ylim`.
    """
    words(xlabel=panel.xlabel, ylabel=panel.ylabel)
    left, right = _range(frames, 0, panel.xlim, "xlim", where)
    bottom, top = _range(frames, 1, panel.ylim, "ylim", where)
    if panel.equal:
        wide, tall = right - left, top - bottom
        across = max(0.0, SHAPE * tall - wide) / 2
        up = max(0.0, wide / SHAPE - tall) / 2
        left, right, bottom, top = left - across, right + across, bottom - up, top + up
    return Axes(panel, frames[0], (left, right, bottom, top))


class Packer:
    """Arrays as the page gets them, each different one once: 12 bits of the range per number."""

    def __init__(self):
        self.arrays: list[str] = []
        self.places: dict[str, int] = {}

    def parts(self, frame: Frame, window: Sequence[float]) -> list:
        """Where the arrays of a frame stand, group by group.

        Args:
            frame: What is packed.
            window: (left, right, bottom, top), the range its numbers are bits of.
        """
        if frame.kind == "images":
            return [self._place(base64.b64encode(frame.parts.tobytes()).decode())]
        ends = (window[:2], window[2:])
        return [
            [self._place(_packed(values, *end)) for values, end in zip(part, ends, strict=True)]
            for part in frame.parts
        ]

    def _place(self, text: str) -> int:
        if text not in self.places:
            self.places[text] = len(self.arrays)
            self.arrays.append(text)
        return self.places[text]


def _packed(values: np.ndarray, low: float, high: float) -> str:
    codes = np.rint((values - low) / (high - low) * 4095).astype(int)
    return "".join(PAIRS[codes])


def _range(
    frames: Sequence[Frame],
    axis: int,
    asked: Sequence[float | int] | None,
    name: str,
    where: str,
) -> tuple[float, ...]:
    if frames[0].kind == "images":
        return (0.0, 1.0)
    values = np.concatenate([part[axis] for frame in frames for part in frame.parts])
    if not len(values):
        raise ValueError(
            f"No frame{where} holds a point: pass at least one with something to draw."
        )
    low, high = float(values.min()), float(values.max())
    room = 0.04 * (high - low) or 0.5
    floor = 0.0 if low >= 0 and low < 0.3 * high else low - room
    low_end, high_end = seen((floor, high + room) if asked is None else asked, name)
    outside = int(((values < low_end) | (values > high_end)).sum())
    if outside:
        raise ValueError(
            f"{outside} of {len(values)} values{where} lie outside {name} = ({low_end}, "
            f"{high_end}), but every point is drawn: they reach from {low:.4g} to {high:.4g}, "
            "so widen it."
        )
    return (low_end, high_end)
