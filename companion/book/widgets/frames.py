"""Frames computed in Python and chosen on the page by sliders and a switch.

Explained where the first one stands, in `book/distances/metric_structure`.
"""

__all__ = ["FrameState", "Frames"]

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from companion import run
from companion.book.widgets.axes import SHAPE, Packer, Panel, axes_of
from companion.book.widgets.frame import Frame
from companion.book.widgets.page import page, png, words

Given = Frame | Sequence[Frame]
SCRIPTS = ("theme", "living", "view", "controls", "panel", "frames")


@dataclass(frozen=True)
class FrameState:
    """What a panel shows of a frame.

    Args:
        text: The line above it.
        count: How many points it has; 0 for pictures.
        mean_x: Mean of their x, NaN for none.
        mean_y: Mean of their y, NaN for none.
    """

    text: str
    count: int
    mean_x: float
    mean_y: float


class Frames:
    """Frames chosen by a switch and one or two sliders, played along the last slider.

    Two values are a switch, not a slider, and where there is one step play is off. The controls
    come first, so that a phone shows them together with the first panel. The last expression of a
    cell shows the figure. `at` gives what the page shows; the two agree within 1e-3 of the range
    (numbers travel as 12 bits of it). In the page it stands in attributes of the figure:
    data-switch, data-slider1, data-slider2, and for panel k data-textk, data-countk, data-mean-xk,
    data-mean-yk. `window` holds (left, right, bottom, top) of each panel.

    Args:
        frames: A function of the values, computed for every combination, or a mapping from tuples
            of them, to a list of frames, one for each panel; a single one may stand alone. The
            values stand in this order: option of the switch, if there is one, then each slider's.
        sliders: A name to its values, or, where they depend on the switch, to a mapping from
            option to values (their numbers may differ). One or two.
        panels: How each panel is drawn; by default each as `Panel()`.
        switch: (name, options); None for no switch.
        start: The values shown first, where the question shows; by default the first of each.
        caption: What the figure shows.
        holds: Whether that is true of what the figure shows for these values, in the order of
            `frames`; asked of every combination, after all frames were made. By default nobody
            asks, and the caption must claim nothing that could be false of some of them.
        alt: What it looks like, for readers who do not see it.

    Raises:
        TypeError: For a frame that is none.
        ValueError: For a missing frame, frames of different kinds, groups or lengths, points
            outside the range, no or more than two sliders, no panel, a number of panels that
            changes, and a figure above 300 kB; under COMPANION_STRICT=1 for a caption that is
            false of some values (in a reader's own run, which may differ, it says so itself).

    >>> from companion.book.widgets import curves
    >>> def parabola(step):
    ...     return [curves({"error": ([0.0, 1.0], [0.0, step])}, text=f"step {step}")]
    >>> figure = Frames(parabola, sliders={"step": [1, 2, 3]}, caption="c", alt="a")
    >>> (state,) = figure.at(2)
    >>> state.text, round(state.mean_y, 2)
    ('step 2', 1.0)
    >>> def beside(step):
    ...     return [*parabola(step), curves({"error": ([0.0, step], [1.0, 1.0])})]
    >>> one, other = Frames(beside, sliders={"step": [1, 2, 3]}, caption="c", alt="a").at(2)
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
        panels: Sequence[Panel] | None = None,
        switch: tuple[str, Sequence[str]] | None = None,
        start: Sequence | None = None,
        holds: Callable[..., bool] | None = None,
    ):
        words(caption=caption, alt=alt)
        self.alt = alt
        self.switch = None if switch is None else (switch[0], tuple(switch[1]))
        self.sliders = _sliders(sliders, self.switch)
        self.frames = {key: _ask(frames, key) for key in self._keys()}
        self.caption = _true(caption, holds, self.frames)
        count = _alike(self.frames)
        first = next(iter(self.frames))
        self.start = self._key(first if start is None else start)
        panels = (Panel(),) * count if panels is None else panels
        if len(panels) != count:
            raise ValueError(
                f"There are {len(panels)} panels, but a list of {count} for {first}: pass one "
                "Panel for each frame of the list."
            )
        every = zip(*self.frames.values(), strict=True)
        self.axes = tuple(
            axes_of(panel, column, _named(k, count))
            for k, (panel, column) in enumerate(zip(panels, every, strict=True))
        )
        self.window = tuple(axes.window for axes in self.axes)

    def at(self, *values: object) -> tuple[FrameState, ...]:
        """What the page shows for these values.

        Args:
            values: The option of the switch, if there is one, then each slider's.

        Returns:
            The state of each panel.

        Raises:
            ValueError: For values that the figure does not have.
        """
        return tuple(map(_state, self.frames[self._key(values)]))

    def still(self) -> bytes:
        """The panels at the start, as PNG: what viewers without scripts, and printers, show."""
        import matplotlib
        from matplotlib.figure import Figure

        panels = self.frames[self.start]
        rows, columns = -(-len(panels) // 2), min(2, len(panels))
        size = (4.8, 4.4) if len(panels) == 1 else (8.2, 4.0 * rows)
        boxed = len(panels) > 1 or self.axes[0].panel.equal
        with matplotlib.rc_context(matplotlib.rcParamsDefault):
            figure = Figure(figsize=size, layout="compressed" if boxed else "constrained")
            every = list(figure.subplots(rows, columns, squeeze=False).flat)
            for ax in every[len(panels) :]:
                ax.remove()
            for ax, axes, frame in zip(every, self.axes, panels, strict=False):
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
        shown: list[list[dict[str, object]]] = []
        for key, panels in self.frames.items():
            entries[key] = len(shown)
            shown.append(
                [
                    {"text": frame.text, "parts": packer.parts(frame, axes.window)}
                    for frame, axes in zip(panels, self.axes, strict=True)
                ]
            )
        options = self._options()
        data = {
            "panels": [axes.data() for axes in self.axes],
            "switch": self.switch and {"name": self.switch[0], "options": self.switch[1]},
            "sliders": [
                {"name": name, "labels": [[str(v) for v in lists[o]] for o in options]}
                for name, lists in self.sliders.items()
            ],
            "start": self._places(),
            "lookup": [_nested(entries, *self._grid(option)) for option in options],
            "frames": shown,
            "arrays": packer.arrays,
        }
        return page(
            "frames", data, self.still(), caption=self.caption, alt=self.alt, scripts=SCRIPTS
        )

    def _places(self) -> list[int]:
        """Which option and which values of the sliders are shown first, counted from 0."""
        options = self._options()
        option, *values = self.start if self.switch else (options[0], *self.start)
        lists = (given[option] for given in self.sliders.values())
        return [options.index(option), *map(tuple.index, lists, values)]

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


def _ask(frames: Callable[..., Given] | Mapping[tuple, Given], key: tuple) -> tuple[Frame, ...]:
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
    if not panels:
        raise ValueError(
            f"The list of frames for {key} is empty, but a figure has a panel or more: give a "
            "Frame for each."
        )
    for k, frame in enumerate(panels):
        if not isinstance(frame, Frame):
            raise TypeError(
                f"The frame for {key}{_named(k, len(panels))} is a {type(frame).__name__}, but a "
                "Frame is drawn: make it by scatter, curves, histogram or images."
            )
    return panels


def _true(caption: str, holds: Callable[..., bool] | None, keys: Iterable[tuple]) -> str:
    """The caption, after every state of the figure has been held against it."""
    false = [] if holds is None else [key for key in keys if not holds(*key)]
    if not false:
        return caption
    where = ", ".join(map(str, false[0]))
    if len(false) > 1:
        where += f" and {len(false) - 1} more"
    if run.strict():
        raise ValueError(
            f"The caption {caption!r} is false at {where}, says holds=, but a reader can move the "
            "figure there: say in the caption where it is true, and in holds= what it says now."
        )
    return f"{caption} (In this run it is not so at {where}.)"


def _alike(frames: Mapping[tuple, tuple[Frame, ...]]) -> int:
    """Refuse frames that differ in what the figure says once; the number of panels of each."""
    first_key, first_panels = next(iter(frames.items()))
    count = len(first_panels)
    for key, panels in frames.items():
        if len(panels) != count:
            raise ValueError(
                f"Frame {first_key} and frame {key} have {count} and {len(panels)} panels, but "
                "all frames show the same panels: give a list of the same length for each."
            )
        for k, (first, frame) in enumerate(zip(first_panels, panels, strict=True)):
            panel = _named(k, count)
            if (frame.kind, frame.groups) != (first.kind, first.groups):
                raise ValueError(
                    f"Frame {first_key}{panel} shows {first.kind} of {first.groups} and frame "
                    f"{key} {frame.kind} of {frame.groups}, but a panel has one legend: make all "
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
    return "" if count == 1 else f" of panel {k + 1}"
