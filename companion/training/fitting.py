"""Fitting one network: cross-entropy, seeded, on the device of the data.

Explained in the chapter `book/distances/metric_structure`.
"""

import math
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from companion import borrow
from companion.models import recorded
from companion.training.loop import Turn, refuse_divergence, train, wide
from companion.training.recipe import Recipe

__all__ = [
    "History",
    "accuracy",
    "fit",
    "initialised",
    "refuse_labels",
    "refuse_samples",
]

# A scalar of model, inputs and labels, and new inputs of the same.
Penalty = Callable[[nn.Module, Tensor, Tensor], Tensor]
Perturbation = Callable[[nn.Module, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class History:
    """What happened during `fit`; means over an epoch, each image's taken before its step.

    Args:
        loss: What was minimised (epochs,), penalty included.
        cross_entropy: The part of it that is not the penalty (epochs,): two fits are compared at
            the same value of this one, and `fit(until=...)` looks at it.
        accuracy: Share of the images that were right (epochs,).
        steps_per_epoch: Optimizer steps in one epoch.
        snapshots: Step -> state of the model at that step (0: before the first one).
    """

    loss: Float[Tensor, " epochs"]
    cross_entropy: Float[Tensor, " epochs"]
    accuracy: Float[Tensor, " epochs"]
    steps_per_epoch: int
    snapshots: dict[int, dict[str, Tensor]] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        length = f"History: {len(self.loss)} epochs of {self.steps_per_epoch} steps"
        if not len(self.loss):
            return length
        return f"{length}, at the end loss {self.loss[-1]:.4f}, accuracy {self.accuracy[-1]:.4f}"


def initialised(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """The module that a function builds when torch's random numbers start at a seed.

    The global generators are left as they were.

    Args:
        build: Called once, without arguments.
        seed: Where the random numbers start.

    Returns:
        What `build` returned.

    >>> a, b = (initialised(lambda: nn.Linear(2, 2), 7) for _ in range(2))
    >>> torch.equal(a.weight, b.weight)
    True
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def fit(
    model: nn.Module,
    x: Float[Tensor, "n ..."],
    y: Int[Tensor, " m"],
    recipe: Recipe,
    *,
    penalty: Penalty | None = None,
    perturb: Perturbation | None = None,
    until: float | int | None = None,
    snapshots: Collection[int] = (),
    seed: int = 0,
) -> History:
    """Train the model in place on cross-entropy; it is left in evaluation mode.

    Args:
        model: Maps (n, ...) to logits (n, C), two classes at least.
        x: Samples (n, ...), on the device of the model.
        y: Labels (n,), int64, on the same device.
        recipe: Epochs, batches, optimizer, schedule.
        penalty: penalty(model, x, y) is a scalar added to the loss of a batch, its weight inside.
            One that has the method `on` and `layers`, names as `models.representations` gives
            them, is asked for penalty.on({name: activations}, x, y) instead and costs no forward
            pass of its own.
        perturb: perturb(model, x, y) replaces the inputs of a batch: adversarial training.
        until: Stop after the first epoch whose mean cross-entropy, without the penalty, is at
            most this; the learning rate keeps the schedule of the whole run. None: train to the
            end.
        snapshots: Steps (0: before the first) whose weights are kept; of a run that stops early
            those that it took.
        seed: Draws the order of the samples and whatever the model draws (dropout); the global
            generators are left as they were.

    Returns:
        The curves and the snapshots.

    Raises:
        ValueError: For labels of another shape or without a logit, logits that are not (n, C), a
            snapshot beyond the last step, a loss that became NaN, and an `until` that was not
            reached (the model is then trained to the end).
        TypeError: For labels that are not int64.

    Nothing is read back from the device but for the progress bar, twice a second, and for `until`,
    once an epoch. The bar comes after two seconds, and not inside another one.

    >>> x, y = torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1])
    >>> model = initialised(lambda: nn.Linear(1, 2), seed=0)
    >>> history = fit(model, x, y, Recipe(epochs=50, lr=0.1))
    >>> accuracy(model, x, y)
    1.0
    """
    refuse_samples(x, y)
    _refuse_snapshots(snapshots, recipe.epochs * recipe.steps(len(x)))
    _refuse_until(until)
    layers = penalty.layers if hasattr(penalty, "on") else ()
    kept: dict[int, dict[str, Tensor]] = {}

    def turns(step, indices):
        if step in snapshots:
            kept[step] = _state(model)
        inputs, labels = x[indices[0]], y[indices[0]]
        if perturb is not None:
            inputs = perturb(model, inputs, labels)
        logits, activations = _forward(model, inputs, layers)
        if step == 0:
            borrow.refuse_logits(logits, len(inputs))
            refuse_labels(y, logits)
        cross_entropy = functional.cross_entropy(wide(logits), labels)
        loss = _penalised(cross_entropy, penalty, model, activations, inputs, labels)
        yield Turn(loss, cross_entropy, logits, labels)

    model.train()
    curves = train(turns, model.parameters(), x, recipe, seeds=(seed,), until=until)
    model.eval()
    if (last := len(curves.loss) * recipe.steps(len(x))) in snapshots:
        kept[last] = _state(model)
    refuse_divergence(curves.loss)
    _refuse_unreached(curves.cross_entropy, until)
    return History(curves.loss, curves.cross_entropy, curves.accuracy, recipe.steps(len(x)), kept)


def _forward(
    model: nn.Module, x: Tensor, layers: Collection[str]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits of a batch, and what the layers asked for gave on the way."""
    with recorded(model, layers) if layers else nullcontext() as record:
        logits = model(x)
    return logits, record.named(layers) if layers else {}


def _penalised(
    cross_entropy: Tensor,
    penalty: Penalty | None,
    model: nn.Module,
    activations: dict[str, Tensor],
    x: Tensor,
    y: Tensor,
) -> Tensor:
    if penalty is None:
        return cross_entropy
    if hasattr(penalty, "on"):
        return cross_entropy + penalty.on(activations, x, y)
    return cross_entropy + penalty(model, x, y)


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def accuracy(model: nn.Module, x: Float[Tensor, "n ..."], y: Int[Tensor, " m"]) -> float:
    """Share of the samples whose largest logit is the label's, in [0, 1].

    Args:
        model: Maps (n, ...) to logits (n, C), two classes at least; it is borrowed (evaluation
            mode, everything as before afterwards).
        x: Samples (n, ...); they go through in chunks.
        y: Labels (n,), whole numbers.

    Returns:
        A Python number.

    Raises:
        ValueError: For labels of another shape, logits that are not (n, C), an empty x, and NaN
            in an answer.

    >>> accuracy(nn.Identity(), torch.eye(4)[:, :3], torch.tensor([0, 1, 2, 2]))
    0.75
    """
    _refuse_shapes(x, y)
    size = borrow.chunks(len(x), 16 * x[0].numel())
    with borrow.borrowed(model, x) as lent, torch.no_grad():
        correct = 0
        for part, labels in zip(x.split(size), y.split(size), strict=True):
            logits = lent(part)
            borrow.refuse_nan(logits)
            borrow.refuse_logits(logits, len(part))
            correct += (logits.argmax(dim=1) == labels).sum()
    return float(correct) / len(x)


def refuse_samples(x: Tensor, y: Tensor, *, axes: int = 1) -> None:
    """One sentence for samples and labels with which no training can start.

    Args:
        x: Samples (n, ...).
        y: Labels (n,).
        axes: How many axes the labels have.

    Raises:
        ValueError: For labels of another length or with another number of axes, and for no sample.
        TypeError: For labels that are not int64.

    >>> refuse_samples(torch.zeros(2, 3), torch.tensor([0, 1]))
    """
    _refuse_shapes(x, y, axes=axes)
    if y.dtype != torch.int64:
        raise TypeError(f"y is {y.dtype}: labels must be int64 class numbers; pass y.long().")


def _refuse_shapes(x: Tensor, y: Tensor, *, axes: int = 1) -> None:
    """Labels that would broadcast against the samples; the first axis of both counts samples."""
    if y.ndim == 0 or len(x) != len(y) or len(x) == 0:
        raise ValueError(
            f"x has {len(x)} samples and y has {y.shape[0] if y.ndim else 0} labels: both must "
            "hold the same samples, at least one; pass one label per row of x."
        )
    if y.ndim != axes:
        raise ValueError(
            f"y has shape {tuple(y.shape)}: one label per sample is needed, shape ({len(x)},); "
            "pass y.squeeze(1), or y.argmax(dim=1) where the labels are one-hot."
        )


def refuse_labels(y: Int[Tensor, " m"], logits: Float[Tensor, "..."]) -> None:
    """Labels without a logit of their own; looks at values, so ask once and on the CPU.

    Args:
        y: Labels (m,).
        logits: Of some samples (n, C).

    Raises:
        ValueError: For a label outside 0 to C - 1.

    >>> refuse_labels(torch.tensor([0, 1]), torch.zeros(5, 2))
    """
    if y.device.type == "cpu" and not 0 <= int(y.min()) <= int(y.max()) < logits.shape[-1]:
        raise ValueError(
            f"y holds labels from {int(y.min())} to {int(y.max())} and the model gives "
            f"{logits.shape[-1]} logits: labels from 0 to {logits.shape[-1] - 1} are needed, so "
            "widen the model or renumber the labels."
        )


def _refuse_snapshots(snapshots: Collection[int], total: int) -> None:
    if snapshots and not 0 <= min(snapshots) <= max(snapshots) <= total:
        outside = max(snapshots, key=lambda step: abs(step - total / 2))
        raise ValueError(
            f"A snapshot at step {outside} was asked for: this run has the steps 0 to {total}; "
            "choose among these."
        )


def _refuse_until(until: float | int | None) -> None:
    if until is not None and not 0 < until < math.inf:
        raise ValueError(
            f"until = {until}: the cross-entropy at which to stop is a positive number; pass one, "
            "or None to train to the end."
        )


def _refuse_unreached(cross_entropy: Tensor, until: float | int | None) -> None:
    """A network that was to stop at a loss and never came there is not what was asked for."""
    if until is None or (len(cross_entropy) and bool(cross_entropy[-1] <= until)):
        return
    lowest = f"it was {float(cross_entropy.min()):.4g} at its lowest" if len(cross_entropy) else ""
    raise ValueError(
        f"The cross-entropy never came down to until = {until:.4g} in {len(cross_entropy)} "
        f"epochs{lowest and ', ' + lowest}: train for more epochs, or stop at a higher value."
    )
