"""Walls between the classes of a linear readout, where two logits are equal.

What the checks of `book/prologue` and `book/distances/isometric_regularization` measure by.
"""

__all__ = ["gaps", "normals"]

from jaxtyping import Float, Int
from torch import Tensor

from companion.decision import logit_gaps


def gaps(f: Float[Tensor, "n C"]) -> tuple[Float[Tensor, "n C"], Int[Tensor, " n"]]:
    """Predicted logit minus each logit, infinite for the predicted class; and that class.

    Args:
        f: Logits (n, C).

    Returns:
        The gaps (n, C), and the predicted class of each sample (n,).

    >>> import torch
    >>> gaps(torch.tensor([[3.0, 1.0]]))
    (tensor([[inf, 2.]]), tensor([0]))
    """
    own = f.argmax(1)
    return -logit_gaps(f, own), own


def normals(own: Int[Tensor, " n"], weights: Float[Tensor, "C k"]) -> Float[Tensor, "n C k"]:
    """Normals w_own - w_j of the walls between the predicted class and each class, 0 for its own.

    A gap over the length of its normal is the distance to that wall.

    Args:
        own: The predicted class of each sample (n,).
        weights: The weights of the readout, one row per class (C, k).

    Returns:
        One normal per sample and class (n, C, k).

    >>> import torch
    >>> normals(torch.tensor([0]), torch.tensor([[3.0], [1.0]]))
    tensor([[[0.], [2.]]])
    """
    return weights[own][:, None] - weights
