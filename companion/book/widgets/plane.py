"""A small network in the plane, seen from one point that the reader drags.

Explained in the prologue, `book/prologue`.
"""

__all__ = ["OVERLAYS", "Plane", "PlaneState"]

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from companion.book.widgets import network
from companion.book.widgets.page import number, page, png, words

OVERLAYS = ("gradient", "linear", "nearest", "circle")

# As drawn and as coloured by static/plane.js.
INK = ("#2b83c6", "#cf6214", "#8a63c4", "#2a9163")


@dataclass(frozen=True)
class PlaneState:
    """What the figure shows with its point at (x, y); lengths in units of the input.

    `own` is the predicted class, `score` F = f_own - f_rival >= 0, `gradient` that of F, `linear`
    the first-order distance F/|gradient| to the boundary and `guess` where it leads, `nearest` the
    distance of the nearest boundary in the box that the figure searches (infinite if there is
    none) and `foot` where it is, `share` the fraction of the directions that lead from the point
    into the other class, walking straight for the length `radius`.
    """

    x: float
    y: float
    own: int
    score: float
    gradient: tuple[float, float]
    linear: float
    guess: tuple[float, float]
    nearest: float
    foot: tuple[float, float]
    radius: float
    share: float


class Plane:
    """A network of two inputs and two classes, evaluated in the reader's browser.

    `model` is an `MLP` or a `Sequential` of linear layers and relu, leaky_relu, abs, softplus,
    tanh, sigmoid or identity. `points` (n, 2) with `labels` in {0, 1} are drawn as circles and
    triangles, called `names`. The reader drags one point, at first at `start` (default: the first
    of `points`), by mouse, finger or arrow keys. `overlays` are any of `gradient` (arrow of
    F = f_own - f_rival), `linear` (first-order step to F = 0), `nearest` (nearest boundary, found
    by search) and `circle` (a circle whose `radius` a slider sets; where its points have another
    class it is drawn thick). `window` is (left, right, bottom, top), by default around the points,
    made square. Boundaries are searched for in the window and a quarter of its side around it.

    The last expression of a cell shows the figure. `at` gives the numbers it shows, computed in
    float64 by another search; the two agree within 1e-3 of the window's side, except for slivers
    of a class thinner than a 60th of it, which either search may miss. In the page the numbers
    stand in attributes of the figure: data-x, data-y, data-own, data-score, data-gradient-x,
    data-gradient-y, data-linear, data-guess-x, data-guess-y, data-nearest, data-foot-x,
    data-foot-y, data-radius, data-share.

    Raises `TypeError` for a model of other layers, `ValueError` for a model that is not 2-...-2,
    too large (2,000 products) or not the chain of its layers, for points outside the plane, NaN,
    and an empty caption or alt text.

    >>> net = nn.Sequential(nn.Linear(2, 2))
    >>> with torch.no_grad():
    ...     _ = net[0].weight.copy_(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    ...     _ = net[0].bias.zero_()
    >>> points, labels = torch.tensor([[1.0, 1.0], [-1.0, -1.0]]), torch.tensor([1, 0])
    >>> state = Plane(net, points=points, labels=labels, caption="c", alt="a").at(1, 1)
    >>> state.score, state.linear, round(state.nearest, 4)      # |3 + 4| / |(3, 4)|
    (7.0, 1.4, 1.4)
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        points: Float[Tensor, "n 2"],
        labels: Int[Tensor, " n"],
        caption: str,
        alt: str,
        names: Sequence[str] = ("class 0", "class 1"),
        start: Sequence[float | int] | None = None,
        radius: float | int | None = None,
        overlays: Sequence[str] = OVERLAYS,
        window: Sequence[float | int] | None = None,
        xlabel: str = "x₁",
        ylabel: str = "x₂",
        unit: str = "units of the input",
    ):
        words(caption=caption, alt=alt, xlabel=xlabel, ylabel=ylabel, unit=unit)
        _check(points, labels, names, overlays)
        self.caption, self.alt, self.overlays = caption, alt, tuple(overlays)
        self.points = points.detach().cpu().double()
        self.labels = labels.detach().cpu()
        self.names, self.unit, self.axes = tuple(names), unit, (xlabel, ylabel)
        self.layers = network.folded(model, points)
        self.window = _square(self.points) if window is None else _asked(window)
        left, right, bottom, _ = self.window
        side = right - left
        self.box = (left - side / 4, bottom - side / 4, 1.5 * side)
        self.start = self._inside(self.points[0].tolist() if start is None else start)
        self.radius = number(side / 8 if radius is None else radius)
        if not 0 <= self.radius <= side / 2:
            raise ValueError(
                f"radius is {self.radius}, but the window is {side:.4g} wide: pass a radius from "
                f"0 to half of that, {side / 2:.4g}."
            )

    def at(self, x: float | int, y: float | int, radius: float | int | None = None) -> PlaneState:
        """The numbers that the figure shows with its point at (x, y); about 50 ms for 2-16-2.

        `radius` is that of the circle, by default the one of the start. The nearest boundary is
        searched along 360 rays, the best of them refined to 1e-6 of the window.

        Raises `ValueError` for a point outside the window.
        """
        x, y = self._inside((x, y), digits=17)
        r = self.radius if radius is None else float(radius)
        here = torch.tensor([[x, y]], dtype=torch.float64)
        with torch.enable_grad():
            asking = here.clone().requires_grad_()
            raw = self._score(asking)
            (slope,) = torch.autograd.grad(raw.sum(), asking)
        raw = raw.detach()
        own = int(raw > 0)
        sign = 1 if own else -1
        score, (gx, gy) = sign * float(raw), (sign * slope[0]).tolist()
        length = math.hypot(gx, gy)
        linear = score / length if length else math.inf
        away = linear / length if length else math.nan
        nearest, foot = self._nearest(here, own)
        angles = torch.arange(1440, dtype=torch.float64) * (2 * math.pi / 1440)
        changed = (self._score(here + r * _directions(angles)) > 0) != bool(own)
        share = float(changed.double().mean())
        guess = (x - away * gx, y - away * gy)
        return PlaneState(x, y, own, score, (gx, gy), linear, guess, nearest, foot, r, share)

    def still(self, state: PlaneState | None = None) -> bytes:
        """The figure as PNG, at its start: what viewers without scripts, and printers, show."""
        import matplotlib
        from matplotlib.figure import Figure

        state = self.at(*self.start) if state is None else state
        left, right, bottom, top = self.window
        with matplotlib.rc_context(matplotlib.rcParamsDefault):
            figure = Figure(figsize=(4.6, 4.4), layout="constrained")
            axes = figure.add_subplot(aspect="equal")
            lines = [torch.linspace(*ends, 161) for ends in ((left, right), (bottom, top))]
            grid = torch.stack(torch.meshgrid(*lines, indexing="xy"), -1).double()
            field = self._score(grid.reshape(-1, 2)).reshape(161, 161)
            axes.contourf(*lines, field, [-math.inf, 0, math.inf], colors=INK[:2], alpha=0.25)
            axes.contour(*lines, field, [0], colors="black", linewidths=1.5)
            for label, marker in enumerate("o^"):
                axes.scatter(
                    *self.points[self.labels == label].T,
                    s=26,
                    marker=marker,
                    color=INK[label],
                    edgecolors="white",
                    linewidths=0.8,
                    label=self.names[label],
                )
            self._overlay(axes, state)
            axes.plot(state.x, state.y, "o", ms=10, color="black", mec="white", mew=2)
            axes.set(xlim=(left, right), ylim=(bottom, top))
            axes.set(xlabel=self.axes[0], ylabel=self.axes[1])
            figure.legend(loc="outside upper left", ncols=2, frameon=False)
            return png(figure)

    def _overlay(self, axes, state: PlaneState) -> None:
        here = (state.x, state.y)
        if "circle" in self.overlays:
            turn = torch.linspace(0, 2 * math.pi, 200)
            axes.plot(*(torch.tensor(here)[:, None] + state.radius * _directions(turn).T), "k:")
        if "nearest" in self.overlays and math.isfinite(state.nearest):
            axes.plot(*zip(here, state.foot, strict=True), "-s", color=INK[3], lw=2, markevery=[1])
        if "linear" in self.overlays and math.isfinite(state.linear):
            axes.plot(*zip(here, state.guess, strict=True), "--D", color=INK[2], markevery=[1])
        if "gradient" in self.overlays:
            tip = [a + self._arrow() * g for a, g in zip(here, state.gradient, strict=True)]
            axes.annotate("", tip, here, arrowprops={"arrowstyle": "-|>", "lw": 2, "fc": "black"})

    def _repr_html_(self) -> str:
        left, bottom, size = self.box
        data = {
            "layers": self.layers,
            "points": [
                [*map(number, point), int(label)]
                for point, label in zip(self.points.tolist(), self.labels.tolist(), strict=True)
            ],
            "names": self.names,
            "start": self.start,
            "radius": {"start": self.radius, "max": number((self.window[1] - self.window[0]) / 2)},
            "window": self.window,
            "box": {"x": left, "y": bottom, "size": size},
            "overlays": self.overlays,
            "arrow": number(self._arrow()),
            "xlabel": self.axes[0],
            "ylabel": self.axes[1],
            "unit": self.unit,
        }
        return page(
            "plane", data, self.still(), caption=self.caption, alt=self.alt, needs=("network",)
        )

    def __repr__(self) -> str:
        return self.caption

    def _score(self, x: Float[Tensor, "k 2"]) -> Float[Tensor, " k"]:
        return network.score(self.layers, x)

    def _arrow(self) -> float:
        # The steepest place of the data gets the longest arrow: a fifth of the window.
        with torch.enable_grad():
            x = self.points.clone().requires_grad_()
            (slope,) = torch.autograd.grad(self._score(x).sum(), x)
        steepest = float(slope.norm(dim=1).max())
        return 0.2 * (self.window[1] - self.window[0]) / steepest if steepest else 0.0

    def _inside(self, point: Sequence[float | int], digits: int = 4) -> tuple[float, float]:
        x, y = (number(value, digits) for value in point)
        left, right, bottom, top = self.window
        if not (left <= x <= right and bottom <= y <= top):
            raise ValueError(
                f"({x}, {y}) lies outside the window, which shows {left} to {right} across and "
                f"{bottom} to {top} up: choose a point inside, or a larger window=."
            )
        return x, y

    def _nearest(self, here: Tensor, own: int) -> tuple[float, tuple[float, float]]:
        apart = 2 * math.pi / 360
        angles = torch.arange(360, dtype=torch.float64) * apart
        best, foot = math.inf, (math.nan, math.nan)
        for _ in range(4):
            reach = self._crossing(here, angles, own)
            k = int(reach.argmin())
            if reach[k] < best:
                best = float(reach[k])
                foot = tuple((here + best * _directions(angles[k : k + 1]))[0].tolist())
            angles = angles[k] + torch.linspace(-apart, apart, 41, dtype=torch.float64)
            apart /= 20
        return best, foot

    def _crossing(self, here: Tensor, angles: Tensor, own: int) -> Tensor:
        """Where each ray first leaves the class `own` inside the box: (k,), infinite if never."""
        way = _directions(angles)
        low = torch.tensor(self.box[:2], dtype=torch.float64)
        walls = torch.where(way > 0, low + self.box[2] - here, low - here) / way
        end = walls.nan_to_num(math.inf, math.inf, math.inf).amin(1)
        steps = torch.linspace(0, 1, 201, dtype=torch.float64)
        walk = here + (end[:, None] * steps)[:, :, None] * way[:, None]
        left = (self._score(walk.reshape(-1, 2)).reshape(len(way), -1) > 0) != bool(own)
        first = left.int().argmax(1).clamp(min=1)
        inner, outer = end * steps[first - 1], end * steps[first]
        for _ in range(40):
            middle = (inner + outer) / 2
            out = (self._score(here + middle[:, None] * way) > 0) != bool(own)
            inner, outer = torch.where(out, inner, middle), torch.where(out, middle, outer)
        return torch.where(left.any(1), outer, math.inf)


def _directions(angles: Float[Tensor, " k"]) -> Float[Tensor, "k 2"]:
    return torch.stack([angles.cos(), angles.sin()], 1)


def _check(points: Tensor, labels: Tensor, names: Sequence[str], overlays: Sequence[str]) -> None:
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
    if unknown := [name for name in overlays if name not in OVERLAYS]:
        raise ValueError(
            f"{unknown[0]!r} is no overlay: choose from {', '.join(OVERLAYS)}, or () for none."
        )


def _asked(window: Sequence[float | int]) -> tuple[float, ...]:
    ends = np.asarray(window, dtype=float).reshape(-1)
    sides = ends[1::2] - ends[::2] if len(ends) == 4 else np.zeros(2)
    if not (np.isfinite(ends).all() and (sides > 0).all() and np.ptp(sides) < 1e-9 * sides.max()):
        raise ValueError(
            f"window is {tuple(ends.tolist())}, but circles stay round only in a square: pass "
            "(left, right, bottom, top) with equal sides."
        )
    return tuple(ends.tolist())


def _square(points: Float[Tensor, "n 2"]) -> tuple[float, ...]:
    low, high = points.amin(0), points.amax(0)
    half = max(0.6 * float((high - low).max()), 1e-3)
    centre = ((low + high) / 2).tolist()
    digits = max(0, 2 - math.floor(math.log10(half)))
    left, bottom = (round(value - half, digits) for value in centre)
    side = round(2 * half, digits)
    return left, round(left + side, digits), bottom, round(bottom + side, digits)
