"""A rival of every network that trains slowly: one that stopped at the same training loss.

Explained in the chapter `book/distances/isometric_regularization`.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from companion import borrow
from companion.training.fitting import refuse_labels, refuse_samples
from companion.training.loop import Turn, refuse_divergence, train, wide
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
        ValueError: For labels of another length or without a logit, logits that are not (n, C),
            and for no sample.
        TypeError: For labels that are not int64.

    >>> round(mean_loss(nn.Identity(), torch.zeros(3, 2), torch.tensor([0, 1, 1])), 4)    # log 2
    0.6931
    """
    refuse_samples(x, y)
    size = borrow.chunks(len(x), 16 * x[0].numel())
    with borrow.borrowed(model, x) as lent, torch.no_grad():
        total = 0.0
        for part, labels in zip(x.split(size), y.split(size), strict=True):
            logits = lent(part)
            borrow.refuse_logits(logits, len(part))
            refuse_labels(labels, logits)
            total += functional.cross_entropy(wide(logits), labels, reduction="sum").double()
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

    The network of that seed and recipe, early: the mean over x is looked at several times an
    epoch, and the first look at which it is low enough is the end.

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

    Cost: the training; and a pass through all samples, and a value read from the device, for each
    look that can decide. While the batches since the last look were on average at twice the loss
    or more, none does.

    >>> x, y = torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1])
    >>> model = nn.Linear(1, 2)
    >>> steps = fit_to_loss(model, x, y, Recipe(epochs=500, lr=0.1), loss=0.1)
    >>> mean_loss(model, x, y) <= 0.1
    True
    """
    _refuse_what_cannot_stop(recipe, loss, looks)
    refuse_samples(x, y)
    looking = _Looking(model, x, y, loss)
    every = math.ceil(recipe.steps(len(x)) / looks)

    def turns(step, indices):
        if step % every == 0 and looking.low_enough():
            raise _LowEnough(step)
        labels = y[indices[0]]
        logits = model(x[indices[0]])
        cross_entropy = functional.cross_entropy(wide(logits), labels)
        looking.since.append(cross_entropy.detach())
        yield Turn(cross_entropy, cross_entropy, logits, labels)

    model.train()
    try:
        curves = train(turns, model.parameters(), x, recipe, seeds=(seed,))
    except _LowEnough as end:
        return end.step
    finally:
        model.eval()
    refuse_divergence(curves.loss)
    if not (last := mean_loss(model, x, y)) <= loss:
        raise ValueError(
            f"The mean cross-entropy of all samples never came down to loss = {loss:.4g} in "
            f"{recipe.epochs} epochs, it was {last:.4g} at the end: train for more epochs, or "
            "stop at a higher value."
        )
    return recipe.epochs * recipe.steps(len(x))


class _Looking:
    """Whether the mean over all samples is low enough: asked where batches leave it open."""

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor, loss: float | int):
        self.model, self.x, self.y, self.loss = model, x, y, loss
        self.since: list[Tensor] = []

    def low_enough(self) -> bool:
        near = not self.since or float(torch.stack(self.since).mean()) < 2 * self.loss
        self.since.clear()
        return near and mean_loss(self.model, self.x, self.y) <= self.loss


class _LowEnough(Exception):
    """Leaves the training loop before the step that is not to be taken."""

    def __init__(self, step: int):
        self.step = step


def _refuse_what_cannot_stop(recipe: Recipe, loss: float | int, looks: int) -> None:
    if recipe.schedule is not None:
        raise ValueError(
            f"schedule = {recipe.schedule!r}: a run that stops earlier would have had other "
            "learning rates, so pass a recipe without one."
        )
    if looks < 1:
        raise ValueError(f"looks = {looks}: the loss is looked at once an epoch or more, pass 1.")
    if not 0 < loss < math.inf:
        raise ValueError(f"loss = {loss}: the cross-entropy to stop at is a positive number.")
