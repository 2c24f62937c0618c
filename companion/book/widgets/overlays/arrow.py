"""The input gradient as an arrow."""

__all__ = ["Arrow"]

from collections.abc import Mapping
from dataclasses import dataclass

from companion.book.widgets.field import Field, Here
from companion.book.widgets.overlays.overlay import Overlay
from companion.book.widgets.page import number, three


@dataclass(frozen=True)
class Arrow(Overlay):
    """Gradient of the decision function F = f_rival - f_own: it points to the rival.

    Numbers: `gradient_x`, `gradient_y`, in logits per unit of the input. The steepest place of the
    data gets the longest arrow, a fifth of the window.
    """

    script = "arrow"
    name = "gradient of F"

    def data(self, field: Field) -> dict[str, object]:
        slopes = field.decision(field.points).gradient(field.points)
        steepest = float(slopes.norm(dim=1).max())
        return {"scale": number(0.2 * field.side / steepest) if steepest else 0.0}

    def numbers(self, field: Field, here: Here, settings: Mapping[str, float]) -> dict[str, float]:
        return dict(zip(("gradient_x", "gradient_y"), here.gradient, strict=True))

    def text(self, numbers: Mapping[str, float], unit: str) -> str:
        length = (numbers["gradient_x"] ** 2 + numbers["gradient_y"] ** 2) ** 0.5
        return f"{three(length)} logits per unit"

    def draw(self, axes: object, field: Field, here: Here, numbers: Mapping[str, float]) -> None:
        scale = self.data(field)["scale"]
        tip = (here.x + scale * here.gradient[0], here.y + scale * here.gradient[1])
        arrow = {"arrowstyle": "-|>", "lw": 2, "fc": "black"}
        axes.annotate("", tip, (here.x, here.y), arrowprops=arrow)
