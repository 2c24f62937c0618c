"""The lead of other classes over one, read off the logits."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from companion import borrow

__all__ = ["classes", "logit_gap", "logit_gaps"]


def logit_gaps(logits: Float[Tensor, "n C"], y: Int64[Tensor, " n"]) -> Float[Tensor, "n C"]:
    """Lead of every class over y, f_j - f_y, in units of the logits; -inf for y itself.

    Args:
        logits: One row of logits per sample (n, C), two classes or more.
        y: The class whose side is taken, one per sample (n,), int64.

    Returns:
        One number per sample and class (n, C).

    Raises:
        ValueError: For one class, further axes, or y of another shape.

    >>> logit_gaps(torch.tensor([[3.0, 1.0, 2.5]]), torch.tensor([0]))
    tensor([[   -inf, -2.0000, -0.5000]])
    """
    borrow.refuse_logits(logits)
    if y.shape != logits.shape[:1]:
        raise ValueError(
            f"y has shape {tuple(y.shape)} for {len(logits)} rows of logits: one class per row is "
            f"needed, so pass y of shape ({len(logits)},)."
        )
    y = y[:, None]
    return (logits - logits.gather(1, y)).scatter(1, y, -torch.inf)


def logit_gap(logits: Float[Tensor, "n C"], y: Int64[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Lead of the strongest other class, max over j != y of f_j - f_y, in units of the logits.

    Negative where y is the answer. The decision function of the runner-up where y is it, and, as
    the loss of an attack, one that does not flatten where the network is sure.

    Args:
        logits: One row of logits per sample (n, C), two classes or more.
        y: The class whose side is taken, one per sample (n,), int64.

    Returns:
        One number per sample (n,).

    Raises:
        ValueError: For one class, further axes, or y of another shape.

    >>> logit_gap(torch.tensor([[3.0, 1.0, 2.5]]), torch.tensor([0]))
    tensor([-0.5000])
    """
    return logit_gaps(logits, y).amax(dim=1)


def classes(name: str, given: int | Tensor, logits: Tensor) -> Tensor:
    """The class of each row, from one number or one for each.

    Args:
        name: Which class it is, for the sentence of an error.
        given: A class number, or whole numbers (n,).
        logits: What the classes are looked up in (n, C).

    Returns:
        Classes (n,), int64.

    Raises:
        TypeError: For what is no whole number.
        ValueError: For another shape, and for a class that there is none of.
    """
    n, count = logits.shape
    if isinstance(given, int) and not isinstance(given, bool):
        given = torch.full((n,), given, device=logits.device)
    if not isinstance(given, Tensor) or given.is_floating_point() or given.dtype == torch.bool:
        kind = given.dtype if isinstance(given, Tensor) else type(given).__name__
        raise TypeError(
            f"The {name} class is given as {kind}: pass a class number, or an integer tensor with "
            "one for each sample."
        )
    if given.shape != (n,):
        raise ValueError(
            f"The {name} class has shape {tuple(given.shape)} for {n} samples: pass one class "
            f"number, or shape ({n},)."
        )
    if not given.is_meta and not 0 <= int(given.min()) <= int(given.max()) < count:
        raise ValueError(
            f"The {name} class goes from {int(given.min())} to {int(given.max())} and the model "
            f"gives {count} logits: pass class numbers from 0 to {count - 1}."
        )
    return given.long()
