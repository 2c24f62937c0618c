"""A network small enough to travel with a page: its layers as numbers the browser can read.

Explained where the first one is drawn, in `book/prologue`.
"""

__all__ = ["folded", "gap"]

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from companion import borrow, models
from companion.book.widgets.page import number

# Products in one evaluation of the network. The browser evaluates it 9,400 times before the
# first drawing, and the first drawing may take 50 ms.
LARGEST = 2_000

APPLY: dict[str, Callable[[Tensor, float], Tensor]] = {
    "relu": lambda z, number: z.relu(),
    "leaky_relu": nn.functional.leaky_relu,
    "abs": lambda z, number: z.abs(),
    "softplus": lambda z, number: nn.functional.softplus(z, number, 700.0),
    "tanh": lambda z, number: z.tanh(),
    "sigmoid": lambda z, number: z.sigmoid(),
    "identity": lambda z, number: z,
}


def gap(layers: list[dict[str, object]], x: Float[Tensor, "k 2"]) -> Float[Tensor, " k"]:
    """f_1 - f_0 at each point, from the layers as the page has them.

    Args:
        layers: What `folded` returns.
        x: Points (k, 2).

    Returns:
        One number per point (k,).

    >>> layer = {"weight": [[3.0, 4.0]], "bias": [1.0], "activation": "identity", "number": 0.0}
    >>> gap([layer], torch.tensor([[1.0, 1.0]]))
    tensor([8.])
    """
    for layer in layers:
        weight, bias = (torch.tensor(layer[k], dtype=x.dtype) for k in ("weight", "bias"))
        x = APPLY[layer["activation"]](x @ weight.T + bias, layer["number"])
    return x[:, 0]


def folded(model: nn.Module, points: Float[Tensor, "n 2"]) -> list[dict[str, object]]:
    """Weights of f_1 - f_0, layer by layer, as the page gets them (7 digits).

    Args:
        model: A module of linear layers, each followed by one activation at most.
        points: Where the answers of model and layers are compared (n, 2), the first 100.

    Returns:
        For each layer its weight, bias, activation and the number that goes with that.

    Raises:
        TypeError: For what is no module, and for a layer that the browser does not know.
        ValueError: For a model that is not 2-...-2, too large, or not the chain of its layers.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model is a {type(model).__name__}, but its weights go into the page: pass a module "
            "of linear layers, as models.MLP((2, 16, 2))."
        )
    linear = _linear(model)
    ends = (linear[0][0].shape[1], len(linear[-1][0])) if linear else (0, 0)
    if ends != (2, 2) or linear[-1][2][0] != "identity":
        raise ValueError(
            f"The model maps {ends[0]} inputs to {ends[1]} outputs, but the figure shows a plane "
            "and two classes: pass a network from 2 inputs to 2 logits."
        )
    weight, bias, kind = linear[-1]
    linear[-1] = (weight[1:] - weight[:1], bias[1:] - bias[:1], kind)
    size = sum(weight.numel() for weight, _, _ in linear)
    if size > LARGEST:
        raise ValueError(
            f"The model needs {size} products for one point, but the browser draws in time up to "
            f"{LARGEST}: pass a smaller one, as models.MLP((2, 32, 32, 2))."
        )
    _is_the_chain(model, points, linear)
    return [
        {
            "weight": [[number(value, 7) for value in row] for row in weight.tolist()],
            "bias": [number(value, 7) for value in bias.tolist()],
            "activation": kind[0],
            "number": number(kind[1], 7),
        }
        for weight, bias, kind in linear
    ]


def _linear(model: nn.Module) -> list[tuple[Tensor, Tensor, tuple[str, float]]]:
    """Weight, bias and activation of each linear layer."""
    linear: list[tuple[Tensor, Tensor, tuple[str, float]]] = []
    for leaf in [one for one in model.modules() if not list(one.children())]:
        if isinstance(leaf, nn.Linear):
            weight = leaf.weight.detach().cpu().double()
            bias = weight.new_zeros(len(weight)) if leaf.bias is None else leaf.bias.detach().cpu()
            linear.append((weight, bias.double(), ("identity", 0.0)))
        elif not isinstance(leaf, nn.Flatten | nn.Sequential):
            kind = _kind(leaf)
            if not linear or linear[-1][2][0] != "identity":
                raise ValueError(
                    f"A {kind[0]} does not follow a linear layer, but the browser evaluates one "
                    "activation after each: put a linear layer before it."
                )
            linear[-1] = (*linear[-1][:2], kind)
    return linear


def _kind(module: nn.Module) -> tuple[str, float]:
    kinds = {
        nn.ReLU: ("relu", 0.0),
        nn.Tanh: ("tanh", 0.0),
        nn.Sigmoid: ("sigmoid", 0.0),
        nn.Identity: ("identity", 0.0),
    }
    if isinstance(module, nn.LeakyReLU):
        return "leaky_relu", module.negative_slope
    if isinstance(module, nn.Softplus):
        return "softplus", float(module.beta)
    if isinstance(module, models.Activation) and module.function is torch.abs:
        return "abs", 0.0
    if type(module) in kinds:
        return kinds[type(module)]
    raise TypeError(
        f"The model holds a {type(module).__name__}, which the browser cannot evaluate: use "
        f"linear layers and {', '.join(APPLY)}, as in models.MLP((2, 16, 2))."
    )


def _is_the_chain(model: nn.Module, points: Tensor, linear: list) -> None:
    # A model may do more than its layers say: a skip connection, a normalised input.
    given = points[:100].to(next(model.parameters()))
    with borrow.borrowed(model, given) as lent, torch.no_grad():
        logits = lent(given).cpu().double()
    x = given.cpu().double()
    for weight, bias, (name, factor) in linear:
        x = APPLY[name](x @ weight.T + bias, factor)
    wanted = logits[:, 1] - logits[:, 0]
    if not torch.allclose(x[:, 0], wanted, rtol=1e-3, atol=1e-3 * float(logits.abs().max())):
        raise ValueError(
            f"The model's answers differ from the chain of its layers by "
            f"{float((x[:, 0] - wanted).abs().max()):.2g}, so the browser would draw another "
            "network: pass a model that applies its layers one after another."
        )
