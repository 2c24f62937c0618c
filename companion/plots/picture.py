"""A figure as a light picture with its caption and alt text."""

__all__ = ["Picture", "show"]

import base64
import html
import io
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

# Twice the 96 pixels per inch of a page: sharp on a phone, where a figure fills the width.
DPI = 192
WHITE = 0xFFFFFF


def show(fig: Figure, *, caption: str, alt: str) -> None:
    """Show a figure as one HTML `<figure>` with its caption and alt text, and close it.

    The picture is a PNG with 192 pixels per inch and an optimised palette: 20 to 50 kB for lines,
    up to about 200 kB for fields of colour. Outside a notebook, and where HTML is not shown, the
    caption stands for it.

    Args:
        fig: The figure, of pyplot or not.
        caption: What is to be seen, in plain text; it may hold numbers of the run.
        alt: The picture in words, for those who do not see it.

    Raises:
        TypeError: For what is no figure.
        ValueError: For an empty caption or alt text.
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

    picture = Picture.of(fig, caption, alt)
    plt.close(fig)
    display(picture)


@dataclass(frozen=True)
class Picture:
    """A saved figure as a page shows it.

    Args:
        png: The file, 192 pixels per inch.
        caption: One line of plain text.
        alt: One line of plain text.
    """

    png: bytes
    caption: str
    alt: str

    @classmethod
    def of(cls, fig: Figure, caption: str, alt: str) -> "Picture":
        """Save a figure; white space in caption and alt text becomes single blanks.

        Args:
            fig: The figure; it stays open.
            caption: What is to be seen.
            alt: The picture in words.

        Returns:
            The picture.
        """
        return cls(_png(fig), " ".join(caption.split()), " ".join(alt.split()))

    def __repr__(self) -> str:
        return self.caption

    def _repr_html_(self) -> str:
        # Width and height keep a double-density picture from being shown at twice its size, and
        # its place while it is being loaded; on a phone they give way.
        width, height = (side * 96 // DPI for side in Image.open(io.BytesIO(self.png)).size)
        return (
            f'<figure class="ng-figure"><img alt="{html.escape(self.alt)}" width="{width}" '
            f'height="{height}" style="max-width: 100%; height: auto" '
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
    chosen = small if moved.max() <= 16 else full
    # Without its density another program would show the file at twice the size.
    chosen.save(packed, format="png", optimize=True, dpi=(DPI, DPI))
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
