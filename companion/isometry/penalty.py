"""The isometric penalty of a fit: a loss on what one layer makes of the batch.

Explained in the chapter `book/distances/isometric_regularization`.
"""

import math
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from companion.isometry.loss import isometry_loss, refuse_scale
from companion.models import recorded

__all__ = ["isometry_penalty", "refuse_weight", "tapped"]


def isometry_penalty(
    beta: float | int,
    layer: str,
    *,
    scale: float | int = 1.0,
    reduction: str = "matrix",
    loss: Callable[..., Tensor] = isometry_loss,
) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    """The penalty beta L of what `layer` makes of a batch: `training.fit(..., penalty=...)`.

    penalty(model, x, y) = beta loss(x, z, y), z the output of the layer, named as
    `models.representations` names it. `loss=scale_loss` is the control of equal footing. beta has
    the unit 1 / distance^2 and, with `reduction="matrix"`, a meaning that depends on the number of
    classes. beta = 0 is the plain training, and the layer is not looked for.

    Costs one more forward pass, in which dropout draws again. Raises `ValueError` for a negative
    beta and a bad scale; the penalty raises what the loss does, and for a layer that the model
    does not call.

    >>> import torch
    >>> from companion.models import MLP
    >>> penalty = isometry_penalty(10, "act1")
    >>> model, x = MLP((2, 2, 2), "identity"), torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    >>> _ = nn.init.zeros_(model.linear1.weight)            # 5 apart before, 0 apart after
    >>> penalty(model, x, torch.tensor([1, 1])).item()      # 10 (2 / 2^2) 5^2
    125.0
    """
    refuse_weight(beta)
    refuse_scale(scale)

    def penalty(model: nn.Module, x: Float[Tensor, "n ..."], y: Tensor) -> Float[Tensor, ""]:
        if beta == 0:
            return x.new_zeros(())
        return beta * loss(x, tapped(model, x, layer), y, scale=scale, reduction=reduction)

    return penalty


def tapped(model: nn.Module, x: Float[Tensor, "n ..."], layer: str) -> Float[Tensor, "n ..."]:
    """What one layer makes of x, in the caller's graph and mode.

    Raises `ValueError` for a layer that is not called; the names that are, are listed.

    >>> import torch
    >>> tapped(nn.Sequential(nn.Flatten(), nn.ReLU()), -torch.ones(2, 1, 1), "0").tolist()
    [[-1.0], [-1.0]]
    """
    with recorded(model, [layer]) as record:
        model(x)
    if layer not in record.outputs:
        raise ValueError(
            f"The model calls no layer named {layer!r}: it calls {', '.join(record.calls)}; "
            "choose among these."
        )
    return record.outputs[layer]


def refuse_weight(beta: float | int) -> None:
    """A weight with which the penalty would tear distances apart."""
    if not 0 <= beta < math.inf:
        raise ValueError(
            f"beta = {beta}: the weight of a penalty must be a finite number and not negative; "
            "choose 0 or more."
        )
