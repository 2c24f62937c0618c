"""Pictures of the rulers of `companion.distances`."""

import torch

from companion import distances
from companion.models import MLP
from companion.training import Recipe, fit, initialised
from pictures.sheet import Drawn, arrow, dots, frame, line, note, rays, ruler, sheet, table
from pictures.toys import LETTER, bent, cloud, torn, turned, two_classes

__all__ = [
    "between_within",
    "cka",
    "correlation",
    "distortion",
    "intrinsic_dimension",
    "lost",
    "nearest",
    "neural_collapse",
    "pairwise",
    "procrustes",
    "through",
    "within_class",
]


def pairwise() -> Drawn:
    x = torch.tensor([[0.0, 0.0], [2.6, 0.3], [2.2, 2.0], [0.4, 2.4]])
    d = distances.pairwise(x)
    fig, (plane, matrix) = sheet("four points", "their distances")
    for i in range(4):
        for j in range(i):
            line(plane, x[[i, j]], width=1.2)
    line(plane, x[[0, 2]], 1, width=2.4)
    note(plane, (x[0] + x[2]) / 2, f"{d[0, 2]:.1f}", weight="bold")
    frame([plane], x, margin=0.2)
    dots(plane, x, size=70)
    for k, point in enumerate(x):
        note(plane, point + 0.14 * (point - x.mean(0)), str(k + 1), bbox=None)
    ruler(plane)
    table(matrix, d)
    return Drawn(
        fig,
        f"Each entry of the table is the length of one line: from point 1 to point 3 it is "
        f"{d[0, 2]:.1f}.",
        "Left, four numbered points joined by six lines, the line between the points 1 and 3 "
        "drawn heavily. Right, a table of four rows and columns with a zero diagonal, the same "
        "above it as below.",
    )


def within_class() -> Drawn:
    x = torch.tensor([[0.0, 0], [0.9, 0.5], [0.1, 1.2], [2.2, 0.2], [3.2, 0.1], [2.6, 1.3]])
    y = torch.tensor([0, 0, 0, 1, 1, 1])
    mask = distances.within_class(y)
    counted = f"{int(mask.sum())} of {mask.numel()} entries"
    fig, (plane, matrix) = sheet("two classes", counted)
    for i, j in mask.triu().nonzero().tolist():
        line(plane, x[[i, j]], int(y[i]))
    dots(plane, x, y, size=70)
    frame([plane], x, margin=0.2)
    for k, point in enumerate(x):
        out = point - x[y == y[k]].mean(0)
        note(plane, point + 0.3 * out / out.norm(), str(k + 1), bbox=None)
    table(matrix, mask.float(), lambda one: "•" if one else "")
    return Drawn(
        fig,
        f"Counted are pairs of equal label, never a point with itself: {counted}.",
        "Left, two triangles of points, one in each class, whose sides are drawn and between "
        "which there is no line. Right, a table of six rows and columns: dots in the upper left "
        "and the lower right quarter, none on the diagonal.",
    )


def correlation() -> Drawn:
    x = cloud(12)
    d = distances.pairwise(x)
    copies = {"turned": turned(x), "torn": torn(x, by=4)}
    e = {name: distances.pairwise(z) for name, z in copies.items()}
    r = {name: float(distances.correlation(d, after)) for name, after in e.items()}
    fig, panels = sheet(*(f"{k}: r = {v:.2f}" for k, v in r.items()), height=2.3, plane=False)
    pairs = torch.ones_like(d, dtype=torch.bool).triu(1)
    for axes, after in zip(panels, e.values(), strict=True):
        dots(axes, torch.stack([d[pairs], after[pairs]], dim=1), size=24)
        axes.set(xlim=(0, None), ylim=(0, 1.05 * float(e["torn"].max())))
    fig.supxlabel("distance before (units of x)")
    panels[0].set_ylabel("after (units of z)")
    return Drawn(
        fig,
        f"The distances of a turned copy lie on a line, r = {r['turned']:.2f}; where half of the "
        f"points are moved away from the others, r falls to {r['torn']:.2f}.",
        "Two scatter plots of the distances after a map over those before it, a mark for each "
        "pair. Left, all marks lie on the diagonal. Right, they are scattered above it.",
    )


def distortion() -> Drawn:
    x = cloud(12)
    z = x * torch.tensor([1.4, 0.5])
    d, e = distances.pairwise(x), distances.pairwise(z)
    low, high = distances.distortion(d, e)
    fig, (axes,) = sheet("", height=2.4, plane=False)
    rays(axes, d, e, {"high": float(high), "low": float(low)})
    return Drawn(
        fig,
        f"A map that widens and flattens stretches the pairs between {low:.2f} and {high:.2f} "
        "times: the slopes of the two lines that hold all of them.",
        "A scatter plot of distances after a map over distances before it. All marks lie in a "
        "wedge between two lines through the origin, a steep one called high and a flat one "
        "called low, and some touch them.",
    )


