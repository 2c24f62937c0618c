"""How a network is trained: epochs, batches, optimizer, schedule, in one checked object.

Explained in the chapter `book/distances/metric_structure`.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Recipe", "learning_rate", "optimizer_for"]

Schedule = str | Callable[[float], float] | None
OPTIMIZERS = ("adam", "sgd")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained, without data, network and seed.

    Args:
        epochs: How often every sample is seen; 0 leaves a network as it was built.
        lr: Learning rate, positive; `schedule` multiplies it.
        batch_size: Samples per step, the last batch of an epoch may be smaller; None takes all
            samples in every step.
        optimizer: "adam" (Kingma and Ba, 2015) or "sgd".
        momentum: Of "sgd" alone, not negative.
        weight_decay: Times the weights, added to the gradient (an L2 penalty); not negative.
        schedule: Factor of the learning rate: None is constant, "cosine" falls from 1 to 0 over
            the run, a function is given the fraction of the run in [0, 1) that is done.
        clip_norm: Longest gradient that is taken as it is, positive; None takes all.

    Raises:
        ValueError: For a value out of range, or an unknown optimizer or schedule.

    >>> Recipe(epochs=10, lr=1e-3, batch_size=100).steps(1347)
    14
    """

    epochs: int
    lr: float | int
    batch_size: int | None = None
    optimizer: str = "adam"
    momentum: float | int = 0.9
    weight_decay: float | int = 0.0
    schedule: Schedule = None
    clip_norm: float | int | None = None

    def __post_init__(self):
        for name in ("batch_size", "lr", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} = {value}: it must be positive; choose a larger value.")
        for name in ("epochs", "momentum", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(
                    f"{name} = {getattr(self, name)}: it must not be negative; choose 0 or more."
                )
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if value is not None and value != int(value):
                raise ValueError(f"{name} = {value}: it counts, so pass a whole number.")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"There is no optimizer {self.optimizer!r}: choose "
                f"{' or '.join(map(repr, OPTIMIZERS))}."
            )
        if not (self.schedule in (None, "cosine") or callable(self.schedule)):
            raise ValueError(
                f"There is no schedule {self.schedule!r}: pass None, 'cosine', or a function of "
                "the fraction of the run that is done."
            )

    def steps(self, n: int) -> int:
        """Optimizer steps in one epoch.

        Args:
            n: Number of samples.

        Returns:
            The number of batches, n / batch_size rounded up.

        >>> Recipe(epochs=1, lr=0.1).steps(1347)
        1
        """
        return math.ceil(n / (self.batch_size or n))


def learning_rate(schedule: Schedule, t: float) -> float:
    """Factor of the learning rate at a fraction of the run.

    Args:
        schedule: None is constant, "cosine" is (1 + cos(pi t)) / 2 (Loshchilov and Hutter, 2017,
            one period), a function is asked.
        t: Fraction of the run that is done, in [0, 1).

    Returns:
        The factor, 1 without a schedule.

    >>> learning_rate("cosine", 0.5), learning_rate(lambda t: 1 - t, 0.75)
    (0.5, 0.25)
    """
    if schedule is None:
        return 1.0
    if callable(schedule):
        return schedule(t)
    return round((1 + math.cos(math.pi * t)) / 2, 12)


def optimizer_for(parameters: Iterable[Tensor], recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer of a recipe; Adam is fused where torch can.

    Args:
        parameters: The weights that it moves.
        recipe: Names the optimizer and its settings.

    Returns:
        Adam (Kingma and Ba, 2015) or SGD with momentum.

    >>> optimizer_for([torch.zeros(1)], Recipe(1, 0.1)).defaults["lr"]
    0.1
    """
    parameters = list(parameters)
    options = dict(lr=recipe.lr, weight_decay=recipe.weight_decay)
    if recipe.optimizer == "adam":
        fused = all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)
        return torch.optim.Adam(parameters, fused=fused, **options)
    # torch's fused SGD fails where a weight gets its first gradient after others had theirs, as in
    # a stack whose blocks take turns.
    return torch.optim.SGD(parameters, momentum=recipe.momentum, **options)
