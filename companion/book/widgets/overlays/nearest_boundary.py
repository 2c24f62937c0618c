"""The nearest place where the answer changes, found by search."""

__all__ = ["NearestBoundary"]

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from companion.book.widgets.field import Field, Here, directions
from companion.book.widgets.overlays.overlay import Overlay
from companion.book.widgets.page import INK, three


@dataclass(frozen=True)
class NearestBoundary(Overlay):
    """Distance to the nearest boundary in the box that is searched, and where it lies.

    Numbers: `nearest`, in units of the input, infinite where there is none; `foot_x`, `foot_y`,
    NaN there. Python searches along 360 rays and refines the best to 1e-6 of the window, the page
    along the boundary; slivers thinner than a 60th of the window's side may be missed by either.
    """

    script = "nearest_boundary"
    name = "nearest boundary at"

    def numbers(self, field: Field, here: Here, settings: Mapping[str, float]) -> dict[str, float]:
        start = torch.tensor([[here.x, here.y]], dtype=torch.float64)
        apart = 2 * math.pi / 360
        angles = torch.arange(360, dtype=torch.float64) * apart
        best, foot = math.inf, (math.nan, math.nan)
        for _ in range(4):
            reach = _crossing(field, start, angles, here.own)
            k = int(reach.argmin())
            if reach[k] < best:
                best = float(reach[k])
                foot = tuple((start + best * directions(angles[k : k + 1]))[0].tolist())
            angles = angles[k] + torch.linspace(-apart, apart, 41, dtype=torch.float64)
            apart /= 20
        return {"nearest": best, "foot_x": foot[0], "foot_y": foot[1]}

    def text(self, numbers: Mapping[str, float], unit: str) -> str:
        length = numbers["nearest"]
        return f"{three(length)} {unit}" if math.isfinite(length) else "none in sight"

    def draw(self, axes: object, field: Field, here: Here, numbers: Mapping[str, float]) -> None:
        if math.isfinite(numbers["nearest"]):
            ends = (here.x, numbers["foot_x"]), (here.y, numbers["foot_y"])
            axes.plot(*ends, "-s", color=INK[3], lw=2, markevery=[1])


def _crossing(field: Field, here: Tensor, angles: Tensor, own: int) -> Tensor:
    """Where each ray first leaves the class `own` inside the box: (k,), infinite if never."""
    way = directions(angles)
    low = torch.tensor(field.box[:2], dtype=torch.float64)
    walls = torch.where(way > 0, low + field.box[2] - here, low - here) / way
    end = walls.nan_to_num(math.inf, math.inf, math.inf).amin(1)
    steps = torch.linspace(0, 1, 201, dtype=torch.float64)
    walk = here + (end[:, None] * steps)[:, :, None] * way[:, None]
    left = field.rival(walk.reshape(-1, 2), own).reshape(len(way), -1)
    first = left.int().argmax(1).clamp(min=1)
    inner, outer = end * steps[first - 1], end * steps[first]
    for _ in range(40):
        middle = (inner + outer) / 2
        out = field.rival(here + middle[:, None] * way, own)
        inner, outer = torch.where(out, inner, middle), torch.where(out, middle, outer)
    return torch.where(left.any(1), outer, math.inf)
