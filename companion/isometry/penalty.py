"""The isometric penalty of a fit: a loss on what one layer makes of the batch.

Explained in the chapter `book/distances/isometric_regularization`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from companion.isometry.loss import isometry_loss, refuse_scale
from companion.models import recorded

__all__ = ["IsometryPenalty", "isometry_penalty", "refuse_weight", "tapped"]


@dataclass(frozen=True)
class IsometryPenalty:
    """penalty(model, x, y) = beta loss(x, z, y), z the output of a layer.

    `training.fit` asks it through `layers` and `on` and saves the forward pass of a call.

    Args:
        beta: Weight, 0 or more.
        layer: A name as `models.representations` gives it.
        loss: A scalar of x, z and y.
    """

    beta: float | int
    layer: str
    loss: Callable[..., Tensor]

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that `on` needs; none with beta = 0."""
        return (self.layer,) if self.beta else ()

    def on(
        self, activations: Mapping[str, Tensor], x: Float[Tensor, "n ..."], y: Tensor
    ) -> Float[Tensor, ""]:
        """The penalty of activations that are there already.

        Args:
            activations: Layer -> what it made of x, those of `layers` at least.
            x: Samples (n, ...).
            y: Labels (n,).

        Returns:
            A scalar in the graph of the activations.
        """
        if not self.beta:
            return x.new_zeros(())
        return self.beta * self.loss(x, activations[self.layer], y)

    def __call__(
        self, model: nn.Module, x: Float[Tensor, "n ..."], y: Tensor
    ) -> Float[Tensor, ""]:
        """The penalty, from a forward pass of its own, in which dropout draws again.

        Args:
            model: Calls the layer.
            x: Samples (n, ...).
            y: Labels (n,).

        Returns:
            A scalar in the graph of that pass.

        Raises:
            ValueError: For a layer that the model does not call, and what the loss raises.
        """
        return self.on({name: tapped(model, x, name) for name in self.layers}, x, y)


def isometry_penalty(
    beta: float | int,
    layer: str,
    *,
    scale: float | int = 1.0,
    reduction: str = "matrix",
    loss: Callable[..., Tensor] = isometry_loss,
) -> IsometryPenalty:
    """The penalty beta L of what a layer makes of a batch: `training.fit(..., penalty=...)`.

    Args:
        beta: Weight, 0 or more; its unit is 1 / distance^2, and with `reduction="matrix"` its
            meaning depends on the number of classes. 0 is the plain training, and the layer is
            not looked for.
        layer: What is kept isometric to the input, named as `models.representations` names it.
        scale: Of the distances of the layer, as in `isometry_loss`.
        reduction: As in `isometry_loss`.
        loss: loss(x, z, y, scale=, reduction=); `scale_loss` is the control of equal footing.

    Returns:
        penalty(model, x, y) -> scalar. `fit` gives it the layer of its own forward pass; a call
        costs another one.

    Raises:
        ValueError: For a beta that is negative or no number, and for a bad scale; the penalty
            raises what the loss does, and for a layer that the model does not call.

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
    return IsometryPenalty(beta, layer, partial(loss, scale=scale, reduction=reduction))


def tapped(model: nn.Module, x: Float[Tensor, "n ..."], layer: str) -> Float[Tensor, "n ..."]:
    """What one layer makes of x, in the caller's graph and mode.

    Args:
        model: Calls the layer.
        x: Samples (n, ...).
        layer: A name as `models.representations` gives it.

    Returns:
        The output of the layer.

    Raises:
        ValueError: For a layer that is not called; the names that are, are listed.

    >>> import torch
    >>> tapped(nn.Sequential(nn.Flatten(), nn.ReLU()), -torch.ones(2, 1, 1), "0").tolist()
    [[-1.0], [-1.0]]
    """
    with recorded(model, [layer]) as record:
        model(x)
    return record.named([layer])[layer]


def refuse_weight(beta: float | int) -> None:
    """A weight with which the penalty would tear distances apart.

    Args:
        beta: The weight.

    Raises:
        ValueError: For less than 0, infinity and NaN.

    >>> refuse_weight(10)
    """
    if not 0 <= beta < math.inf:
        raise ValueError(
            f"beta = {beta}: the weight of a penalty must be a finite number and not negative; "
            "choose 0 or more."
        )
