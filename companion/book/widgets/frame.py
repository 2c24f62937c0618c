"""One frame of a living figure: points, curves, histograms or small pictures.

Explained where the first ones stand, in `book/distances/metric_structure`.
"""

__all__ = ["Frame", "curves", "histogram", "images", "scatter"]

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Part = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, repr=False)
class Frame:
    """One frame, made by `scatter`, `curves`, `histogram` or `images`.

    Args:
        kind: `points`, `lines`, `steps` or `images`.
        groups: Names of what is told apart.
        parts: (x, y) of each group; for images one array (k, h, w).
        text: The line above it.
    """

    kind: str
    groups: tuple[str, ...]
    parts: tuple[Part, ...] | np.ndarray
    text: str

    def __len__(self) -> int:
        if self.kind == "images":
            return self.parts.size
        return sum(len(x) for x, _ in self.parts)


def scatter(
    x: object, y: object, *, groups: Mapping[str, object] | None = None, text: str = ""
) -> Frame:
    """A frame of points, in groups that are told apart by shape and colour.

    Args:
        x: Where they lie across (n,).
        y: Where they lie upward (n,).
        groups: A name to the mask (n,) of its points, four at most, later ones on top; by default
            one group without a name.
        text: A line above the frame: what it shows, numbers with three digits and their unit.

    Returns:
        The frame.

    Raises:
        ValueError: For lengths that differ, for NaN, and for more than four groups.

    >>> len(scatter([0.0, 1.0], [2.0, 3.0], groups={"left": [True, False]}))
    1
    """
    x, y = _numbers(x, "x"), _numbers(y, "y")
    masks = {"": np.ones(len(x), bool)} if groups is None else groups
    masks = {name: np.asarray(mask, bool).reshape(-1) for name, mask in masks.items()}
    lengths = [len(x), len(y), *(len(mask) for mask in masks.values())]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"x, y and the masks of groups have {lengths} entries, but each point needs one of "
            "each: pass arrays of the same length."
        )
    return _frame("points", {name: (x[mask], y[mask]) for name, mask in masks.items()}, text)


def curves(lines: Mapping[str, tuple[object, object]], *, text: str = "") -> Frame:
    """A frame of curves, told apart by their dashes.

    Args:
        lines: A name to (x, y), both (k,); four at most.
        text: A line above the frame.

    Returns:
        The frame.

    Raises:
        ValueError: For lengths that differ, for NaN, and for more than four curves.

    >>> curves({"error": ([0, 1], [0.5, 0.25])}, text="two steps").text
    'two steps'
    """
    parts = {name: (_numbers(x, name), _numbers(y, name)) for name, (x, y) in lines.items()}
    for name, (x, y) in parts.items():
        if len(x) != len(y):
            raise ValueError(
                f"The curve {name!r} has {len(x)} x and {len(y)} y, but each point needs both: "
                "pass arrays of the same length."
            )
    return _frame("lines", parts, text)


def histogram(values: Mapping[str, object], *, bins: object, text: str = "") -> Frame:
    """A frame of histograms over the same bins: counts, drawn as filled steps.

    Args:
        values: A name to its values; four at most. What lies outside the edges does not count.
        bins: Edges (k + 1,).
        text: A line above the frame.

    Returns:
        The frame.

    Raises:
        ValueError: For NaN, and for more than four histograms.

    >>> histogram({"gap": [0.2, 0.3, 0.9]}, bins=[0, 0.5, 1]).parts[0][1].tolist()
    [2.0, 2.0, 1.0, 1.0]
    """
    edges = _numbers(bins, "bins")
    parts = {}
    for name, given in values.items():
        counts, _ = np.histogram(_numbers(given, name), edges)
        parts[name] = (np.repeat(edges, 2)[1:-1], np.repeat(counts, 2).astype(float))
    return _frame("steps", parts, text)


def images(pictures: object, *, text: str = "") -> Frame:
    """A frame of grey pictures side by side.

    Args:
        pictures: (k, h, w) with values from 0 (black) to 1 (white).
        text: A line above the frame.

    Returns:
        The frame.

    Raises:
        ValueError: For another shape, and for values outside 0 to 1.

    >>> images(np.zeros((2, 8, 8))).parts.shape
    (2, 8, 8)
    """
    given = np.asarray(pictures, dtype=float)
    if given.ndim != 3 or not given.size or not ((given >= 0) & (given <= 1)).all():
        raise ValueError(
            f"pictures have shape {given.shape} and values from {given.min(initial=np.inf):.3g} "
            f"to {given.max(initial=-np.inf):.3g}, but (k, h, w) with values from 0 to 1 are "
            "shown: drop the channel axis and scale them."
        )
    return Frame("images", ("",), np.rint(given * 255).astype(np.uint8), text)


def _numbers(values: object, name: str) -> np.ndarray:
    # A tensor on another device, or one that asks for a gradient, is not numpy's to read.
    given = values.detach().cpu() if hasattr(values, "detach") else values
    array = np.asarray(given, dtype=float).reshape(-1)
    if not np.isfinite(array).all():
        raise ValueError(
            f"{name} holds {int((~np.isfinite(array)).sum())} values that are NaN or infinite, "
            "but a frame draws numbers: leave those points out."
        )
    return array


def _frame(kind: str, parts: Mapping[str, Part], text: str) -> Frame:
    if not 1 <= len(parts) <= 4:
        raise ValueError(
            f"The frame has {len(parts)} groups, but one to four are told apart by shape and "
            "colour: join or drop some."
        )
    return Frame(kind, tuple(parts), tuple(parts.values()), text)
