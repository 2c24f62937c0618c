"""What the pictures are drawn with: small figures, points, lines, arrows, walls, tables."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from companion import plots

__all__ = [
    "GREY",
    "WIDTH",
    "Drawn",
    "arrow",
    "bars",
    "dots",
    "frame",
    "line",
    "note",
    "rays",
    "ruler",
    "sheet",
    "style",
    "table",
    "walls",
]

#: Inches; 403 pixels on a screen, so that a page stays easy to scan.
WIDTH = 4.2

#: What is there for orientation only.
GREY = "dimgrey"


class Drawn(NamedTuple):
    """A picture before it is saved.

    Args:
        figure: What is drawn.
        caption: Its message, one sentence.
        alt: What one sees, in words.
    """

    figure: Figure
    caption: str
    alt: str


def style() -> None:
    """The style of the book on a figure two thirds as wide, where letters are smaller."""
    plots.style()
    plt.rcParams.update(
        {
            "figure.constrained_layout.h_pad": 0.1,
            "font.size": 10.5,
            "axes.labelsize": 10.5,
            "axes.titlesize": 10.5,
            "figure.labelsize": 10.5,
            "xtick.labelsize": 10,
            "ytick.labelsize": 10,
            "legend.fontsize": 10,
            "lines.linewidth": 1.6,
            "lines.markersize": 6.0,
        }
    )


def sheet(*titles: str, height: float = 2.2, plane: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure and its panels, side by side.

    Args:
        titles: One for each panel.
        height: In inches.
        plane: Whether the panels are pieces of the plane: without axes, equal in both directions.
    """
    fig = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = list(fig.subplots(1, len(titles), squeeze=False)[0])
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title)
        if plane:
            axes.set_aspect("equal")
            axes.set_axis_off()
    return fig, panels


def frame(panels: Iterable[Axes], *points: Tensor, margin: float = 0.12) -> None:
    """The same piece of the plane in all panels, around all points.

    Args:
        panels: Axes.
        points: (n, 2) each.
        margin: What is left around them, as a share of the longer side.
    """
    every = torch.cat([p.detach().reshape(-1, 2) for p in points])
    low, high = every.amin(0), every.amax(0)
    room = margin * float((high - low).max())
    for axes in panels:
        axes.set_xlim(float(low[0]) - room, float(high[0]) + room)
        axes.set_ylim(float(low[1]) - room, float(high[1]) + room)


def dots(axes: Axes, x: Tensor, y: Tensor | None = None, *, look: int = 0, size: int = 42) -> None:
    """Points, a colour and a marker for each class.

    Args:
        axes: Where.
        x: (n, 2).
        y: Labels (n,); None: one class with the look `look`.
        look: A place in `plots.NEUTRAL`.
        size: As matplotlib takes it.
    """
    y = torch.full((len(x),), look) if y is None else y
    for label in y.unique().tolist():
        one = plots.NEUTRAL[label]
        how = dict(color=one.color, marker=one.marker, edgecolor="white", linewidth=0.5)
        axes.scatter(*x[y == label].detach().T.numpy(), s=size, zorder=3, **how)


def line(axes: Axes, points: Tensor, look: int | str = GREY, *, width: float = 1.6) -> None:
    """A line through points, in a look or in plain grey.

    Args:
        axes: Where.
        points: (n, 2), in order.
        look: A place in `plots.NEUTRAL`, or a colour.
        width: In points.
    """
    own = isinstance(look, int)
    color = plots.NEUTRAL[look].color if own else look
    dashes = plots.NEUTRAL[look].linestyle if own else "-"
    axes.plot(*points.detach().T.numpy(), color=color, linestyle=dashes, linewidth=width, zorder=2)


def arrow(axes: Axes, start: Tensor, end: Tensor, look: int | str = 1) -> None:
    """An arrow from one point to another.

    Args:
        axes: Where.
        start: (2,).
        end: (2,).
        look: A place in `plots.NEUTRAL`, or a colour.
    """
    own = isinstance(look, int)
    color = plots.NEUTRAL[look].color if own else look
    # The head is drawn by itself: dashed, it would be torn.
    line(axes, torch.stack([start, end]), look, width=1.8)
    how = dict(arrowstyle="-|>", color=color, lw=0, mutation_scale=13, shrinkA=0, shrinkB=0)
    begin = end - (end - start) * 0.02
    axes.annotate("", end.tolist(), begin.tolist(), arrowprops=how, zorder=4)


def note(axes: Axes, at: Sequence[float] | Tensor, text: str, **how: object) -> None:
    """Words on a white ground, centred at a point.

    Args:
        axes: Where.
        at: (2,).
        text: The words.
        how: As matplotlib's `text` takes it.
    """
    box = dict(facecolor="white", edgecolor="none", pad=0.8, alpha=0.85)
    place = dict(ha="center", va="center", zorder=5, bbox=box) | how
    axes.text(float(at[0]), float(at[1]), text, **place)


