"""Pictures of `companion.decision`: the decision function, gaps and walks."""

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from torch import Tensor

from companion import decision, plots
from pictures.sheet import Drawn, arrow, dots, ruler, sheet, walls
from pictures.toys import affine, curved

__all__ = [
    "DecisionFunction",
    "linear_line",
    "linear_walk",
    "logit_gap",
    "logit_gaps",
    "shortest_walk",
    "walk",
]

START = torch.tensor([[-0.9, -0.5]])
AHEAD = torch.tensor([[1.0, 0.45]])
LOOKS = torch.linspace(0.05, 6, 120)


def DecisionFunction() -> Drawn:
    model = affine()
    F = decision.DecisionFunction(model, START)
    value, slope = float(F.value(START)), F.gradient(START)
    fig, (axes,) = sheet("", height=2.6)
    axes.set(xlim=(-2.8, 2.8), ylim=(-1.9, 1.6))
    own, rival = ("ABC"[int(c)] for c in (F.own, F.rival))
    way = START + torch.linspace(0, 1, 9)[:, None] * slope
    walls(axes, model, names="ABC", clear=way)
    arrow(axes, way[0], way[-1], "black")
    dots(axes, START, look=3, size=130)
    axes.set_title(f"F = {value:.2f},  |∇F| = {slope.norm():.2f}".replace("-", "−"))
    ruler(axes)
    return Drawn(
        fig,
        f"In region {own}, whose rival is {rival}, F = f_{rival} − f_{own} is {value:.2f}: it is "
        f"0 on their wall, and the arrow, its gradient, points there.".replace("is -", "is −"),
        "Three regions A, B and C that meet in a point. From a star in one of them an arrow "
        "leads at a right angle towards the wall to the neighbouring region.",
    )


def logit_gap() -> Drawn:
    logits, y = torch.tensor([[2.0, 3.1, 0.6]]), torch.tensor([0])
    gap = decision.logit_gap(logits, y)
    best = int(logits.argmax())
    return _gaps(
        logits[0], {best: float(gap)},
        f"Of the other classes only the strongest counts: B is {float(gap):.1f} ahead of A, the "
        "class whose side is taken.",
        "Three bars for the logits of the classes A, B and C. From the height of A an arrow "
        "leads up to that of B, the highest.",
    )  # fmt: skip


def logit_gaps() -> Drawn:
    logits, y = torch.tensor([[2.0, 3.1, 0.6]]), torch.tensor([0])
    gaps = decision.logit_gaps(logits, y)[0].tolist()
    return _gaps(
        logits[0], dict(enumerate(gaps)),
        f"Each other class has its lead over A, the class whose side is taken: B has "
        f"{gaps[1]:.1f}, C has {gaps[2]:.1f}, and A itself −∞.".replace("-", "−"),
        "Three bars for the logits of the classes A, B and C. From the height of A an arrow "
        "leads up to that of B and another one down to that of C; over A stands minus infinity.",
    )  # fmt: skip


def _gaps(logits: Tensor, gaps: dict[int, float], caption: str, alt: str) -> Drawn:
    fig, (axes,) = sheet("", height=2.3, plane=False)
    colors = [one.color for one in plots.NEUTRAL[:3]]
    shown = axes.bar(["A (y)", "B", "C"], logits.tolist(), width=0.5, color=colors)
    for bar, hatch in zip(shown, ("", "//", ".."), strict=True):
        bar.set(hatch=hatch, edgecolor="white")
    own = float(logits[0])
    axes.axhline(own, color="black", linestyle=":", linewidth=1.4)
    for c, gap in gaps.items():
        if gap == -torch.inf:
            axes.text(c, own + 0.12, "−∞", ha="center")
            continue
        at = c + 0.36
        arrow(axes, torch.tensor([at, own]), torch.tensor([at, own + gap]), "black")
        text = f"{gap:+.1f}".replace("-", "−")
        axes.text(at + 0.06, own + gap / 2, text, va="center")
    axes.set(ylabel="logit", xlim=(-0.5, 2.9), ylim=(0, 1.12 * float(logits.max())))
    axes.grid(visible=False)
    return Drawn(fig, caption, alt)


def walk() -> Drawn:
    length = decision.walk(curved, START, AHEAD, LOOKS)
    caption = (
        f"Straight ahead in the chosen direction the answer stays A for {float(length):.2f} and "
        "is B from there on."
    )
    alt = "An arrow in a chosen direction begins at the star and ends exactly on the wall."
    return _walked(length, AHEAD, "walk", caption, alt)


def linear_walk() -> Drawn:
    length, way = decision.linear_walk(curved, START)
    caption = (
        f"From the slope at the star alone the wall would be straight, the dotted line, and "
        f"{float(length):.2f} away."
    )
    alt = (
        "A dotted straight line stands before the bent wall; an arrow from the star meets the "
        "dotted line at a right angle."
    )
    return _walked(length, way, "walk to a straight wall", caption, alt, tangent=True)


def linear_line() -> Drawn:
    length = decision.linear_line(curved, START, AHEAD)
    caption = (
        f"From the slope at the star alone the wall would be the dotted line, and along the "
        f"chosen direction {float(length):.2f} away."
    )
    alt = (
        "A dotted straight line stands before the bent wall; an arrow in a chosen direction "
        "leads from the star to the dotted line, not at a right angle."
    )
    return _walked(length, AHEAD, "along the arrow to a straight wall", caption, alt, tangent=True)


def shortest_walk() -> Drawn:
    length, way = decision.shortest_walk(curved, START)
    caption = (
        f"Of all directions one leads to another answer soonest, after {float(length):.2f}: "
        "the circle of this radius touches the wall and does not cross it."
    )
    alt = (
        "An arrow leads from the star to the wall; a dotted circle around the star, with the "
        "arrow for its radius, touches the wall from inside."
    )
    return _walked(length, way, "shortest walk", caption, alt, circle=True)


def _walked(
    length: Tensor, way: Tensor, title: str, caption: str, alt: str, *,
    tangent: bool = False, circle: bool = False,
) -> Drawn:  # fmt: skip
    fig, (axes,) = sheet(f"{title}: {float(length):.2f}", height=2.7)
    axes.set(xlim=(-3.0, 3.0), ylim=(-1.6, 1.9))
    end = START + length[:, None] * way / way.norm(dim=1, keepdim=True)
    walls(axes, curved, names="AB", clear=torch.cat([START, (START + end) / 2, end]))
    arrow(axes, START[0], end[0], "black")
    if circle:
        how = dict(fill=False, linestyle=":", linewidth=1.4)
        axes.add_patch(Circle(START[0].tolist(), float(length), **how))
    if tangent:
        _straight_wall(axes)
    dots(axes, START, look=3, size=130)
    ruler(axes)
    first = "Two regions A and B, parted by a bent wall, and a star in region A."
    return Drawn(fig, caption, f"{first} {alt}")


def _straight_wall(axes: Axes) -> None:
    """Where F would be 0 if it were linear with its value and slope at the star."""
    at = START.clone().requires_grad_()
    F = curved(at)[0, 1] - curved(at)[0, 0]
    slope, F = torch.autograd.grad(F, at)[0][0], F.detach()
    foot = START[0] - F * slope / slope.square().sum()
    along = torch.stack([-slope[1], slope[0]]) / slope.norm()
    axes.plot(*torch.stack([foot - 6 * along, foot + 6 * along]).T.numpy(), "k:", linewidth=1.6)
