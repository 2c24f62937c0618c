"""A small network in the plane, seen from one point that the reader drags.

Explained in the prologue, `book/prologue`.
"""

__all__ = ["Plane", "PlaneState"]

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from companion.book.widgets.field import Field, Setting, Window
from companion.book.widgets.overlays import (
    Arrow,
    Circle,
    LinearGuess,
    NearestBoundary,
    Overlay,
)
from companion.book.widgets.page import INK, number, page, png, words

OVERLAYS = (Arrow(), LinearGuess(), NearestBoundary(), Circle())

# Those of static/ that stand before the overlays' own.
SCRIPTS = ("theme", "living", "view", "controls", "network", "field", "overlay")


@dataclass(frozen=True)
class PlaneState:
    """What the figure shows; lengths in units of the input.

    Args:
        x: Where the point lies across.
        y: Where it lies upward.
        own: The predicted class there, 0 or 1.
        value: F = f_rival - f_own <= 0, in units of the logits.
        settings: What the sliders say, by name.
        numbers: What each overlay says, by the names that its docstring gives.
    """

    x: float
    y: float
    own: int
    value: float
    settings: Mapping[str, float]
    numbers: Mapping[str, float]


class Plane:
    """A network of two inputs and two classes, evaluated in the reader's browser.

    The reader drags one point, by mouse, finger or arrow keys, and the overlays follow. The last
    expression of a cell shows the figure. `at` gives the numbers it shows, computed in float64;
    the two agree within 1e-3 of the range shown. In the page they stand in attributes of the
    figure: data-x, data-y, data-own, data-value, and one for each setting and number of an
    overlay.

    Args:
        model: An `MLP` or a `Sequential` of linear layers and relu, leaky_relu, abs, softplus,
            tanh, sigmoid or identity.
        points: Data (n, 2), drawn as circles (class 0) and triangles (class 1).
        labels: Their classes (n,), 0 or 1.
        overlays: What is drawn over the field, the first on top; by default an `Arrow`, a
            `LinearGuess`, the `NearestBoundary` and a `Circle`. Each kind once.
        start: Where the point opens; by default at the first of `points`.
        window: What is seen, and its unit; by default a square around the points.
        names: What the two classes are called.
        caption: What the figure shows.
        alt: What it looks like, for readers who do not see it.

    Raises:
        TypeError: For a model of other layers, and for an overlay that is none.
        ValueError: For a model that is not 2-...-2, too large (2,000 products) or not the chain of
            its layers, for points outside the plane, NaN, an overlay that occurs twice, and an
            empty caption or alt text.

    >>> net = nn.Sequential(nn.Linear(2, 2))
    >>> with torch.no_grad():
    ...     _ = net[0].weight.copy_(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    ...     _ = net[0].bias.zero_()
    >>> points, labels = torch.tensor([[1.0, 1.0], [-1.0, -1.0]]), torch.tensor([1, 0])
    >>> state = Plane(net, points=points, labels=labels, caption="c", alt="a").at(1, 1)
    >>> state.value, state.numbers["linear"], round(state.numbers["nearest"], 4)   # 7 / |(3, 4)|
    (-7.0, 1.4, 1.4)
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        points: Float[Tensor, "n 2"],
        labels: Int[Tensor, " n"],
        caption: str,
        alt: str,
        overlays: Sequence[Overlay] = OVERLAYS,
        start: Sequence[float | int] | None = None,
        window: Window | None = None,
        names: Sequence[str] = ("class 0", "class 1"),
    ):
        words(caption=caption, alt=alt)
        _check(points, labels, names, overlays)
        self.caption, self.alt, self.overlays = caption, alt, tuple(overlays)
        self.field = Field(model, points, window or Window())
        self.labels, self.names = labels.detach().cpu(), tuple(names)
        self.start = self.field.inside(points[0].tolist() if start is None else start)
        self.settings: dict[str, Setting] = {}
        for overlay in self.overlays:
            self.settings |= overlay.settings(self.field)

    def at(self, x: float | int, y: float | int, **settings: float | int) -> PlaneState:
        """The numbers that the figure shows with its point at (x, y); about 50 ms for 2-16-2.

        Args:
            x: Where the point lies across.
            y: Where it lies upward.
            settings: What the sliders say, as radius=0.5; by default what they open with.

        Returns:
            The state of the page.

        Raises:
            ValueError: For a point outside the window, and a setting that no overlay has.
        """
        if unknown := [name for name in settings if name not in self.settings]:
            raise ValueError(
                f"There is no setting {unknown[0]!r}: the overlays of this figure have "
                f"{', '.join(self.settings) or 'none'}."
            )
        values = {name: float(one.start) for name, one in self.settings.items()}
        values |= {name: float(value) for name, value in settings.items()}
        here = self.field.at(x, y)
        numbers: dict[str, float] = {}
        for overlay in self.overlays:
            numbers |= overlay.numbers(self.field, here, values)
        return PlaneState(here.x, here.y, here.own, here.value, values, numbers)

    def still(self, state: PlaneState | None = None) -> bytes:
        """The figure as a picture: what viewers without scripts, and printers, show.

        Args:
            state: With the point there; by default at the start.

        Returns:
            A PNG.
        """
        import matplotlib
        from matplotlib.figure import Figure

        state = self.at(*self.start) if state is None else state
        with matplotlib.rc_context(matplotlib.rcParamsDefault):
            figure = Figure(figsize=(4.6, 4.4), layout="constrained")
            axes = figure.add_subplot(aspect="equal")
            self._ground(axes)
            here = self.field.at(state.x, state.y)
            for overlay in reversed(self.overlays):
                overlay.draw(axes, self.field, here, {**state.settings, **state.numbers})
            axes.plot(state.x, state.y, "o", ms=10, color="black", mec="white", mew=2)
            axes.set(xlim=self.field.window[:2], ylim=self.field.window[2:])
            axes.set(xlabel=self.field.labels[0], ylabel=self.field.labels[1])
            figure.legend(loc="outside upper left", ncols=2, frameon=False)
            return png(figure)

    def _ground(self, axes: object) -> None:
        left, right, bottom, top = self.field.window
        lines = [torch.linspace(*ends, 161) for ends in ((left, right), (bottom, top))]
        grid = torch.stack(torch.meshgrid(*lines, indexing="xy"), -1).double()
        gap = self.field.gap(grid.reshape(-1, 2)).reshape(161, 161)
        axes.contourf(*lines, gap, [-math.inf, 0, math.inf], colors=INK[:2], alpha=0.25)
        axes.contour(*lines, gap, [0], colors="black", linewidths=1.5)
        for label, marker in enumerate("o^"):
            axes.scatter(
                *self.field.points[self.labels == label].T,
                s=26,
                marker=marker,
                color=INK[label],
                edgecolors="white",
                linewidths=0.8,
                label=self.names[label],
            )

    def _repr_html_(self) -> str:
        points = zip(self.field.points.tolist(), self.labels.tolist(), strict=True)
        data = {
            **self.field.data(),
            "points": [[*map(number, point), label] for point, label in points],
            "names": self.names,
            "start": self.start,
            "overlays": [
                {
                    "script": one.script,
                    "name": one.name,
                    "settings": {k: v._asdict() for k, v in one.settings(self.field).items()},
                    **one.data(self.field),
                }
                for one in self.overlays
            ],
        }
        drawn = [f"overlays/{one.script}" for one in self.overlays]
        scripts = (*SCRIPTS, *drawn, "ground", "handle", "plane")
        return page(
            "plane", data, self.still(), caption=self.caption, alt=self.alt, scripts=scripts
        )

    def __repr__(self) -> str:
        return self.caption


def _check(
    points: Tensor, labels: Tensor, names: Sequence[str], overlays: Sequence[Overlay]
) -> None:
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(
            f"points have shape {tuple(points.shape)}, but a plane holds points (n, 2) with n >= "
            "1: pass two coordinates of each."
        )
    if labels.shape != points.shape[:1] or not set(labels.tolist()) <= {0, 1}:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)} and values {sorted(set(labels.tolist()))}, "
            f"but {len(points)} points need {len(points)} labels, each 0 or 1: pass one a point."
        )
    if not points.isfinite().all():
        raise ValueError(
            f"{int((~points.isfinite()).any(1).sum())} of {len(points)} points hold NaN or "
            "infinity, but a plane shows finite ones: leave those out."
        )
    if len(names) != 2:
        raise ValueError(f"names are {len(names)}, but there are two classes: pass two names.")
    for k, overlay in enumerate(overlays):
        if not isinstance(overlay, Overlay):
            raise TypeError(
                f"Overlay {k} is {overlay!r}, but what is drawn is an object: pass one, as "
                "widgets.Arrow(), or overlays=() for none."
            )
        if overlay.script in [other.script for other in overlays[:k]]:
            raise ValueError(
                f"There are two overlays {type(overlay).__name__}, but their numbers have one "
                "place in the page: pass each kind once, and use a second figure for more."
            )
