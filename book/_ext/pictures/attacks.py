"""Pictures of the attacks of `companion.attacks`."""

import torch
from matplotlib.patches import Circle, Rectangle

from companion import attacks
from pictures.sheet import Drawn, arrow, dots, ruler, sheet, walls
from pictures.toys import affine, cloud, curved

__all__ = ["fgsm", "pgd", "withstood"]

ANGLES = torch.linspace(0, 2 * torch.pi, 25)
CIRCLE = torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)
SQUARE = CIRCLE / CIRCLE.abs().amax(dim=1, keepdim=True)
EDGE = dict(fill=False, edgecolor="black", linestyle=":", linewidth=1.6, zorder=3)


def fgsm() -> Drawn:
    model, eps = affine(), 0.9
    x = torch.tensor([[-0.9, -0.5]])
    own = model(x).argmax(dim=1)
    found = attacks.fgsm(model, x, own, eps=eps)
    answers = ["ABC"[int(model(at).argmax())] for at in (x, found)]
    fig, (axes,) = sheet(f"ε = {eps}: {answers[0]} becomes {answers[1]}", height=2.7)
    axes.set(xlim=(-2.8, 2.8), ylim=(-1.8, 1.6))
    walls(axes, model, names="ABC", clear=torch.cat([x, x + eps * SQUARE]))
    axes.add_patch(Rectangle((x[0] - eps).tolist(), 2 * eps, 2 * eps, **EDGE))
    arrow(axes, x[0], found[0], "black")
    dots(axes, x, look=3, size=130)
    ruler(axes)
    moved = (found - x).abs().amax()
    return Drawn(
        fig,
        f"One step changes every coordinate by {moved:.1f}, each in the direction in which the "
        f"loss grows, and so ends in a corner of the square of all allowed changes.",
        "Three regions A, B and C that meet in a point. In region A a star in the middle of a "
        "dotted square; an arrow leads from it to a corner of the square.",
    )


def pgd() -> Drawn:
    x, eps = torch.tensor([[-0.6, -0.1]]), 1.5
    own = curved(x).argmax(dim=1)
    found = attacks.pgd(curved, x, own, eps=eps)
    before, after = (float(curved(at)[0, 1] - curved(at)[0, 0]) for at in (x, found))
    title = f"ε = {eps}: lead of B from {before:.1f} to {after:.1f}".replace("-", "−")
    fig, (axes,) = sheet(title, height=2.7)
    axes.set(xlim=(-3.2, 3.2), ylim=(-2.0, 1.9))
    walls(axes, curved, names="AB", clear=torch.cat([x, x + eps * CIRCLE]))
    axes.add_patch(Circle(x[0].tolist(), eps, **EDGE))
    arrow(axes, x[0], found[0], "black")
    dots(axes, x, look=3, size=130)
    ruler(axes)
    return Drawn(
        fig,
        f"Many small steps inside the circle of radius {eps} end where the other class is most "
        f"ahead: its lead grows from {before:.1f} to {after:.1f}.".replace("-", "−"),
        "Two regions A and B, parted by a bent wall. A star in region A, a dotted circle around "
        "it that reaches over the wall, and an arrow from the star to the circle's edge, beyond "
        "the wall.",
    )


def withstood() -> Drawn:
    model, eps = affine(), 0.45
    grid = torch.cartesian_prod(torch.linspace(-2.3, 2.3, 5), torch.linspace(-1.2, 1.2, 3))
    x = grid + 0.2 * cloud(15, seed=5).clamp(-1, 1)
    own = model(x).argmax(dim=1)
    kept = attacks.withstood(model, x, own, eps=eps, norm="l2")
    title = f"ε = {eps}: {int(kept.sum())} of {len(kept)} withstand"
    fig, (axes,) = sheet(title, height=2.9)
    axes.set(xlim=(-3.0, 3.0), ylim=(-1.9, 1.9))
    walls(axes, model)
    for point in x.tolist():
        axes.add_patch(Circle(point, eps, **EDGE | {"linewidth": 0.9}))
    dots(axes, x[kept], own[kept], size=60)
    axes.scatter(*x[~kept].T.numpy(), marker="x", color="black", s=45, linewidth=2, zorder=4)
    return Drawn(
        fig,
        f"A point counts as right only if no wall comes nearer to it than ε = {eps}: "
        f"{int(kept.sum())} of {len(kept)} withstand, those with a cross do not.",
        "Three regions and fifteen points, each in the middle of a dotted circle. Points whose "
        "circle reaches over a wall are black crosses, the others have the mark of their class.",
    )
