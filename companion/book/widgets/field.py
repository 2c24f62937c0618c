"""The plane around a point: a small network, the window that is seen of it, what it says there.

Explained where the first one is drawn, in `book/prologue`.
"""

__all__ = ["Field", "Here", "Setting", "Window", "directions"]

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from companion.book.widgets import network
from companion.book.widgets.page import number, words
from companion.decision import DecisionFunction


@dataclass(frozen=True)
class Window:
    """What is seen of a plane: its range, what its axes are called, the unit of its lengths.

    Args:
        xlim: (left, right); None (default) is what holds the points, with room around them.
        ylim: (bottom, top), as long as `xlim`: circles stay round; None as there. Both or none.
        xlabel: What is measured across.
        ylabel: What is measured upward.
        unit: What one unit of both axes is called, behind every length that is shown.
    """

    xlim: Sequence[float | int] | None = None
    ylim: Sequence[float | int] | None = None
    xlabel: str = "x₁"
    ylabel: str = "x₂"
    unit: str = "units"


class Setting(NamedTuple):
    """What a slider sets.

    Args:
        start: Where it opens.
        low: From where it goes.
        high: To where it goes.
        unit: In which unit, behind the number.
    """

    start: float
    low: float
    high: float
    unit: str


@dataclass(frozen=True)
class Here:
    """A point of the plane and what the network says there.

    Args:
        x: Where it lies across.
        y: Where it lies upward.
        own: Its class, 0 or 1.
        value: F = f_rival - f_own <= 0, in units of the logits.
        gradient: That of F, in logits per unit of the input.
    """

    x: float
    y: float
    own: int
    value: float
    gradient: tuple[float, float]

    @property
    def slope(self) -> float:
        """Length of the gradient."""
        return math.hypot(*self.gradient)


class Field:
    """A network of two inputs and two classes over a square of its plane.

    `layers` are its weights as the page has them; `window` is (left, right, bottom, top); `box` is
    (left, bottom, side) of what is searched for boundaries, the window and a quarter of its side
    around it; `side` is that of the window.

    Args:
        model: A module of linear layers and activations that `network.folded` knows.
        points: The data (n, 2), which the default window holds.
        window: What is seen.

    Raises:
        TypeError: For a model of other layers.
        ValueError: For a model that is not 2-...-2, too large or not the chain of its layers, and
            for a window that is not square.
    """

    def __init__(self, model: nn.Module, points: Float[Tensor, "n 2"], window: Window):
        words(xlabel=window.xlabel, ylabel=window.ylabel, unit=window.unit)
        self.layers = network.folded(model, points)
        self.points = points.detach().cpu().double()
        self.unit, self.labels = window.unit, (window.xlabel, window.ylabel)
        self.window = _asked(window) or _square(self.points)
        left, right, bottom, _ = self.window
        self.side = right - left
        self.box = (left - self.side / 4, bottom - self.side / 4, 1.5 * self.side)

    def gap(self, x: Float[Tensor, "k 2"]) -> Float[Tensor, " k"]:
        """f_1 - f_0, the logit of the second class over that of the first.

        Args:
            x: Points (k, 2) in float64.

        Returns:
            One number per point (k,).
        """
        return network.gap(self.layers, x)

    def rival(self, x: Float[Tensor, "k 2"], own: int) -> Bool[Tensor, " k"]:
        """Which points belong to the other class than `own`.

        Args:
            x: Points (k, 2) in float64.
            own: The class that they are compared with, 0 or 1.

        Returns:
            True where the answer differs (k,).
        """
        return (self.gap(x) > 0) != bool(own)

    def at(self, x: float | int, y: float | int) -> Here:
        """Class, decision function and its gradient at one point.

        Args:
            x: Where it lies across.
            y: Where it lies upward.

        Returns:
            What the network says there.

        Raises:
            ValueError: For a point outside the window.
        """
        x, y = self.inside((x, y), digits=17)
        here = torch.tensor([[x, y]], dtype=torch.float64)
        F = self.decision(here)
        value, gradient = F.value_and_gradient(here)
        return Here(x, y, int(F.own), float(value), tuple(gradient[0].tolist()))

    def decision(self, x: Float[Tensor, "k 2"]) -> DecisionFunction:
        """The decision function of the class at each point and its rival.

        Args:
            x: Points (k, 2) in float64.

        Returns:
            F = f_rival - f_own, from the layers as the page has them.
        """
        return DecisionFunction(lambda z: nn.functional.pad(self.gap(z)[:, None], (1, 0)), x)

    def inside(self, point: Sequence[float | int], digits: int = 4) -> tuple[float, float]:
        """A point of the window, with so many digits.

        Args:
            point: Its two coordinates.
            digits: How many digits are kept, by default the four that a page gets.

        Returns:
            The coordinates.

        Raises:
            ValueError: For a point outside the window.
        """
        x, y = (number(value, digits) for value in point)
        left, right, bottom, top = self.window
        if not (left <= x <= right and bottom <= y <= top):
            raise ValueError(
                f"({x}, {y}) lies outside the window, which shows {left} to {right} across and "
                f"{bottom} to {top} up: choose a point inside, or a larger window=."
            )
        return x, y

    def data(self) -> dict[str, object]:
        """What the page gets of it."""
        left, bottom, size = self.box
        return {
            "layers": self.layers,
            "window": self.window,
            "box": {"x": left, "y": bottom, "size": size},
            "xlabel": self.labels[0],
            "ylabel": self.labels[1],
            "unit": self.unit,
        }


def directions(angles: Float[Tensor, " k"]) -> Float[Tensor, "k 2"]:
    """Unit vectors of the plane.

    Args:
        angles: In radians (k,), from the first axis to the second.

    Returns:
        (cos, sin) of each (k, 2).
    """
    return torch.stack([angles.cos(), angles.sin()], 1)


def _asked(window: Window) -> tuple[float, ...] | None:
    if window.xlim is None and window.ylim is None:
        return None
    ends = np.asarray([*(window.xlim or ()), *(window.ylim or ())], dtype=float)
    sides = ends[1::2] - ends[::2] if len(ends) == 4 else np.zeros(2)
    if not (np.isfinite(ends).all() and (sides > 0).all() and np.ptp(sides) < 1e-9 * sides.max()):
        raise ValueError(
            f"The window has xlim = {window.xlim} and ylim = {window.ylim}, but circles stay "
            "round only in a square: pass both, (low, high) each, equally long."
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