def between_within() -> Drawn:
    clouds = [two_classes(9, apart=apart) for apart in (0.0, 3.4)]
    ratios = [float(distances.between_within(distances.pairwise(x), y)) for x, y in clouds]
    fig, panels = sheet(*(f"between / within = {ratio:.2f}" for ratio in ratios), height=1.25)
    for axes, (x, y) in zip(panels, clouds, strict=True):
        dots(axes, x - x.mean(0), y)
    frame(panels, *(x - x.mean(0) for x, _ in clouds))
    return Drawn(
        fig,
        f"Two classes on the same ground have a ratio near 1, here {ratios[0]:.2f}, and one of "
        f"{ratios[1]:.2f} after they have moved apart.",
        "Two panels with the points of two classes. Left, both classes are mixed in one cloud. "
        "Right, they are two separate clouds, side by side.",
    )


def nearest() -> Drawn:
    x, y = two_classes(9, apart=2.6)
    near = distances.nearest(x, y)
    k = int(x[y == 0, 0].argmax())
    own, other = float(near.own[k]), float(near.other[k])
    fig, (axes,) = sheet(f"own class {own:.2f}, another class {other:.2f}", height=2.4)
    dots(axes, x, y, size=60)
    frame([axes], x, margin=0.08)
    for look, place in enumerate((near.own_place, near.other_place)):
        line(axes, x[[k, int(place[k])]], look, width=2.4)
    ruler(axes)
    return Drawn(
        fig,
        f"For each point two ways are measured: here the next point of its own class is "
        f"{own:.2f} away (solid), the next one of another class {other:.2f} (dashed).",
        "Two clouds of marks. From one point of the left cloud a solid line leads to a neighbour "
        "with the same mark, and a dashed line to the nearest point of the other cloud.",
    )


def through() -> Drawn:
    x, y = two_classes(12, apart=1.6)
    model = initialised(lambda: MLP((2, 12, 2)), seed=0)
    fit(model, x, y, Recipe(epochs=200, lr=0.05))
    fates = distances.through(model, x, y)
    fig, (axes,) = sheet("", height=2.4, plane=False)
    series = {
        "within (r)": [float(fate.within) for fate in fates.values()],
        "apart (ratio)": [float(fate.apart) for fate in fates.values()],
    }
    for look, (name, values) in enumerate(series.items()):
        points = torch.tensor(list(enumerate(values)))
        line(axes, points, look)
        dots(axes, points, look=look)
        axes.text(len(values) - 0.85, values[-1], f"{name} {values[-1]:.2f}", va="center")
    axes.set_xticks(range(len(fates)), fates)
    axes.set(ylabel="r, ratio (no unit)", xlim=(-0.2, len(fates) + 1.0))
    axes.set_ylim(0, 1.1 * max(map(max, series.values())))
    within, apart = (values[-1] for values in series.values())
    return Drawn(
        fig,
        f"Layer by layer a small trained network moves two classes apart, to {apart:.2f} times "
        f"the ratio at the input, and changes the distances within a class, to r = {within:.2f}.",
        "Two lines over the layers input, linear1, act1 and logits, both beginning at 1: the "
        "ratio called apart ends high above it, the correlation called within below it.",
    )


def lost() -> Drawn:
    x, y = two_classes(9, apart=2.6)
    x = x * torch.tensor([0.9, 1.3])
    before = turned(x, by=20)
    after = turned(torch.stack([x[:, 0], x[:, 1].abs()], dim=1), by=20)
    loss = distances.lost(x, before, after, y)
    fig, panels = sheet("input", "before training", "after training", height=1.7)
    for axes, points in zip(panels, (x, before, after), strict=True):
        dots(axes, points - points.mean(0), y, size=30)
    frame(panels, *(points - points.mean(0) for points in (x, before, after)))
    fig.supxlabel(f"lost within {loss.within:.2f}, between {loss.between:.2f}")
    return Drawn(
        fig,
        f"Training has folded each class at its middle: the pairs of one class have lost "
        f"{loss.within:.2f} of their correlation with the input, those of two classes "
        f"{loss.between:.2f}.",
        "Three panels with two clouds of marks. In the first two, both are round, and the "
        "second panel is turned. In the third the lower half of each cloud lies on the upper.",
    )


