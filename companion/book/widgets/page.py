"""A living figure as a piece of a page: data, script and still in one self-contained string.

Explained where the first one stands, in `book/prologue`.
"""

__all__ = ["INK", "LIMIT", "number", "page", "png", "seen", "three", "words"]

import html
import importlib.resources
import io
import json
import math
from collections.abc import Mapping, Sequence

# Bytes of one figure with its data, its scripts and its still.
LIMIT = 300_000

# Dots an inch of a still: twice the 96 of a page, as sharp as the pictures of `plots.show`.
DPI = 192

# As drawn and as coloured by static/theme.js.
INK = ("#2b83c6", "#cf6214", "#8a63c4", "#2a9163")


def page(
    kind: str,
    data: Mapping[str, object],
    still: bytes,
    *,
    caption: str,
    alt: str,
    scripts: Sequence[str],
) -> str:
    """One figure: a still with its caption, the data as JSON, the scripts that bring it to life.

    The still stays where scripts are dropped, and in print. The scripts are inlined and the string
    depends on its arguments alone, so the same figure works on a page, in Jupyter and in Colab.

    Args:
        kind: What the scripts call the figure: `plane` or `frames`.
        data: What they read of it, ready for JSON.
        still: The picture that stands where they do not run, PNG.
        caption: What the figure shows, below it; plain text.
        alt: What it looks like, for readers who do not see it; plain text.
        scripts: Names of files of `static/`, in their order, without `.js`. Those in a folder of
            it stand in a block each, so that their helpers do not meet.

    Returns:
        HTML of two elements, a `div` and a `script`.

    Raises:
        ValueError: For a figure above 300 kB.
    """
    import base64

    from PIL import Image

    width, height = (side * 96 // DPI for side in Image.open(io.BytesIO(still)).size)
    # "<" may not stand in a script: "</script>" or "<!--" in a label would end it or change it.
    packed = json.dumps(
        {**data, "alt": alt}, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).replace("<", "\\u003c")
    picture = base64.b64encode(still).decode()
    text = (
        f'<div class="ng-living ng-{kind}"><figure class="ng-figure">'
        f'<img class="ng-still" alt="{html.escape(alt)}" width="{width}" height="{height}" '
        f'style="max-width: 100%; height: auto" src="data:image/png;base64,{picture}">'
        f"<figcaption>{html.escape(caption, quote=False)}</figcaption></figure>"
        f'<script type="application/json">{packed}</script></div>\n'
        f'<script>(() => {{\n"use strict";\n{_inlined(scripts)}}})();</script>'
    )
    size = len(text.encode())
    if size >= LIMIT:
        raise ValueError(
            f"The figure has {size // 1000} kB, of which {len(packed.encode()) // 1000} kB are "
            f"data, but a living figure has to stay below {LIMIT // 1000} kB: give it fewer "
            "frames or fewer points."
        )
    return text


def _inlined(scripts: Sequence[str]) -> str:
    files = importlib.resources.files("companion.book.widgets") / "static"
    texts = {name: files.joinpath(f"{name}.js").read_text("utf-8") for name in scripts}
    return "\n".join(f"{{\n{text}}}" if "/" in name else text for name, text in texts.items())


def png(figure: object) -> bytes:
    """A matplotlib figure as PNG of 64 colours: 15 to 50 kB, the same bytes each time.

    Args:
        figure: A `matplotlib.figure.Figure`.

    Returns:
        The file's bytes, 192 dots an inch on white.
    """
    from PIL import Image

    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, facecolor="white")
    small = Image.open(drawn).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    small.save(packed, format="png", optimize=True, dpi=(DPI, DPI))
    return packed.getvalue()


def number(value: object, digits: int = 4) -> float:
    """A number for the page's data, with so many significant digits.

    Args:
        value: What `float` takes.
        digits: How many digits are kept, by default 4.

    Returns:
        The rounded number.

    >>> number(1.23456), number(-0.000123456)
    (1.235, -0.0001235)
    """
    return float(f"{float(value):.{digits}g}")


def three(value: float | int) -> str:
    """A number as the reader sees it: three digits, whatever its size, five decimals at most.

    Args:
        value: A finite number.

    Returns:
        Its digits, with a minus sign where it needs one; what `three` of static/living.js gives.

    >>> three(0.012345), three(-1.2345), three(123.45), three(0.9996)
    ('0.0123', '−1.23', '123', '1.00')
    """
    size = abs(number(value, 3))
    digits = 2 - math.floor(math.log10(size)) if size else 2
    text = f"{value:.{min(5, max(0, digits))}f}"
    return text.replace("-", "−" if text.strip("-0.") else "")


def words(**given: object) -> None:
    """Refuse a caption or another text that is missing; alt text and caption are for everyone.

    Args:
        given: Texts by the name of their argument.

    Raises:
        ValueError: For what is no text, or empty.

    >>> words(caption="")
    Traceback (most recent call last):
    ValueError: caption is '', but a living figure needs it as text: say in caption= what ...
    """
    for name, text in given.items():
        if not (isinstance(text, str) and text.strip()):
            raise ValueError(
                f"{name} is {text!r}, but a living figure needs it as text: say in {name}= what "
                "the reader sees."
            )


def seen(window: Sequence[float | int], name: str) -> tuple[float, ...]:
    """A range of an axis: (low, high) with low < high, both finite.

    Args:
        window: Its two ends.
        name: What the argument is called, for the sentence.

    Returns:
        The ends as floats.

    Raises:
        ValueError: For ends that are not two, not finite or not in order.
    """
    ends = tuple(float(value) for value in window)
    if len(ends) != 2 or not ends[0] < ends[1] or ends[1] - ends[0] == float("inf"):
        raise ValueError(
            f"{name} is {ends}, but an axis shows a range (low, high) of finite numbers with "
            f"low < high: pass {name}=(low, high)."
        )
    return ends
