"""When to stop a network so that it has been trained no further than another.

Explained in `book/distances/isometric_regularization`.
"""

__all__ = ["matched_stop"]

import torch
from torch import Tensor

from companion.book.exercises.exercise import Exercise, Mistake
from companion.book.exercises.readings import Number


def _curves() -> list[tuple[Tensor, float]]:
    # Comes near the target before it goes below it, and rises above it again twice.
    curve = [3.0, 2.0, 0.51, 0.9, 0.8, 0.38, 0.45, 0.7, 0.3, 0.75, 0.2, 0.2, 0.12, 0.3, 0.25]
    losses = torch.tensor(curve, dtype=torch.float64)
    return [(losses, 0.5)]


def _first(losses: Tensor, target: float) -> int:
    return int((losses <= target).int().argmax()) + 1


matched_stop = Exercise(
    """Check a function of losses (epochs,) and a target that returns a number of epochs.

    losses are those of a plain network after each epoch; asked for is the number of epochs after
    which it has come down to the target for the first time. Tried on a curve that rises
    in between.

    >>> matched_stop(lambda losses, target: len(losses))
    You waited for the end: ...
    """,
    cases=_curves,
    returns=Number("a number of epochs", nan="The number of epochs came out as NaN."),
    right=_first,
    praise="Right: from here on every further epoch would be training that the other did not get.",
    mistakes=(
        Mistake(
            "That is a place in the list, which counts from 0: after the first entry one epoch is "
            "over.",
            lambda losses, target: _first(losses, target) - 1,
        ),
        Mistake(
            "You waited for the end: then the plain network was trained further than the other.",
            (lambda losses, target: len(losses), lambda losses, target: len(losses) - 1),
        ),
        Mistake(
            "You waited for the lowest loss: the target was met long before.",
            (
                lambda losses, target: int(losses.argmin()) + 1,
                lambda losses, target: int(losses.argmin()),
            ),
        ),
        Mistake(
            "There the loss is nearest to the target, but still above it: a network that is to be "
            "a rival must have been trained as far.",
            lambda losses, target: int((losses - target).abs().argmin()) + 1,
        ),
        Mistake(
            "You counted the epochs above the target, and the loss may rise once more after it "
            "has been there: the first time was asked for.",
            (
                lambda losses, target: int((losses > target).sum()),
                lambda losses, target: int((losses > target).sum()) + 1,
                lambda losses, target: int((losses > target).nonzero().max()) + 2,
            ),
        ),
    ),
    otherwise=Mistake(
        "Your answer is {given:.4g}: go through the list from its beginning, and stop where the "
        "loss is at most the target.",
        lambda losses, target: -1.0,
    ),
)

__test__ = {name: globals()[name].asks for name in __all__}