def cka() -> Drawn:
    x = LETTER - LETTER.mean(0)
    order = torch.tensor([4, 9, 1, 6, 3, 8, 0, 5, 2, 7])
    copies = {
        "turned, larger": turned(x, by=60, scale=1.2),
        "squeezed": x * torch.tensor([1.3, 0.2]),
        "exchanged": x[order],
    }
    values = {name: float(distances.cka(x, z)) for name, z in copies.items()}
    titles = [f"{name}\nCKA {value:.2f}" for name, value in values.items()]
    fig, panels = sheet("x", *titles, height=1.5)
    for axes, z in zip(panels, (x, *copies.values()), strict=True):
        line(axes, torch.cat([z, z[:1]]), width=1.2)
        dots(axes, z, size=28)
    frame(panels, x, *copies.values())
    return Drawn(
        fig,
        f"Turned and larger is the same to this ruler ({values['turned, larger']:.2f}), squeezed "
        f"it is less alike ({values['squeezed']:.2f}), and least where the points have exchanged "
        f"their places ({values['exchanged']:.2f}).",
        "Four panels with ten points joined in their order. They make a letter L, a turned and "
        "larger L, a flat L, and, in the last one, a tangle of crossing lines.",
    )


def procrustes() -> Drawn:
    x = LETTER - LETTER.mean(0)
    z = turned(bent(x, by=0.7), by=-50) + torch.tensor([3.6, 0.4])
    found = distances.procrustes(x, z)
    moved = x @ found.rotation + found.shift
    residual = float(found.residual)
    fig, (apart, over) = sheet("x and z", f"x moved: residual {residual:.2f}", height=1.9)
    for axes, points in ((apart, x), (over, moved)):
        line(axes, torch.cat([points, points[:1]]), 0)
        dots(axes, points, look=0, size=30)
        line(axes, torch.cat([z, z[:1]]), 1)
        dots(axes, z, look=1, size=30)
    for a, b in zip(moved, z, strict=True):
        line(over, torch.stack([a, b]), "black", width=1.2)
    note(apart, x[6] + torch.tensor([0.0, 0.5]), "x", bbox=None)
    note(apart, z[6] + torch.tensor([0.5, 0.3]), "z", bbox=None)
    frame([apart], x, z)
    frame([over], moved, z)
    return Drawn(
        fig,
        f"The best turn and shift bring x so close to z that the black lines are left: squared "
        f"and added they are {residual:.2f} of the spread of x.",
        "Left, a letter L and, beside it, a turned and slightly bent one. Right, the first L has "
        "been moved onto the second; short black lines join the points that belong together.",
    )


def intrinsic_dimension() -> Drawn:
    generator = torch.Generator().manual_seed(1)
    t = 2 + 9 * torch.rand(200, generator=generator).sqrt()
    clouds = [
        torch.stack([t * t.cos(), t * t.sin()], dim=1) / 8,
        3 * torch.rand(200, 2, generator=generator) - 1.5,
    ]
    found = [distances.intrinsic_dimension(x) for x in clouds]
    titles = [f"d = {one.dimension:.2f} ({one.low:.2f} to {one.high:.2f})" for one in found]
    fig, panels = sheet(*titles, height=2.2)
    for axes, x in zip(panels, clouds, strict=True):
        dots(axes, x, size=11)
        frame([axes], x, margin=0.03)
    return Drawn(
        fig,
        f"Both clouds lie in a plane, but around each of its points a curve goes on in one "
        f"direction ({found[0].dimension:.2f}) and a filled square in two "
        f"({found[1].dimension:.2f}).",
        "Two clouds of 200 points. Left, they lie on a spiral line; right, they fill a square.",
    )


def neural_collapse() -> Drawn:
    clouds = [two_classes(10, wide=wide) for wide in (1.2, 0.15)]
    values = [float(distances.neural_collapse(x, y)) for x, y in clouds]
    fig, panels = sheet(*(f"NC1 = {value:.3f}" for value in values), height=1.4)
    for axes, (x, y) in zip(panels, clouds, strict=True):
        dots(axes, x, y)
        means = torch.stack([x[y == c].mean(0) for c in (0, 1)])
        arrow(axes, means[0], means[1], "black")
    frame(panels, *(x for x, _ in clouds))
    return Drawn(
        fig,
        f"The means are equally far apart in both panels; NC1 falls from {values[0]:.3f} to "
        f"{values[1]:.3f} because the classes shrink towards them.",
        "Two panels with two classes of marks and an arrow from one class mean to the other. "
        "Left, both are wide clouds; right, each is a small heap at the end of the arrow.",
    )
