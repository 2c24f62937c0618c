"""The axes that the frames of a figure share: their range, their still, their numbers on the page.

Explained where the first ones stand, in `book/distances/metric_structure`.
"""

__all__ = ["Axes", "Packer", "axes_of"]

import base64
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from companion.book.widgets.frame import Frame
from companion.book.widgets.page import seen, words
from companion.book.widgets.plane import INK

SIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
PAIRS = np.array([a + b for a in SIX for b in SIX])
LINES = ("-", (0, (3, 2)), (0, (1, 2)), (0, (4, 1, 1, 1)))

# Width over height of what static/frames.js draws into.
SHAPE = 378 / 328


@dataclass(frozen=True)
class Axes:
    """What all frames share with `like`, one of them: kind, groups, labels, window, diagonal.

    `window` is (left, right, bottom, top).
    """

    like: Frame
    window: tuple[float, ...]
    xlabel: str
    ylabel: str
    diagonal: bool
    equal: bool

    @property
    def legend(self) -> tuple[bool, tuple[str, ...]] | None:
        """What a legend tells: by marks or by lines, and which groups; None for one group."""
        if len(self.like.groups) == 1:
            return None
        return self.like.kind == "points", self.like.groups

    def data(self) -> dict[str, object]:
        """What the page knows of them before it draws a frame."""
        kind = self.like.kind
        return {
            "kind": "lines" if kind == "steps" else kind,
            "filled": kind == "steps",
            "shape": list(self.like.parts.shape) if kind == "images" else None,
            "groups": self.like.groups,
            "window": self.window,
            "diagonal": self.diagonal,
            "xlabel": self.xlabel,
            "ylabel": self.ylabel,
        }

    def draw(self, ax, frame: Frame) -> None:
        """One frame on axes of matplotlib, under its text."""
        ax.set_title(textwrap.fill(frame.text, 46), fontsize=11)
        if frame.kind == "images":
            ax.imshow(np.concatenate(list(frame.parts), 1), cmap="gray", vmin=0, vmax=255)
            ax.set_axis_off()
            return
        if self.diagonal:
            ax.axline((0, 0), slope=1, color="gray", ls=":")
        for k, (name, (x, y)) in enumerate(zip(frame.groups, frame.parts, strict=True)):
            if frame.kind == "points":
                face = "none" if k % 2 else INK[k]
                ax.scatter(x, y, 12, marker="o^sD"[k], fc=face, ec=INK[k], label=name, alpha=0.6)
            else:
                ax.plot(x, y, color=INK[k], ls=LINES[k], lw=2, label=name)
        ax.set(xlim=self.window[:2], ylim=self.window[2:])
        ax.set(xlabel=self.xlabel, ylabel=self.ylabel)


def axes_of(
    frames: Sequence[Frame],
    *,
    xlabel: str,
    ylabel: str,
    xlim: Sequence[float | int] | None,
    ylim: Sequence[float | int] | None,
    diagonal: bool,
    equal: bool,
    panel: str = "",
) -> Axes:
    """Axes that hold every point of these frames, which are alike.

    With `equal` the range that would be drawn at the larger scale is widened to both sides.
    `panel`, as in " of the second panel", stands in the sentences.

    Raises `ValueError` for frames without a point, and points outside `xlim` or `ylim`.
    """
    words(xlabel=xlabel, ylabel=ylabel)
    left, right = _range(frames, 0, xlim, "xlim", panel)
    bottom, top = _range(frames, 1, ylim, "ylim", panel)
    if equal:
        wide, tall = right - left, top - bottom
        across = max(0.0, SHAPE * tall - wide) / 2
        up = max(0.0, wide / SHAPE - tall) / 2
        left, right, bottom, top = left - across, right + across, bottom - up, top + up
    window = (left, right, bottom, top)
    return Axes(frames[0], window, xlabel, ylabel, diagonal, equal)


class Packer:
    """Arrays as the page gets them, each different one once: 12 bits of the range per number."""

    def __init__(self):
        self.arrays: list[str] = []
        self.places: dict[str, int] = {}

    def parts(self, frame: Frame, window: Sequence[float]) -> list:
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
    panel: str,
) -> tuple[float, ...]:
    if frames[0].kind == "images":
        return (0.0, 1.0)
    values = np.concatenate([part[axis] for frame in frames for part in frame.parts])
    if not len(values):
        raise ValueError(
            f"No frame{panel} holds a point: pass at least one with something to draw."
        )
    low, high = float(values.min()), float(values.max())
    room = 0.04 * (high - low) or 0.5
    floor = 0.0 if low >= 0 and low < 0.3 * high else low - room
    low_end, high_end = seen((floor, high + room) if asked is None else asked, name)
    outside = int(((values < low_end) | (values > high_end)).sum())
    if outside:
        raise ValueError(
            f"{outside} of {len(values)} values{panel} lie outside {name} = ({low_end}, "
            f"{high_end}), but every point is drawn: they reach from {low:.4g} to {high:.4g}, "
            "so widen it."
        )
    return (low_end, high_end)
