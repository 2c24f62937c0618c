"""Pictures of `companion.isometry`: losses, the penalty, and lengths in a map's own unit.

Those of the torus and of the stacks are in `stacks`.
"""

import math
from collections.abc import Callable

import torch
from matplotlib.axes import Axes
from torch import Tensor

from companion import distances, isometry
from companion.models import MLP, representations
from companion.training import Recipe, fit, initialised
from pictures.sheet import Drawn, arrow, bars, dots, frame, line, rays, ruler, sheet
from pictures.stacks import (
    around_tube,
    fit_stack,
    fit_stacks,
    kept_at_taps,
    level_accuracies,
    tube_stretches,
)
from pictures.toys import LETTER, bent, cloud, through, torn, turned

__all__ = [
    "along_over_normal",
    "around_tube",
    "class_residuals",
    "fit_stack",
    "fit_stacks",
    "isometry_loss",
    "isometry_penalty",
    "kept_at_taps",
    "level_accuracies",
    "mean_ratio",
    "normalised_isometry_loss_2022",
    "own_stretch",
    "scale_loss",
    "stretch",
    "tube_stretches",
]


def isometry_loss() -> Drawn:
    return _loss(
        isometry.isometry_loss,
        "Turning costs nothing ({turned:.2f}), and both another size ({half as large:.2f}) and a "
        "tear ({torn:.2f}) do.",
    )


def scale_loss() -> Drawn:
    return _loss(
        isometry.scale_loss,
        "Only another size costs something ({half as large:.2f}); a torn copy is free "
        "({torn:.2f}), since its mean distance is that of the original.",
    )


def normalised_isometry_loss_2022() -> Drawn:
    return _loss(
        isometry.normalised_isometry_loss_2022,
        "Another size costs nothing ({half as large:.4f}), and a tear only {torn:.4f}, because "
        "the sum of squares is squared once more.",
        digits=4,
    )


def _loss(loss: Callable[..., Tensor], caption: str, *, digits: int = 2) -> Drawn:
    x, y = LETTER - LETTER.mean(0), torch.zeros(len(LETTER), dtype=torch.long)
    tear = torn(x, by=1.8)
    size = torch.pdist(x).mean() / torch.pdist(tear).mean()
    copies = {"turned": turned(x), "half as large": x / 2, "torn": size * (tear - tear.mean(0))}
    values = {name: float(loss(x, z, y)) for name, z in copies.items()}
    titles = [f"{name}\nL = {value:.{digits}f}" for name, value in values.items()]
    fig, panels = sheet("x", *titles, height=1.6)
    for axes, z in zip(panels, (x, *copies.values()), strict=True):
        line(axes, torch.cat([z, z[:1]]), width=1.2)
        dots(axes, z, size=28)
    frame(panels, x, *copies.values(), margin=0.05)
    alt = (
        "Four panels with ten points joined in their order: a letter L; the same turned; the "
        "same half as large; and one whose upper part has been moved to the right. A loss stands "
        "above each of the last three."
    )
    return Drawn(fig, caption.format(**values), alt)


def isometry_penalty() -> Drawn:
    x, y = _letters()
    maps, found = {}, {}
    for beta in (0, 10):
        model = initialised(lambda: MLP((2, 16, 2, 2), "tanh"), seed=1)
        penalty = isometry.isometry_penalty(beta, "linear2")
        fit(model, x, y, Recipe(epochs=300, lr=0.03), penalty=penalty)
        maps[beta] = representations(model, x, "linear2")["linear2"]
        found[beta] = float(isometry.isometry_loss(x, maps[beta], y))
    titles = [f"β = {beta}\nL = {value:.2g}" for beta, value in found.items()]
    fig, panels = sheet("x", *titles, height=1.9)
    for axes, points in zip(panels, (x, *maps.values()), strict=True):
        centred = points - points.mean(0)
        _joined(axes, centred, y)
        frame([axes], centred, centred.amin(0) - 0.12 * (centred.amax() - centred.amin()))
        ruler(axes)
    return Drawn(
        fig,
        f"Added to the training of a small network, β L makes its layer keep each class as it is: "
        f"L falls from {found[0]:.2g} to {found[10]:.2g}.",
        "Three panels with two classes, each joined to a letter L, and a bar for one unit: the "
        "input; the layer trained without the penalty, in which both letters are deformed and "
        "far apart; and the layer trained with it, in which both look like those of the input.",
    )


def _letters() -> tuple[Tensor, Tensor]:
    """Two letters, a class each, side by side and one upside down."""
    letter = 0.6 * (LETTER - LETTER.mean(0))
    x = torch.cat([letter, turned(letter, by=180) + torch.tensor([2.6, 0.0])])
    return x, torch.arange(2).repeat_interleave(len(LETTER))


def _joined(axes: Axes, points: Tensor, y: Tensor) -> None:
    for c in (0, 1):
        line(axes, torch.cat([points[y == c], points[y == c][:1]]), c, width=1.1)
    dots(axes, points, y, size=26)


