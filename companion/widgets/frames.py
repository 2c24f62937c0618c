"""Frames computed in Python and chosen on the page by sliders and a switch.

Explained where the first one stands, in `book/distances/metric_structure`.
"""

__all__ = ["FrameState", "Frames"]

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from companion.widgets.axes import Packer, axes_of
from companion.widgets.frame import Frame
from companion.widgets.page import page, png, words


@dataclass(frozen=True)
class FrameState:
    """What the page shows of a frame: its text, how many points, and the means of x and of y."""

    text: str
    count: int
    mean_x: float
    mean_y: float


class Frames:
    """Frames chosen by one or two sliders and a switch, played along the last slider.

    `frames` is a function of the values, computed for every combination, or a mapping from tuples
    of them. `sliders` maps a name to its values, or, where they depend on the switch, to a mapping
    from option to values (their numbers may differ). `switch` is (name, options). The values of a
    frame stand in this order: option of the switch, if there is one, then each slider's. `start`
    are the values shown first (default: the first of each). The axes show the same range in all
    frames: `xlim`, `ylim`, by default what holds every point. `diagonal` draws y = x.

    The last expression of a cell shows the figure. `at` gives what the page shows; the two agree
    within 1e-3 of the range (numbers travel as 12 bits of it). In the page they stand in
    attributes of the figure: data-switch, data-slider1, data-slider2, data-text, data-count,
    data-mean-x, data-mean-y.

    Raises `ValueError` for a missing frame, frames of different kinds, groups or lengths, points
    outside the range, no or more than two sliders, and a figure above 300 kB.

    >>> from companion.widgets import curves
    >>> def parabola(step):
    ...     return curves({"error": ([0.0, 1.0], [0.0, step])}, text=f"step {step}")
    >>> figure = Frames(parabola, sliders={"step": [1, 2]}, caption="c", alt="a")
    >>> figure.at(2).text, round(figure.at(2).mean_y, 2)
    ('step 2', 1.0)
    """

    def __init__(
        self,
        frames: Callable[..., Frame] | Mapping[tuple, Frame],
        *,
        sliders: Mapping[str, Sequence | Mapping[str, Sequence]],
        caption: str,
        alt: str,
        switch: tuple[str, Sequence[str]] | None = None,
        start: Sequence | None = None,
        xlabel: str = "x",
        ylabel: str = "y",
        xlim: Sequence[float | int] | None = None,
        ylim: Sequence[float | int] | None = None,
        diagonal: bool = False,
    ):
        words(caption=caption, alt=alt, xlabel=xlabel, ylabel=ylabel)
        self.caption, self.alt = caption, alt
        self.switch = None if switch is None else (switch[0], tuple(switch[1]))
        self.sliders = _sliders(sliders, self.switch)
        self.frames = {key: _ask(frames, key) for key in self._keys()}
        _alike(self.frames)
        first = next(iter(self.frames))
        self.start = self._key(first if start is None else start)
        self.axes = axes_of(
            list(self.frames.values()),
            xlabel=xlabel,
            ylabel=ylabel,
            xlim=xlim,
            ylim=ylim,
            diagonal=diagonal,
        )
        self.window = self.axes.window

    def at(self, *values: object) -> FrameState:
        """What the page shows for these values: the option of the switch, then each slider's."""
        frame = self.frames[self._key(values)]
        if frame.kind == "images":
            return FrameState(frame.text, 0, math.nan, math.nan)
        x, y = (np.concatenate([part[k] for part in frame.parts]) for k in (0, 1))
        means = (float(one.mean()) if len(x) else math.nan for one in (x, y))
        return FrameState(frame.text, len(x), *means)

    def still(self) -> bytes:
        """The frame at the start, as PNG: what viewers without scripts, and printers, show."""
        import matplotlib
        from matplotlib.figure import Figure

        frame = self.frames[self.start]
        with matplotlib.rc_context(matplotlib.rcParamsDefault):
            figure = Figure(figsize=(4.8, 4.4), layout="constrained")
            self.axes.draw(figure.add_subplot(), frame)
            if len(frame.groups) > 1:
                figure.legend(loc="outside upper left", ncols=2, frameon=False)
            return png(figure)

    def _repr_html_(self) -> str:
        packer = Packer()
        entries: dict[tuple, int] = {}
        shown: list[dict[str, object]] = []
        for key, frame in self.frames.items():
            entries[key] = len(shown)
            shown.append({"text": frame.text, "parts": packer.parts(frame, self.window)})
        options = self._options()
        start = self._key(self.start)
        option = options[0] if self.switch is None else start[0]
        values = start if self.switch is None else start[1:]
        data = {
            **self.axes.data(),
            "switch": self.switch and {"name": self.switch[0], "options": self.switch[1]},
            "sliders": [
                {"name": name, "labels": [[str(v) for v in lists[o]] for o in options]}
                for name, lists in self.sliders.items()
            ],
            "start": [
                options.index(option),
                *(
                    lists[option].index(value)
                    for lists, value in zip(self.sliders.values(), values, strict=True)
                ),
            ],
            "lookup": [_nested(entries, *self._grid(option)) for option in options],
            "frames": shown,
            "arrays": packer.arrays,
        }
        return page("frames", data, self.still(), caption=self.caption, alt=self.alt)

    def __repr__(self) -> str:
        return self.caption

    def _options(self) -> tuple[str, ...]:
        return ("",) if self.switch is None else self.switch[1]

    def _grid(self, option: str) -> tuple[tuple, list[tuple]]:
        before = () if self.switch is None else (option,)
        return before, [lists[option] for lists in self.sliders.values()]

    def _keys(self) -> Iterable[tuple]:
        for option in self._options():
            before, lists = self._grid(option)
            yield from (before + values for values in product(*lists))

    def _key(self, values: Iterable) -> tuple:
        key = tuple(values)
        if key not in self.frames:
            raise ValueError(
                f"There is no frame {key}: choose values of the switch and the sliders, such as "
                f"{next(iter(self.frames))}."
            )
        return key


