"""Pictures of `companion.isometry` on a torus: its tube, and stacks that read its bands."""

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from torch import Tensor

from companion import isometry, plots
from companion.datasets import Dataset, torus
from companion.models import MLP
from companion.training import Recipe, initialised
from pictures.sheet import GREY, Drawn, arrow, dots, line, sheet

__all__ = [
    "around_tube",
    "fit_stack",
    "fit_stacks",
    "kept_at_taps",
    "level_accuracies",
    "tube_stretches",
]

LEVELS = ("2 bands", "4 bands")


def _data() -> Dataset:
    return torus(side=12, bands=4, test_side=4)


def _stack(seed: int = 0) -> isometry.IsometricStack:
    return initialised(lambda: isometry.IsometricStack(3, [(20, 20)] * 2, (2, 4)), seed=seed)


def around_tube() -> Drawn:
    angles = torch.arange(8) * torch.pi / 4
    x = torch.stack([2 + angles.cos(), torch.zeros(8), angles.sin()], dim=1)
    v = isometry.around_tube(x, radius=2)
    length = float(v.norm(dim=1).mean())
    fig, (axes,) = sheet(f"a cut through the torus: |v| = {length:.2f}", height=2.3)
    across = [0, 2]
    for mirror in (-1, 1):
        side = torch.tensor([mirror, 1])
        axes.add_patch(Circle((2 * mirror, 0), 1, fill=False, edgecolor=GREY))
        for point, way in zip(x[:, across] * side, v[:, across] * side, strict=True):
            arrow(axes, point, point + 0.6 * way, "black")
    axes.plot([0, 0], [-1.5, 1.5], color="black", linestyle=":", linewidth=1.2)
    axes.set(xlim=(-3.6, 3.6), ylim=(-1.7, 1.7))
    axes.text(0.15, 1.45, "axis", va="center")
    return Drawn(
        fig,
        f"At every point the direction of length {length:.2f} points on round the tube, "
        "across the bands and never along them.",
        "Two circles, the cuts through the tube of a torus left and right of its dotted axis. At "
        "eight points of each an arrow touches the circle, all of one circle in one sense.",
    )


def tube_stretches() -> Drawn:
    model = MLP((3, 3, 2), "tanh", bias=False)
    with torch.no_grad():
        model.linear1.weight.copy_(torch.diag(torch.tensor([0.6, 0.6, 3.0])))
        model.logits.weight.copy_(torch.tensor([[0.0, 0, 1], [0, 0, -1]]))
    found = isometry.tube_stretches(model, layer="act1", count=120, places=(0.3,))
    fig, (axes,) = sheet("", height=2.4, plane=False)
    for look, (name, values) in enumerate((("around", found.around), ("along", found.along))):
        dots(axes, torch.stack([found.distance, values], dim=1), look=look, size=22)
        top = float(values.max())
        axes.text((0.1, 0.0)[look], (top, top / 3)[look], f"{name}, up to {top:.2f}")
    near = float(found.around.max())
    axes.set(xlim=(-0.02, 1.1), ylim=(0, 1.15 * near), xlabel="distance to the wall (units of x)")
    axes.set_ylabel("stretch (units of z per x)")
    return Drawn(
        fig,
        f"A layer that parts the upper from the lower half stretches the way round the tube "
        f"{near:.1f} times where the answer changes, and the way along it nowhere so much.",
        "Two rows of marks over the distance to the wall. Those called around begin high at the "
        "wall and fall; those called along stay low.",
    )


def fit_stack() -> Drawn:
    data, stack = _data(), _stack()
    run = isometry.fit_stack(stack, data.x_train, data.hierarchy, Recipe(epochs=100, lr=0.02))
    fig, (axes,) = sheet("", height=2.4, plane=False)
    for look, (name, curve) in enumerate(zip(LEVELS, run.accuracy.T, strict=True)):
        line(axes, torch.stack([torch.arange(100.0), curve], dim=1), look)
        _named(axes, 100, float(curve[-1]), f"{name} {curve[-1]:.2f}", look)
    axes.set(xlabel="epoch", ylabel="accuracy (share)", xlim=(0, 142), ylim=(0, 1.08))
    axes.set_xticks([0, 50, 100])
    ends = run.accuracy[-1].tolist()
    return Drawn(
        fig,
        f"Every batch trains each level in its turn: after {len(run.loss)} epochs the coarse one "
        f"reads {ends[0]:.2f} of the points right and the fine one {ends[1]:.2f}.",
        "Two curves of accuracy over epochs. The solid one, of two bands, rises to nearly 1; the "
        "dashed one, of four bands, begins lower and rises after it.",
    )