def stretch() -> Drawn:
    def model(x):
        return turned(x * torch.tensor([2.0, 0.5]), by=30)

    angles = torch.linspace(0, 2 * math.pi, 181)
    v = torch.stack([angles.cos(), angles.sin()], dim=1)
    lengths = isometry.stretch(model, torch.zeros(1, 2), v[:, None]).flatten()
    fig, (before, after) = sheet("unit steps v", "their images J v", height=1.7)
    line(before, v)
    line(after, model(v))
    for k, look, aside in ((int(lengths.argmax()), 0, 7), (int(lengths.argmin()), 1, -24)):
        arrow(before, torch.zeros(2), v[k], look)
        arrow(after, torch.zeros(2), model(v[None, k])[0], look)
        tip = model(v[None, k])[0]
        after.annotate(f"{lengths[k]:.1f}", tip.tolist(), (aside, 5), textcoords="offset points")
    frame([before, after], model(v), margin=0.15)
    return Drawn(
        fig,
        f"A step of length 1 becomes {lengths.max():.1f} long in one direction and "
        f"{lengths.min():.1f} in another: the stretch belongs to a direction.",
        "Left, a circle with two arrows from its centre, one to the side and one upward. Right, "
        "the circle has become a long, turned ellipse; one arrow ends at its far end, the other "
        "at its near side.",
    )


def mean_ratio() -> Drawn:
    x = cloud(12)
    z = 2 * bent(x, by=0.5)
    unit = isometry.mean_ratio(x, z, torch.zeros(12, dtype=torch.long))
    fig, (axes,) = sheet("", height=2.4, plane=False)
    rays(axes, distances.pairwise(x), distances.pairwise(z), {"mean": float(unit)})
    return Drawn(
        fig,
        f"On average a map makes the distances within a class {unit:.2f} times as long: the unit "
        "in which its lengths are read.",
        "A scatter plot of distances after a map over distances before it. The marks lie along "
        "both sides of a dashed line through the origin.",
    )


def own_stretch() -> Drawn:
    x, y = cloud(12), torch.zeros(12, dtype=torch.long)
    v = torch.tensor([[1.0, 0.0]]).expand(12, 2)
    plain, own = {}, {}
    for name, factor in (("a network", 1.0), ("layer × 5", 5.0)):
        first = (factor * torch.tensor([[2.0, 0.0], [0.0, 1.0]])).tolist()
        model = through(first, [[1.0, 0.0], [0.0, 1.0]])
        plain[name] = float(isometry.stretch(model, x, v, layer="linear1")[0])
        own[name] = float(isometry.own_stretch(model, x, y, v, layer="linear1")[0])
    fig, panels = sheet("stretch", "in its own unit", height=1.7, plane=False)
    bars(panels[0], plain, digits=1)
    bars(panels[1], own)
    panels[1].set_yticklabels([])
    panels[0].set_xlabel("units of z / units of x")
    panels[1].set_xlabel("no unit")
    a, b = own.values()
    return Drawn(
        fig,
        f"A layer that is multiplied by five stretches five times as much, but in its own unit "
        f"the two are at {a:.2f} and {b:.2f}.",
        "Two bar charts with a bar for a network and one for the same network with its layer "
        "multiplied by five. Left the second bar is five times as long, right both are equal.",
    )


def class_residuals() -> Drawn:
    x, y = _letters()
    z = torch.cat([turned(x[y == 0], by=60), x[y == 1] * torch.tensor([1.0, 0.3])])
    found = isometry.class_residuals(x, z, y).tolist()
    fig, panels = sheet("x", f"z: residuals {found[0]:.2f} and {found[1]:.2f}", height=1.5)
    for axes, points in zip(panels, (x, z), strict=True):
        _joined(axes, points, y)
    frame(panels, x, z)
    return Drawn(
        fig,
        f"The first class was only turned, which a rigid motion explains ({found[0]:.2f} is "
        f"left); of the second, which was squeezed, {found[1]:.2f} is left.",
        "Two panels with two classes, the points of each joined to a letter L. From left to right "
        "the first L keeps its shape and is turned; the second becomes flat.",
    )


def along_over_normal() -> Drawn:
    along = torch.linspace(-1.2, 1.2, 4)
    x = torch.cat([torch.stack([along, torch.full((4,), c)], dim=1) for c in (-0.6, 0.6)])
    y = torch.arange(2).repeat_interleave(4)
    model = through([[1.0, 0.0], [0.0, 2.5]], [[0.0, 1.0], [0.0, -1.0]])
    ratio = isometry.along_over_normal(model, x, y, layer="linear1")
    z = representations(model, x, "linear1")["linear1"]
    fig, panels = sheet("x", f"a layer: ratio {float(ratio):.2f}", height=2.4)
    step = torch.tensor([[0.4, 0.0], [0.0, 0.4]])
    for axes, points, ways in zip(
        panels, (x, z), (step, model.linear1(step).detach()), strict=True
    ):
        dots(axes, points, y)
        axes.plot([-1.5, 1.5], [0, 0], "k:")
        arrow(axes, points[1], points[1] + ways[0], "black")
        arrow(axes, points[1], points[1] + ways[1], 1)
    frame(panels, x, z)
    return Drawn(
        fig,
        f"Along the data a step keeps its length, across the wall it grows: the ratio of the two "
        f"is {float(ratio):.2f}.",
        "Two panels with two rows of points, one of each class, above and below a dotted wall. "
        "From one point a solid arrow leads along its row and a dashed one towards the wall. "
        "Right, the rows are farther apart and the dashed arrow is longer.",
    )
