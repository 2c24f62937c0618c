"""The directions of one length, and which of them change the answer."""

__all__ = ["Circle"]

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from companion.book.widgets.field import Field, Here, Setting, directions
from companion.book.widgets.overlays.overlay import Overlay
from companion.book.widgets.page import number, three

TURNS = 1440  # directions that are tried


@dataclass(frozen=True)
class Circle(Overlay):
    """Share of the directions that lead to the rival, walking straight for the length `radius`.

    The null circle of a random direction: what a walk does that knows nothing of the gradient.
    Numbers: `share`, from 0 to 1; the slider sets `radius`, in units of the input, up to half of
    the window.

    Args:
        radius: At which it opens; by default an eighth of the window's side.
    """

    radius: float | int | None = None

    script = "circle"
    name = "directions to the rival"

    def settings(self, field: Field) -> dict[str, Setting]:
        radius = number(field.side / 8 if self.radius is None else self.radius)
        if not 0 <= radius <= field.side / 2:
            raise ValueError(
                f"radius is {radius}, but the window is {field.side:.4g} wide: pass a radius from "
                f"0 to half of that, {field.side / 2:.4g}."
            )
        return {"radius": Setting(radius, 0.0, number(field.side / 2), field.unit)}

    def data(self, field: Field) -> dict[str, object]:
        return {"turns": TURNS}

    def numbers(self, field: Field, here: Here, settings: Mapping[str, float]) -> dict[str, float]:
        angles = torch.arange(TURNS, dtype=torch.float64) * (2 * math.pi / TURNS)
        start = torch.tensor([[here.x, here.y]], dtype=torch.float64)
        ends = start + settings["radius"] * directions(angles)
        return {"share": float(field.rival(ends, here.own).double().mean())}

    def text(self, numbers: Mapping[str, float], unit: str) -> str:
        return f"{three(100 * numbers['share'])} %"

    def draw(self, axes: object, field: Field, here: Here, numbers: Mapping[str, float]) -> None:
        ring = numbers["radius"] * directions(torch.linspace(0, 2 * math.pi, 200))
        axes.plot(here.x + ring[:, 0], here.y + ring[:, 1], "k:")