def ruler(axes: Axes, *, length: float = 1.0) -> None:
    """A bar of known length in the lower left corner, which says what a number is measured in.

    Args:
        axes: Whose limits are set.
        length: In the unit of the panel.
    """
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    a, b = left + 0.03 * (right - left), low + 0.04 * (high - low)
    axes.plot([a, a + length], [b, b], color="black", linewidth=2.5, solid_capstyle="butt")
    axes.text(a + length + 0.02 * (right - left), b, f"{length:g} unit", va="center", ha="left")


def walls(
    axes: Axes,
    model: Callable[[Tensor], Tensor],
    *,
    names: str = "",
    clear: Tensor | None = None,
) -> None:
    """The regions of a classifier of the plane, lightly tinted, and the walls between them.

    Args:
        axes: Whose limits are set.
        model: Maps (n, 2) to logits (n, C).
        names: A letter for each class, written into its region.
        clear: Points (k, 2) from which the letters keep away.
    """
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    a, b = torch.linspace(left, right, 121), torch.linspace(low, high, 121)
    grid = torch.cartesian_prod(a, b)
    with torch.no_grad():
        logits = model(grid)
    place = a.numpy(), b.numpy()
    for c in range(logits.shape[1]):
        others = logits.clone()
        others[:, c] = -torch.inf
        lead = (logits[:, c] - others.amax(dim=1)).view(121, 121).T.numpy()
        tint = plots.NEUTRAL[c].color
        axes.contourf(*place, lead, levels=[0, float("inf")], colors=[tint], alpha=0.1)
        axes.contour(*place, lead, levels=[0], colors="black", linewidths=1.4)
        if names:
            inside = torch.from_numpy(lead.T)[::3, ::3].flatten() > 0
            at = _roomiest(grid.view(121, 121, 2)[::3, ::3].flatten(0, 1), inside, clear)
            note(axes, at, names[c], color=tint, weight="bold", bbox=None)


def _roomiest(grid: Tensor, inside: Tensor, clear: Tensor | None) -> Tensor:
    """The point of a grid inside a region that is farthest from all that is drawn."""
    edge = grid[~inside]
    sides = torch.stack([grid - grid.amin(0), grid.amax(0) - grid]).amin(dim=(0, 2))
    room = torch.minimum(torch.cdist(grid[inside], edge).amin(dim=1), sides[inside])
    if clear is not None:
        room = torch.minimum(room, torch.cdist(grid[inside], clear).amin(dim=1))
    return grid[inside][room.argmax()]


def table(axes: Axes, values: Tensor, words: Callable[[float], str] = "{:.1f}".format) -> None:
    """A square of numbers, the larger ones on a darker ground; rows and columns are numbered.

    Args:
        axes: Where.
        values: (n, n).
        words: What is written for a number.
    """
    n = len(values)
    axes.imshow(values.numpy(), cmap="Greys", vmin=0, vmax=2.8 * float(values.max()))
    for i in range(n):
        for j in range(n):
            axes.text(j, i, words(float(values[i, j])), ha="center", va="center")
    for k in range(n):
        axes.text(k, -0.8, str(k + 1), ha="center", va="center", color=GREY)
        axes.text(-0.8, k, str(k + 1), ha="center", va="center", color=GREY)
    axes.set(xlim=(-1.1, n - 0.4), ylim=(n - 0.4, -1.1))


def rays(axes: Axes, d: Tensor, e: Tensor, slopes: dict[str, float]) -> None:
    """Distances after a map over those before it, and lines of given slopes through the origin.

    Args:
        axes: Where.
        d: Before (n, n).
        e: After (n, n).
        slopes: By their names, which are written at the ends of the lines.
    """
    pairs = torch.ones_like(d, dtype=torch.bool).triu(1)
    dots(axes, torch.stack([d[pairs], e[pairs]], dim=1), size=30)
    end = 1.08 * float(d.max())
    top = max(float(e.max()), end * max(slopes.values())) * 1.05
    for k, (name, slope) in enumerate(slopes.items(), 1):
        line(axes, torch.tensor([[0, 0], [end, slope * end]]), k)
        axes.text(end * 1.03, slope * end, f"{name} {slope:.2f}", va="center", ha="left")
    axes.set(xlim=(0, end * 1.5), ylim=(0, top), xlabel="distance before (units of x)")
    axes.set_xticks(range(int(end) + 1))
    axes.set_ylabel("after (units of z)")


def bars(axes: Axes, values: dict[str, float], *, digits: int = 2, look: int = 0) -> None:
    """A bar for each name, its number at its end.

    Args:
        axes: Where.
        values: By name, from top to bottom.
        digits: Behind the point.
        look: A place in `plots.NEUTRAL`.
    """
    names = list(values)
    axes.barh(names, list(values.values()), color=plots.NEUTRAL[look].color, height=0.55)
    for k, value in enumerate(values.values()):
        axes.annotate(
            f"{value:.{digits}f}", (max(value, 0), k), (4, 0), textcoords="offset points",
            va="center",
        )  # fmt: skip
    axes.invert_yaxis()
    axes.margins(x=0.35)
    axes.grid(visible=False)