def fit_stacks() -> Drawn:
    data, lengths, seeds = _data(), (0, 10, 30, 80), range(5)
    kept = isometry.fit_stacks(
        {seed: _stack(seed) for seed in seeds}, data.x_train, data.hierarchy,
        Recipe(epochs=80, lr=0.02), lengths=lengths,
    )  # fmt: skip
    right = [isometry.level_accuracies(kept[k], data.x_train, data.hierarchy) for k in lengths]
    fig, (axes,) = sheet("", height=2.4, plane=False)
    for level, name in enumerate(LEVELS):
        values = torch.stack([one[:, level] for one in right])
        places = torch.tensor(lengths, dtype=torch.float)[:, None].expand_as(values)
        dots(axes, torch.stack([places, values], dim=2).flatten(0, 1), look=level, size=26)
        line(axes, torch.stack([places[:, 0], values.mean(1)], dim=1), level)
        _named(axes, 80, float(values[-1].mean()), f"{name} {values[-1].mean():.2f}", level)
    axes.set(xlabel="epoch", ylabel="accuracy (share)", xlim=(-2, 114), ylim=(0, 1.08))
    axes.set_xticks(lengths)
    return Drawn(
        fig,
        f"The stacks of {len(seeds)} seeds are trained at once and kept on the way, here after "
        f"{', '.join(map(str, lengths[:-1]))} and {lengths[-1]} epochs.",
        "Accuracy over epochs at four lengths of training. At each, five marks of each of two "
        "levels stand one above the other, joined by lines through their means, which rise.",
    )


def _trained(beta: float) -> isometry.IsometricStack:
    data, stack = _data(), _stack()
    isometry.fit_stack(stack, data.x_train, data.hierarchy, Recipe(epochs=80, lr=0.02), beta=beta)
    return stack


def level_accuracies() -> Drawn:
    data = _data()
    stacks = {"untrained": _stack(), "trained": _trained(0)}
    right = isometry.level_accuracies(list(stacks.values()), data.x_train, data.hierarchy)
    fig, (axes,) = sheet("", height=2.0, plane=False)
    _by_level(axes, dict(zip(stacks, right, strict=True)), "accuracy (share)")
    return Drawn(
        fig,
        f"A row for each stack and a column for each level: of the four bands the trained stack "
        f"reads {right[1, 1]:.2f} of the points right, the untrained one {right[0, 1]:.2f}.",
        "Pairs of bars for two and for four bands. The bars of the trained stack are near 1, "
        "those of the untrained one much lower.",
    )


def kept_at_taps() -> Drawn:
    data = _data()
    stacks = {f"β = {beta}": _trained(beta) for beta in (0, 10)}
    r = {
        name: isometry.kept_at_taps(stack, data.x_train, data.hierarchy)
        for name, stack in stacks.items()
    }
    fig, (axes,) = sheet("", height=2.0, plane=False)
    _by_level(axes, r, "r within a band (no unit)")
    plain, kept = (values[1] for values in r.values())
    return Drawn(
        fig,
        f"At the tap of the four bands training alone keeps r = {plain:.2f} of the distances "
        f"within a band, with the penalty it is {kept:.2f}.",
        "Pairs of bars for the taps of two and of four bands. With the penalty the bars are near "
        "1, without it they are lower.",
    )


def _by_level(axes: Axes, values: dict[str, Tensor], label: str) -> None:
    """For each level a bar for each stack, with its number and the name of the stack."""
    for k, (name, row) in enumerate(values.items()):
        places = torch.arange(len(row)) + 0.4 * k - 0.2
        look = plots.NEUTRAL[k]
        drawn = axes.barh(places.tolist(), row.tolist(), height=0.34, color=look.color)
        for bar, place, value in zip(drawn, places.tolist(), row.tolist(), strict=True):
            bar.set(hatch=("", "//")[k], edgecolor="white")
            axes.text(value + 0.02, place, f"{value:.2f}  {name}", va="center")
    axes.set_yticks(range(len(LEVELS)), LEVELS)
    axes.invert_yaxis()
    axes.set(xlabel=label, xlim=(0, 1.5))
    axes.set_xticks([0, 0.5, 1])
    axes.grid(visible=False)


def _named(axes: Axes, x: float, y: float, text: str, look: int) -> None:
    """The name of a curve behind its end, the lower one below the upper one."""
    axes.annotate(text, (x, y), (5, (6, -6)[look]), textcoords="offset points", va="center")
