"""How the book draws: one look per reference network, and figures that carry caption and alt text.

A colour, a marker and a line style belong to a network through the whole book, so that no figure
tells networks apart by colour alone. First used in `book/distances/metric_structure`.
"""

__all__ = ["LOOKS", "Look", "by_layer", "look", "show", "style"]

import base64
import html
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

# Twice the 96 pixels per inch of a page: sharp on a phone, where a figure fills the width.
DPI = 192
WHITE = 0xFFFFFF


@dataclass(frozen=True)
class Look:
    """How one network is drawn: matplotlib's color, marker, linestyle, and its name as label."""

    color: str
    marker: str
    linestyle: str | tuple[int, tuple[float | int, ...]]
    label: str


# Chosen by computation: each has contrast 3 or more against white, and any two stay apart in full
# colour vision and in its three simulated deficiencies. Memorized network and twin share a hue.
LOOKS = {
    "trained": Look("#0072B2", "o", "-", "trained"),
    "untrained": Look("#808080", "s", "--", "untrained"),
    "memorized": Look("#A6320A", "^", "-.", "memorized"),
    "trained_small": Look("#CC8400", "D", (0, (1, 1)), "trained, small set"),
    "linear": Look("#1A1A1A", "v", (0, (6, 1, 1, 1, 1, 1)), "linear"),
}


def look(kind: str) -> Look:
    """The colour, marker, line style and label of a reference network.

    ValueError for a kind that is not one of `LOOKS`.

    >>> look("untrained").marker
    's'
    """
    if kind not in LOOKS:
        raise ValueError(
            f"{kind!r} is not a network with a look of its own: {', '.join(LOOKS)} have one; name "
            "one of them, or draw the line with colours of your own"
        )
    return LOOKS[kind]


def style() -> None:
    """Set matplotlib's defaults (`rcParams`) to the look of the book; call it once per chapter.

    White and opaque in both themes of the pages; text of 14 points on a 6 inch figure, which is
    11 pixels on a screen 390 pixels wide. Importing this module changes no default.

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
        "axes.prop_cycle": plt.cycler(color=[one.color for one in LOOKS.values()]),
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
        "lines.markersize": 7.0,
        "image.cmap": "viridis",
        "svg.fonttype": "none",
    })


def show(fig: Figure, *, caption: str, alt: str) -> None:
    """Show a figure as one HTML `<figure>` with its caption and alt text, and close it.

    `caption` says what is to be seen (it may hold numbers of the run), `alt` describes the
    picture for those who do not see it; both are plain text. The picture is a PNG with 192 pixels
    per inch and an optimised palette: 20 to 50 kB for lines, up to about 200 kB for fields of
    colour. Outside a notebook, and where HTML is not shown, the caption stands for it.

    TypeError for what is no figure, ValueError for an empty caption or alt text.
    """
    if not isinstance(fig, Figure):
        raise TypeError(
            f"fig is a {type(fig).__name__}, but a matplotlib figure is needed: pass the figure, "
            "as in plots.show(axes.figure, caption=..., alt=...)"
        )
    for word, text in (("caption", caption), ("alt", alt)):
        if not (isinstance(text, str) and text.strip()):
            raise ValueError(
                f"{word} is {text!r}, but a figure needs both a caption and an alt text: say in "
                f"{word}= what is to be seen"
            )
    from IPython.display import display

    picture = _Picture(_png(fig), " ".join(caption.split()), " ".join(alt.split()))
    plt.close(fig)
    display(picture)


def by_layer(
    curves: Mapping[str, Mapping[str, object]],
    *,
    ylabel: str,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Draw a quantity layer by layer for several networks in the same axes.

    `curves` maps a network (a key of `LOOKS`) to a mapping from a layer's name to its values, one
    per seed. Layers keep the order in which they first appear; a network may lack some. The line
    joins the means; the band is mean ± 2 standard errors for three values or more, the range for
    two, none for one, as in `claims.test`. `ylabel` names quantity and unit; `labels` replaces
    a network's name in the legend ("memorized, own labels").

    ValueError for no curve, an unknown network, no value, or NaN.

    >>> fig = by_layer({"linear": {"input": [1.0], "logits": [0.5]}}, ylabel="correlation")
    >>> [float(height) for height in fig.axes[0].lines[0].get_ydata()]
    [1.0, 0.5]
    """
    layers = list(dict.fromkeys(layer for curve in curves.values() for layer in curve))
    if not layers:
        raise ValueError(
            "curves holds no layer of any network, but there must be something to draw: pass "
            "{network: {layer: values over seeds}}"
        )
    # Not through pyplot: a figure it does not know of is shown once, by `show`, and never leaks.
    fig = Figure(layout="constrained")
    axes = fig.add_subplot()
    for network, curve in curves.items():
        there = [place for place, layer in enumerate(layers) if layer in curve]
        ends = [_interval(curve[layers[k]], f"{network} at {layers[k]}") for k in there]
        low, mean, high = zip(*ends, strict=True) if ends else ((), (), ())
        one = look(network)
        axes.fill_between(there, low, high, color=one.color, alpha=0.2, linewidth=0)
        label = (labels or {}).get(network, one.label)
        axes.plot(there, mean, one.marker, ls=one.linestyle, color=one.color, label=label)
    steep = sum(map(len, layers)) > 36
    turned = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if steep else {}
    axes.set_xticks(range(len(layers)), layers, **turned)
    axes.set(ylabel=ylabel)
    # Above the axes: a legend inside them covers a line for some seed.
    fig.legend(loc="outside upper left", ncols=2, handlelength=3.2, columnspacing=1.2)
    return fig


