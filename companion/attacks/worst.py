"""Who withstands: an image counts as right only if no attack on it succeeds.

Explained in the chapter `book/distances/isometric_regularization`.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from companion import borrow
from companion.attacks.ball import Bounds
from companion.attacks.steps import Loss, pgd

__all__ = ["BOTH", "withstood"]

#: The two losses that are attacked: neither alone is the worst for every network.
BOTH = ("cross_entropy", "logit_gap")


def withstood(
    model: nn.Module | Callable[[Tensor], Tensor],
    x: Float[Tensor, "n ..."],
    y: Int64[Tensor, " m"],
    *,
    eps: float | int,
    norm: str = "linf",
    steps: int = 40,
    losses: Sequence[Loss] = BOTH,
    bounds: Bounds | None = None,
    seed: int | torch.Generator = 0,
) -> Bool[Tensor, " n"]:
    """Which samples keep their label y under the worst of several attacks within eps.

    A sample is right only if its label is predicted at x and at what `pgd` finds with each of the
    losses. The mean is the robust accuracy, a share of the samples.

    Args:
        model: A module or function that maps (n, ...) to logits (n, C); it is borrowed.
        x: Samples (n, ...), floating point, within the bounds.
        y: Labels (n,), int64.
        eps: The budget of every attack, a length in units of the input; 0 asks for x alone.
        norm: "linf" (the default), the largest change of a coordinate, or "l2".
        steps: How many steps each attack takes; by default 40.
        losses: What is climbed, one attack for each, as `pgd` takes them; by default both the
            cross-entropy and the gap between the logits.
        bounds: The smallest and the largest value, as for `pgd`; by default no bounds.
        seed: What the random starts are drawn with, as for `pgd`.

    Returns:
        One truth value per sample (n,).

    Raises:
        ValueError: For no loss, and what `pgd` refuses.
        TypeError: As `pgd`.

    An upper bound of what the worst attack leaves: one that fails proves nothing. The
    cross-entropy is flat where a network is sure of itself, the gap is not. Cost: `pgd` for each
    loss; samples that have fallen already are attacked again.

    >>> model = lambda x: torch.stack([x[:, 0], -x[:, 0]], dim=1)      # the wall is x_0 = 0
    >>> x, y = torch.tensor([[0.25], [0.75], [-1.0]]), torch.tensor([0, 0, 0])
    >>> withstood(model, x, y, eps=0.5)
    tensor([False,  True, False])
    """
    if isinstance(losses, str) or not len(losses):
        raise ValueError(
            f"losses = {losses!r}: each attack climbs one, so pass a list of one or more, such as "
            f"{BOTH}."
        )
    right = None
    for loss in losses:
        found = pgd(
            model, x, y, eps=eps, norm=norm, steps=steps if eps else 1, loss=loss, bounds=bounds,
            seed=seed,
        )  # fmt: skip
        with borrow.borrowed(model, found) as lent, torch.no_grad():
            kept = torch.cat([lent(part).argmax(dim=1) for part in found.split(1024)]) == y
        right = kept if right is None else right & kept
    return right
