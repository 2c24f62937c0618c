"""Fitting a network, and the reference networks that walk through the whole book.

`recipe` says how a network is trained, `loop` is the one training loop, `fitting` fits one network
with it, `stopping` stops one at the training loss of another, `references` holds the table of the
reference networks and their cache. The chapter `book/distances/metric_structure` introduces them.
"""

from companion.training.fitting import History, accuracy, fit, initialised
from companion.training.recipe import Recipe
from companion.training.references import reference, reference_data, reference_steps
from companion.training.stopping import fit_to_loss, mean_loss

__all__ = [
    "History",
    "Recipe",
    "accuracy",
    "fit",
    "fit_to_loss",
    "initialised",
    "mean_loss",
    "reference",
    "reference_data",
    "reference_steps",
]


def __dir__() -> list[str]:
    return __all__
