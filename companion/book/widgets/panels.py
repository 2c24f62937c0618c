"""Panels for a live kernel: the instruments of a part behind sliders and menus.

They use the functions of the chapters and need ipywidgets; the pages of the book do without.
Explained in `book/distances/metric_structure`.
"""

__all__ = ["explore"]

import base64
import html
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from companion import distances, models
from companion.book.widgets.page import INK, png, three
from companion.book.widgets.plane import Plane

# Pairs that a scatter shows: of more points than this the first ones are drawn.
LARGEST = 400


@dataclass(frozen=True)
class _Missing:
    """Stands for a panel where ipywidgets is missing, and says so."""

    sentence: str = (
        "This panel needs ipywidgets, which is not installed here: run %pip install ipywidgets, "
        "restart the kernel and run this cell again."
    )

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.sentence)}</p>"


def explore(
    model: nn.Module, x: Float[Tensor, "n ..."], y: Int[Tensor, " n"], *, part: str = "distances"
) -> object:
    """A panel (an ipywidgets box) over a model of your own, for a live kernel.

    Where ipywidgets is missing, what comes back shows one sentence that says so. Each change costs
    one pass through the model and O(n²) memory.

    Args:
        model: Any classifier, or for `plane` a network of two inputs and two classes.
        x: Samples (n, ...); of more than 400 the first are shown, but in `plane`.
        y: Their classes (n,).
        part: `distances` (default: input distance against distance in a layer, with the rulers of
            `companion.distances`) or `plane` (the point and the settings of the overlays by
            slider, with the numbers of `Plane.at`).

    Returns:
        The panel, as the last expression of a cell.

    Raises:
        ValueError: For an unknown part, and what the functions of the part raise.

    >>> panel = explore(models.MLP((2, 3, 2)), torch.rand(9, 2), torch.arange(9) % 2)
    """
    parts: dict[str, Callable] = {"distances": _distances, "plane": _plane}
    if part not in parts:
        raise ValueError(
            f"There is no part {part!r} to explore: choose one of {', '.join(parts)}."
        )
    try:
        # By name: the package works without it, only the extra `book` asks for it.
        widgets = importlib.import_module("ipywidgets")
    except ImportError:
        return _Missing()
    return parts[part](widgets, model, x, y)


def _panel(
    widgets: ModuleType, controls: dict[str, object], answer: Callable[..., tuple[bytes, str, str]]
) -> object:
    """Controls above, picture and sentence below; every change asks for new ones.

    `answer` gives the picture, what one sees on it, and what is said below it.
    """
    # Not the picture widget of ipywidgets, which has no alt text.
    picture, said = widgets.HTML(), widgets.HTML()

    def changed(_=None) -> None:
        given = {name: control.value for name, control in controls.items()}
        drawn, alt, sentence = answer(**given)
        picture.value = (
            f'<img alt="{html.escape(alt)}" style="width: 100%; max-width: 30rem; height: auto" '
            f'src="data:image/png;base64,{base64.b64encode(drawn).decode()}">'
        )
        said.value = f'<p aria-live="polite">{html.escape(sentence)}</p>'

    for control in controls.values():
        control.observe(changed, names="value")
    changed()
    return widgets.VBox([*controls.values(), picture, said])


def _distances(widgets: ModuleType, model: nn.Module, x: Tensor, y: Tensor) -> object:
    x, y = x[:LARGEST], y[:LARGEST]
    layers = models.representations(model, x)
    before = distances.pairwise(x)
    within = distances.within_class(y)
    upper = torch.ones_like(within).triu(1)

    def answer(layer: str, pairs: str) -> tuple[bytes, str, str]:
        after = distances.pairwise(layers[layer])
        where = within if pairs == "within a class" else ~torch.eye(len(x), dtype=torch.bool)
        where = where.to(upper.device)
        r = distances.correlation(before, after, where=where)
        low, high = distances.distortion(before, after, where=where)
        alike = distances.cka(x.flatten(1), layers[layer].flatten(1))
        drawn = {
            "between classes": upper & where & ~within,
            "within a class": upper & where & within,
        }
        sentence = (
            f"{layer}, pairs {pairs}: correlation of distances {float(r):.3f}; a pair is "
            f"stretched by {float(low):.3g} to {float(high):.3g}; CKA of all samples "
            f"{float(alike):.3f}."
        )
        alt = (
            f"Scatter of pairs {pairs}: the distance in {layer} upward, from "
            f"{_range(after, where)}, against the distance of the inputs, from "
            f"{_range(before, where)}."
        )
        return _scatter(before, after, drawn, layer), alt, sentence

    return _panel(
        widgets,
        {
            "layer": widgets.Dropdown(options=list(layers), description="layer"),
            "pairs": widgets.Dropdown(
                options=["of all classes", "within a class"], description="pairs"
            ),
        },
        answer,
    )


def _range(d: Tensor, where: Tensor) -> str:
    return " to ".join(three(float(end)) for end in d[where].aminmax())


def _scatter(before: Tensor, after: Tensor, drawn: dict[str, Tensor], layer: str) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.add_subplot()
    for (name, mask), marker, ink in zip(drawn.items(), "x^", INK, strict=False):
        ends = (d[mask].cpu() for d in (before, after))
        axes.scatter(*ends, s=8, marker=marker, color=ink, label=name, linewidths=0.7)
    axes.set(xlabel="distance of the inputs", ylabel=f"distance in {layer}")
    axes.legend(frameon=False)
    return png(figure)


def _plane(widgets: ModuleType, model: nn.Module, x: Tensor, y: Tensor) -> object:
    figure = Plane(model, points=x, labels=y, caption="a panel", alt="a panel")
    left, right, bottom, top = figure.field.window

    def answer(across: float, up: float, **settings: float) -> tuple[bytes, str, str]:
        state = figure.at(across, up, **settings)
        told = [f"decision function F {three(state.value)} logits"]
        told += [
            f"{one.name} {one.text(state.numbers, figure.field.unit)}" for one in figure.overlays
        ]
        own, rival = figure.names[state.own], figure.names[1 - state.own]
        alt = (
            f"A plane in the two colours of {figure.names[0]} and {figure.names[1]}, with "
            f"{len(x)} points of data; the point at ({three(across)}, {three(up)}) lies in {own}, "
            f"and around it is drawn what leads to {rival}."
        )
        return figure.still(state), alt, f"{own}; {'; '.join(told)}."

    def slider(name: str, low: float, high: float, value: float) -> object:
        return widgets.FloatSlider(
            min=low,
            max=high,
            value=value,
            step=(high - low) / 200,
            description=name,
            continuous_update=False,
        )

    return _panel(
        widgets,
        {
            "across": slider(figure.field.labels[0], left, right, figure.start[0]),
            "up": slider(figure.field.labels[1], bottom, top, figure.start[1]),
            **{
                name: slider(name, one.low, one.high, one.start)
                for name, one in figure.settings.items()
            },
        },
        answer,
    )