def _nested(entries: dict[tuple, int], before: tuple, lists: list[tuple]) -> list | int:
    if not lists:
        return entries[before]
    return [_nested(entries, (*before, value), lists[1:]) for value in lists[0]]


def _sliders(given: Mapping, switch: tuple | None) -> dict[str, dict[str, tuple]]:
    options = ("",) if switch is None else switch[1]
    if len(given) not in (1, 2) or not options:
        raise ValueError(
            f"There are {len(given)} sliders and {len(options)} options, but a figure has one or "
            "two sliders, and an option or more if it has a switch: use a second figure for more."
        )
    lists = {
        name: {option: tuple(v[option] if isinstance(v, Mapping) else v) for option in options}
        for name, v in given.items()
    }
    for name, values in lists.items():
        for option, one in values.items():
            if not one or len(set(one)) < len(one):
                raise ValueError(
                    f"The slider {name!r} has the values {one}{option and f' for {option}'}, but "
                    "it needs at least one, each once: pass different values."
                )
    return lists


def _ask(frames: Callable[..., Frame] | Mapping[tuple, Frame], key: tuple) -> Frame:
    if callable(frames):
        frame = frames(*key)
    elif key in frames:
        frame = frames[key]
    else:
        raise ValueError(
            f"There is no frame for {key}, but each combination of switch and sliders needs one: "
            "add it, or give that option fewer values."
        )
    if not isinstance(frame, Frame):
        raise TypeError(
            f"The frame for {key} is a {type(frame).__name__}, but a Frame is drawn: make it by "
            "scatter, curves, histogram or images."
        )
    return frame


def _alike(frames: Mapping[tuple, Frame]) -> None:
    first_key, first = next(iter(frames.items()))
    for key, frame in frames.items():
        if (frame.kind, frame.groups) != (first.kind, first.groups):
            raise ValueError(
                f"Frame {first_key} shows {first.kind} of {first.groups} and frame {key} "
                f"{frame.kind} of {frame.groups}, but a figure has one legend: make all frames of "
                "the same kind and groups, in the same order."
            )
        shapes = [f.parts.shape if f.kind == "images" else len(f) for f in (first, frame)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"Frame {first_key} has {shapes[0]} points and frame {key} {shapes[1]}, but "
                "frames are compared by eye: draw the same number in each."
            )
