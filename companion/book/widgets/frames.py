"""Frames computed in Python and chosen on the page by sliders and a switch.

Explained where the first one stands, in `book/distances/metric_structure`.
"""

__all__ = ["FrameState", "Frames"]

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from companion.book.widgets.axes import SHAPE, Packer, axes_of
from companion.book.widgets.frame import Frame
from companion.book.widgets.page import page, png, words

Panels = tuple[Frame, ...]  # one, or two that move together
Given = Frame | tuple[Frame, Frame]


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
    of them. Each is a `Frame`, or a pair of them for two panels that move together. `sliders` maps
    a name to its values, or, where they depend on the switch, to a mapping from option to values
    (their numbers may differ). `switch` is (name, options). The values of a frame stand in this
    order: option of the switch, if there is one, then each slider's. `start` are the values shown
    first (default: the first of each).

    The axes show the same range in all frames: `xlim`, `ylim`, by default what holds every point.
    `diagonal` draws y = x. `equal` draws one unit of x as long as one of y, for points of a plane:
    the range that is too short for it is widened. With two panels each of these, `xlabel` and
    `ylabel` is one value for both, or a pair of values (in a pair of ranges None is the default).

    The last expression of a cell shows the figure. `at` gives what the page shows, for two panels
    a pair; page and `at` agree within 1e-3 of the range (numbers travel as 12 bits of it). In the
    page they stand in attributes of the figure: data-switch, data-slider1, data-slider2,
    data-text, data-count, data-mean-x, data-mean-y, and for the second panel data-text2,
    data-count2, data-mean-x2, data-mean-y2. `window` is (left, right, bottom, top), or a pair.

    Raises `ValueError` for a missing frame, frames of different kinds, groups or lengths, points
    outside the range, no or more than two sliders or panels, and a figure above 300 kB.

    >>> from companion.book.widgets import curves
    >>> def parabola(step):
    ...     return curves({"error": ([0.0, 1.0], [0.0, step])}, text=f"step {step}")
    >>> figure = Frames(parabola, sliders={"step": [1, 2]}, caption="c", alt="a")
    >>> figure.at(2).text, round(figure.at(2).mean_y, 2)
    ('step 2', 1.0)
    >>> def beside(step):
    ...     return parabola(step), curves({"error": ([0.0, step], [1.0, 1.0])})
    >>> one, other = Frames(beside, sliders={"step": [1, 2]}, caption="c", alt="a").at(2)
    >>> round(one.mean_x, 2), round(other.mean_x, 2)
    (0.5, 1.0)
    """

    def __init__(
        self,
        frames: Callable[..., Given] | Mapping[tuple, Given],
        *,
        sliders: Mapping[str, Sequence | Mapping[str, Sequence]],
        caption: str,
        alt: str,
        switch: tuple[str, Sequence[str]] | None = None,
        start: Sequence | None = None,
        xlabel: str | Sequence[str] = "x",
        ylabel: str | Sequence[str] = "y",
        xlim: Sequence | None = None,
        ylim: Sequence | None = None,
        diagonal: bool | Sequence[bool] = False,
        equal: bool | Sequence[bool] = False,
    ):
        words(caption=caption, alt=alt)
        self.caption, self.alt = caption, alt
        self.switch = None if switch is None else (switch[0], tuple(switch[1]))
        self.sliders = _sliders(sliders, self.switch)
        self.frames = {key: _ask(frames, key) for key in self._keys()}
        count = _alike(self.frames)
        first = next(iter(self.frames))
        self.start = self._key(first if start is None else start)
        asked = {"xlabel": xlabel, "ylabel": ylabel, "xlim": xlim, "ylim": ylim}
        asked |= {"diagonal": diagonal, "equal": equal}
        each = {name: _each(name, value, count) for name, value in asked.items()}
        self.axes = tuple(
            axes_of(
                [panels[k] for panels in self.frames.values()],
                panel=_named(k, count),
                **{name: values[k] for name, values in each.items()},
            )
            for k in range(count)
        )
        self.window = _one_or_pair(axes.window for axes in self.axes)

    def at(self, *values: object) -> FrameState | tuple[FrameState, FrameState]:
        """What the page shows for these values: the option of the switch, then each slider's."""
        return _one_or_pair(map(_state, self.frames[self._key(values)]))

    def still(self) -> bytes:
        """The panels at the start, as PNG: what viewers without scripts, and printers, show."""
        import matplotlib
        from matplotlib.figure import Figure

        panels = self.frames[self.start]
        size = (4.8, 4.4) if len(panels) == 1 else (8.2, 4.0)
        boxed = len(panels) == 2 or self.axes[0].equal
        with matplotlib.rc_context(matplotlib.rcParamsDefault):
            figure = Figure(figsize=size, layout="compressed" if boxed else "constrained")
            every = figure.subplots(1, len(panels), squeeze=False)[0]
            for ax, axes, frame in zip(every, self.axes, panels, strict=True):
                axes.draw(ax, frame)
                if boxed:
                    ax.set_box_aspect(1 / SHAPE)
                if axes.legend and not self._one_legend():
                    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.15)}
                    ax.legend(ncols=2, frameon=False, **below)
            if self._one_legend():
                lines, names = every[0].get_legend_handles_labels()
                figure.legend(lines, names, loc="outside upper left", ncols=2, frameon=False)
            return png(figure)

    def _repr_html_(self) -> str:
        packer = Packer()
        entries: dict[tuple, int] = {}
        shown: list[dict[str, object]] = []
        for key, panels in self.frames.items():
            entries[key] = len(shown)
            drawn = (
                {"text": frame.text, "parts": packer.parts(frame, axes.window)}
                for frame, axes in zip(panels, self.axes, strict=True)
            )
            shown.append(_beside(drawn))
        options = self._options()
        start = self._key(self.start)
        option = options[0] if self.switch is None else start[0]
        values = start if self.switch is None else start[1:]
        data = {
            **_beside(axes.data() for axes in self.axes),
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

    def _one_legend(self) -> bool:
        first, *others = (axes.legend for axes in self.axes)
        return first is not None and all(other == first for other in others)

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


def _ask(frames: Callable[..., Given] | Mapping[tuple, Given], key: tuple) -> Panels:
    if callable(frames):
        given = frames(*key)
    elif key in frames:
        given = frames[key]
    else:
        raise ValueError(
            f"There is no frame for {key}, but each combination of switch and sliders needs one: "
            "add it, or give that option fewer values."
        )
    panels = tuple(given) if isinstance(given, tuple | list) else (given,)
    if len(panels) not in (1, 2):
        raise ValueError(
            f"There are {len(panels)} frames for {key}, but a figure has one panel or two: give a "
            "Frame or a pair of them, and use a second figure for more."
        )
    for k, frame in enumerate(panels):
        if not isinstance(frame, Frame):
            raise TypeError(
                f"The frame for {key}{_named(k, len(panels))} is a {type(frame).__name__}, but a "
                "Frame is drawn: make it by scatter, curves, histogram or images."
            )
    return panels


def _alike(frames: Mapping[tuple, Panels]) -> int:
    """Refuse frames that differ in what the figure says once; the number of panels of each."""
    first_key, first_panels = next(iter(frames.items()))
    count = len(first_panels)
    for key, panels in frames.items():
        if len(panels) != count:
            raise ValueError(
                f"Frame {first_key} and frame {key} have {count} and {len(panels)} panels, but "
                "all frames show the same panels: give a Frame for each, or a pair for each."
            )
        for k, (first, frame) in enumerate(zip(first_panels, panels, strict=True)):
            panel = _named(k, count)
            if (frame.kind, frame.groups) != (first.kind, first.groups):
                raise ValueError(
                    f"Frame {first_key}{panel} shows {first.kind} of {first.groups} and frame "
                    f"{key} {frame.kind} of {frame.groups}, but a figure has one legend: make all "
                    "frames of the same kind and groups, in the same order."
                )
            shapes = [f.parts.shape if f.kind == "images" else len(f) for f in (first, frame)]
            if shapes[0] != shapes[1]:
                raise ValueError(
                    f"Frame {first_key}{panel} has {shapes[0]} points and frame {key} "
                    f"{shapes[1]}, but frames are compared by eye: draw the same number in each."
                )
    return count


def _state(frame: Frame) -> FrameState:
    if frame.kind == "images":
        return FrameState(frame.text, 0, math.nan, math.nan)
    x, y = (np.concatenate([part[k] for part in frame.parts]) for k in (0, 1))
    means = (float(one.mean()) if len(x) else math.nan for one in (x, y))
    return FrameState(frame.text, len(x), *means)


def _named(k: int, count: int) -> str:
    return "" if count == 1 else f" of the {('first', 'second')[k]} panel"


def _each(name: str, value: object, count: int) -> tuple:
    """One value for each panel; a pair of numbers is a range, so it is one value."""
    pair = isinstance(value, tuple | list) and any(
        one is None or isinstance(one, str | bool) or np.ndim(one) for one in value
    )
    values = tuple(value) if pair else (value,) * count
    if len(values) != count:
        raise ValueError(
            f"{name} holds {len(values)} values, but the figure has {count} panel"
            f"{'s' * (count > 1)}: pass one value for all, or one for each."
        )
    return values


def _one_or_pair(values: Iterable):
    values = tuple(values)
    return values[0] if len(values) == 1 else values


def _beside(panels: Iterable[dict[str, object]]) -> dict[str, object]:
    """The entries of the first panel, and those of the second, if there is one, in one of them."""
    first, *others = panels
    return {**first, **({"second": others[0]} if others else {})}
