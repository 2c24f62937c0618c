"""A living figure as a piece of a page: data, script and still in one self-contained string.

Explained where the first one stands, in `book/prologue`.
"""

__all__ = ["LIMIT", "number", "page", "png", "seen", "words"]

import html
import importlib.resources
import io
import json
from collections.abc import Sequence

# Bytes of one figure with its data, its scripts and its still.
LIMIT = 300_000


def page(
    kind: str,
    data: dict[str, object],
    still: bytes,
    *,
    caption: str,
    alt: str,
    needs: Sequence[str] = (),
) -> str:
    """One figure: a still with its caption, the data as JSON, the script that brings them to life.

    The still stays where scripts are dropped, and in print. The script is inlined and the string
    depends on its arguments alone, so the same figure works on a page, in Jupyter and in Colab.
    `needs` names scripts that stand before the figure's own.

    Raises `ValueError` for a figure above 300 kB.
    """
    import base64

    # "<" may not stand in a script: "</script>" or "<!--" in a label would end it or change it.
    packed = json.dumps(
        {**data, "alt": alt}, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).replace("<", "\\u003c")
    files = importlib.resources.files("companion.book.widgets") / "static"
    names = ("living", *needs, kind)
    script = "\n".join((files / f"{name}.js").read_text("utf-8") for name in names)
    picture = base64.b64encode(still).decode()
    text = (
        f'<div class="ng-living ng-{kind}"><figure class="ng-figure">'
        f'<img class="ng-still" alt="{html.escape(alt)}" src="data:image/png;base64,{picture}">'
        f"<figcaption>{html.escape(caption, quote=False)}</figcaption></figure>"
        f'<script type="application/json">{packed}</script></div>\n'
        f'<script>(() => {{\n"use strict";\n{script}}})();</script>'
    )
    size = len(text.encode())
    if size >= LIMIT:
        raise ValueError(
            f"The figure has {size // 1000} kB, of which {len(packed.encode()) // 1000} kB are "
            f"data, but a living figure has to stay below {LIMIT // 1000} kB: give it fewer "
            "frames or fewer points."
        )
    return text


def png(figure: object) -> bytes:
    """A matplotlib figure as PNG of 64 colours: 10 to 30 kB, the same bytes each time."""
    from PIL import Image

    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=120, facecolor="white")
    full = Image.open(drawn).convert("RGB")
    full.quantize(64, dither=Image.Dither.NONE).save(packed, format="png", optimize=True)
    return packed.getvalue()


def number(value: object, digits: int = 4) -> float:
    """A number for the page, with so many significant digits.

    >>> number(1.23456), number(-0.000123456)
    (1.235, -0.0001235)
    """
    return float(f"{float(value):.{digits}g}")


def words(**given: object) -> None:
    """Refuse a caption or another text that is missing; alt text and caption are for everyone.

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
    """A range of an axis: (low, high) with low < high, both finite."""
    ends = tuple(float(value) for value in window)
    if len(ends) != 2 or not ends[0] < ends[1] or ends[1] - ends[0] == float("inf"):
        raise ValueError(
            f"{name} is {ends}, but an axis shows a range (low, high) of finite numbers with "
            f"low < high: pass {name}=(low, high)."
        )
    return ends
