"""A rival of every network that trains slowly: one that stopped at the same training loss.

Explained in the chapter `book/distances/isometric_regularization`.
"""

import copy
import dataclasses
import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from companion import borrow
from companion.training.fitting import fit, refuse_samples
from companion.training.loop import wide
from companion.training.recipe import Recipe

__all__ = ["fit_to_loss", "mean_loss"]


def mean_loss(model: nn.Module, x: Float[Tensor, "n ..."], y: Int[Tensor, " m"]) -> float:
    """Mean cross-entropy of the samples, in nats, of the network as it stands.

    `History.cross_entropy` is the mean of an epoch in which the network learned, and early in
    training far above this one at its end.

    Args:
        model: Maps (n, ...) to logits (n, C); it is borrowed.
        x: Samples (n, ...); they go through in chunks.
        y: Labels (n,), int64.

    Returns:
        A Python number.

    Raises:
        ValueError: For labels of another length and for no sample.
        TypeError: For labels that are not int64.

    >>> round(mean_loss(nn.Identity(), torch.zeros(3, 2), torch.tensor([0, 1, 1])), 4)    # log 2
    0.6931
    """
    refuse_samples(x, y)
    size = borrow.chunks(len(x), 16 * x[0].numel())
    with borrow.borrowed(model, x) as lent, torch.no_grad():
        total = sum(
            functional.cross_entropy(wide(lent(part)), labels, reduction="sum").double()
            for part, labels in zip(x.split(size), y.split(size), strict=True)
        )
    return float(total) / len(x)


def fit_to_loss(
    model: nn.Module,
    x: Float[Tensor, "n ..."],
    y: Int[Tensor, " m"],
    recipe: Recipe,
    *,
    loss: float | int,
    looks: int = 10,
    seed: int = 0,
) -> int:
    """Train the model in place until its mean cross-entropy over all of x is at most `loss`.

    The network of that seed and recipe, early: the mean is looked at several times an epoch, and
    the first step at which it is low enough is the last.

    Args:
        model: As for `fit`; left in evaluation mode.
        x: Samples (n, ...).
        y: Labels (n,), int64.
        recipe: With a constant learning rate; its epochs are the longest that is waited.
        loss: The mean cross-entropy to stop at, in nats, as `mean_loss` measures it; positive.
        looks: How often in an epoch the mean over all samples is taken; by default ten times.
        seed: As for `fit`.

    Returns:
        The number of steps taken.

    Raises:
        ValueError: For a schedule, fewer looks than 1, a loss that is not positive or that the
            network does not come down to, and what `fit` refuses.
        TypeError: As `fit`.

    Cost: about twice the training, and a pass through all samples for each look.

    >>> x, y = torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1])
    >>> model = nn.Linear(1, 2)
    >>> steps = fit_to_loss(model, x, y, Recipe(epochs=500, lr=0.1), loss=0.1)
    >>> mean_loss(model, x, y) <= 0.1
    True
    """
    if recipe.schedule is not None:
        raise ValueError(
            f"schedule = {recipe.schedule!r}: a run that stops earlier would have had other "
            "learning rates, so pass a recipe without one."
        )
    if looks < 1:
        raise ValueError(f"looks = {looks}: the loss is looked at once an epoch or more, pass 1.")
    if not 0 < loss < math.inf:
        raise ValueError(f"loss = {loss}: the cross-entropy to stop at is a positive number.")
    # The mean over an epoch lies above that of its last network, so it says how long is enough;
    # where it never comes down so far, the last networks still may.
    try:
        epochs = len(fit(copy.deepcopy(model), x, y, recipe, until=loss, seed=seed).loss)
    except ValueError:
        epochs = recipe.epochs
    batches = recipe.steps(len(x))
    total = epochs * batches
    steps = sorted({*range(0, total + 1, math.ceil(batches / looks)), total})
    history = fit(
        model, x, y, dataclasses.replace(recipe, epochs=epochs), snapshots=steps, seed=seed
    )
    for step in steps:
        model.load_state_dict(history.snapshots[step])
        if mean_loss(model, x, y) <= loss:
            return step
    raise ValueError(
        f"The mean cross-entropy of all samples never came down to loss = {loss:.4g} in {epochs} "
        f"epochs, it was {mean_loss(model, x, y):.4g} at the end: train for more epochs, or stop "
        "at a higher value."
    )