@dataclass(frozen=True)
class _Picture:
    png: bytes
    caption: str
    alt: str

    def __repr__(self) -> str:
        return self.caption

    def _repr_html_(self) -> str:
        # The height follows from the picture; the width keeps a double-density picture from
        # being shown at twice its size, and gives way on a phone.
        width = Image.open(io.BytesIO(self.png)).width * 96 // DPI
        return (
            f'<figure class="ng-figure"><img alt="{html.escape(self.alt)}" width="{width}" '
            'style="max-width: 100%; height: auto" '
            f'src="data:image/png;base64,{base64.b64encode(self.png).decode()}">'
            f"<figcaption>{html.escape(self.caption, quote=False)}</figcaption></figure>"
        )


def _png(fig: Figure) -> bytes:
    drawn = io.BytesIO()
    fig.savefig(drawn, format="png", dpi=DPI, facecolor="white", transparent=False)
    full = Image.open(drawn).convert("RGB")
    # A palette of 256 makes a picture three times lighter; one with too many colours for it stays
    # as it is.
    small = _palette(full)
    moved = np.abs(np.asarray(full, np.int16) - np.asarray(small.convert("RGB"), np.int16))
    packed = io.BytesIO()
    (small if moved.max() <= 16 else full).save(packed, format="png", optimize=True)
    return packed.getvalue()


def _palette(full: Image.Image) -> Image.Image:
    """The picture in 256 colours: white, and 255 for all others.

    They are chosen among the colours that occur, each counted once, which takes a fraction of the
    time that it takes among all pixels. White is most of the picture and must stay white.
    """
    red, green, blue = np.moveaxis(np.asarray(full, np.int32), -1, 0)
    codes = (red << 16) | (green << 8) | blue
    occurs = np.zeros(1 << 24, bool)
    occurs[codes] = True
    occurs[WHITE] = False
    there = np.flatnonzero(occurs)
    if not len(there):
        return full
    swatch = np.stack([there >> 16, there >> 8 & 255, there & 255], axis=-1).astype(np.uint8)
    # Of Pillow's methods this one keeps the largest error smallest.
    chosen = Image.fromarray(swatch[None]).quantize(
        255, method=Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE
    )
    place = np.full(1 << 24, 255, np.uint8)
    place[there] = np.asarray(chosen)[0]
    small = Image.fromarray(place[codes])
    colours = chosen.getpalette()[: 255 * 3]
    small.putpalette(colours + [0] * (255 * 3 - len(colours)) + [255] * 3)
    return small


def _interval(values: object, name: str) -> tuple[float, float, float]:
    given = np.asarray(values, dtype=float).reshape(-1)
    if given.size == 0 or not np.isfinite(given).all():
        raise ValueError(
            f"the values of {name} are {given.tolist()}, but finite numbers, one per seed, are "
            "needed: look for the seed they come from"
        )
    mean = float(given.mean())
    if given.size < 3:
        return float(given.min()), mean, float(given.max())
    half = 2 * float(given.std(ddof=1)) / math.sqrt(given.size)
    return mean - half, mean, mean + half
