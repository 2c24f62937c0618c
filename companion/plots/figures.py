"""The style of the book's figures, and what two chapters or more draw."""

__all__ = ["by_layer", "legend", "style"]

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.plots.looks import NEUTRAL, look, looks
from companion.run import interval

if TYPE_CHECKING:  # seaborn and pandas cost 1.3 s: imported where they draw
    import pandas as pd


def style() -> None:
    """Set matplotlib's defaults (`rcParams`) to the look of the book; call it once per chapter.

    White and opaque in both themes of the pages; text of 14 points on a 6 inch figure, which is
    11 pixels on a screen 390 pixels wide; lines and patches without a look take the neutral
    colours. Importing this module changes no default.

    >>> with plt.rc_context():
    ...     style()
    ...     plt.rcParams["savefig.facecolor"]
    'white'
    """
    plt.rcParams.update({
        "figure.figsize": (6.0, 4.2),
        "figure.facecolor": "white",
        "figure.constrained_layout.use": True,
        "savefig.facecolor": "white",
        "savefig.transparent": False,
        "axes.facecolor": "white",
        "axes.prop_cycle": plt.cycler(
            color=[one.color for one in NEUTRAL], linestyle=[one.linestyle for one in NEUTRAL]
        ),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.labelsize": 14,
        "axes.titlesize": 14,
        "figure.labelsize": 14,
        "grid.color": "#DDDDDD",
        "font.size": 14,
        "xtick.labelsize": 13,
        "ytick.labelsize": 13,
        "legend.fontsize": 13,
        "legend.frameon": False,
        "lines.linewidth": 2.0,
        "lines.markersize": 8.0,
        "lines.markeredgewidth": 0.6,  # seaborn draws it white: 1 leaves little of a cross
        "image.cmap": "viridis",
        "svg.fonttype": "none",
    })


def legend(axes: Axes, *, ncols: int = 2) -> None:
    """Put the legend of the axes above the whole figure, where it covers no line for any seed.

    seaborn draws its legend into the axes, in the way of the lines on a narrow figure. All legends
    of the figure's axes give way to one with what these axes show.

    Args:
        axes: Axes of a figure with the constrained layout; with several panels, those of one that
            shows every name.
        ncols: How many names stand side by side.

    >>> fig = Figure(layout="constrained")
    >>> _ = fig.subplots().plot([1, 2], label="trained")
    >>> legend(fig.axes[0])
    >>> [text.get_text() for text in fig.legends[0].get_texts()]
    ['trained']
    """
    drawn = axes.get_legend_handles_labels()
    fig = axes.get_figure(root=True)
    for panel in fig.axes:
        if panel.get_legend() is not None:
            panel.get_legend().remove()
    where = {"loc": "outside upper left", "ncols": ncols}
    fig.legend(*drawn, **where, handlelength=3.2, columnspacing=1.2)


def by_layer(
    table: "pd.DataFrame",
    y: str,
    *,
    ylabel: str,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Draw a quantity layer by layer for several networks in the same axes.

    The line joins the means over the rows of a network and a layer, one row per seed; the band is
    `interval`, as in `claims.test`, and absent where there is one row.

    Args:
        table: One row per network, seed and layer, with the columns `network` (a key of `LOOKS`
            or `METHODS`) and `layer` (its name). Networks and layers keep the order in which they
            first appear; a network may lack layers.
        y: The column that is drawn.
        ylabel: The quantity and its unit.
        labels: What a network is called in the legend ("memorized, own labels"); by default the
            label of its look.

    Returns:
        A figure unknown to pyplot, for `show`.

    Raises:
        ValueError: For a table without rows, NaN or infinity, or an unknown network.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"network": "linear", "layer": ["input", "logits"], "r": [1.0, 0.5]})
    >>> fig = by_layer(table, "r", ylabel="correlation")
    >>> [float(height) for height in fig.axes[0].lines[0].get_ydata()]
    [1.0, 0.5]
    """
    import seaborn as sns

    bad = ~np.isfinite(table[y].to_numpy(dtype=float))
    if not len(table) or bad.any():
        given = f"holds {bad.sum()} values that are not finite" if len(table) else "has no rows"
        raise ValueError(
            f"the table {given} in the column {y!r}, but finite numbers, one per network, seed "
            "and layer, are needed: look for the network that they come from"
        )
    names = {kind: (labels or {}).get(kind, look(kind).label) for kind in table["network"]}
    layers = list(dict.fromkeys(table["layer"]))
    places = table["layer"].map(layers.index)
    drawn = table.assign(network=table["network"].map(names), layer=places)
    # Not through pyplot: a figure it does not know of is shown once, by `show`, and never leaks.
    fig = Figure(layout="constrained")
    axes = fig.add_subplot()
    sns.lineplot(
        drawn, x="layer", y=y, hue="network", style="network", errorbar=interval, ax=axes,
        **looks({shown: kind for kind, shown in names.items()}),
    )  # fmt: skip
    steep = sum(map(len, layers)) > 36
    turned = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if steep else {}
    axes.set_xticks(range(len(layers)), layers, **turned)
    axes.set(xlabel="", ylabel=ylabel)
    legend(axes)
    return fig
