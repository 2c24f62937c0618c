"""Where the boundary would be if the network were linear."""

__all__ = ["LinearGuess"]

import math
from collections.abc import Mapping
from dataclasses import dataclass

from companion.book.widgets.field import Field, Here
from companion.book.widgets.overlays.overlay import Overlay
from companion.book.widgets.page import INK, three


@dataclass(frozen=True)
class LinearGuess(Overlay):
    """First-order distance to the boundary, |F| / ‖∇F‖, and the step that has this length.

    Numbers: `linear`, in units of the input, infinite where the gradient vanishes; `guess_x` and
    `guess_y`, where the step x - F ∇F / ‖∇F‖² leads, NaN there.
    """

    script = "linear_guess"
    name = "linear guess at"

    def numbers(self, field: Field, here: Here, settings: Mapping[str, float]) -> dict[str, float]:
        slope = here.slope
        step = -here.value / slope**2 if slope else math.nan
        return {
            "linear": -here.value / slope if slope else math.inf,
            "guess_x": here.x + step * here.gradient[0],
            "guess_y": here.y + step * here.gradient[1],
        }

    def text(self, numbers: Mapping[str, float], unit: str) -> str:
        length = numbers["linear"]
        return f"{three(length)} {unit}" if math.isfinite(length) else "none in sight"

    def draw(self, axes: object, field: Field, here: Here, numbers: Mapping[str, float]) -> None:
        if math.isfinite(numbers["linear"]):
            ends = (here.x, numbers["guess_x"]), (here.y, numbers["guess_y"])
            axes.plot(*ends, "--D", color=INK[2], markevery=[1])
