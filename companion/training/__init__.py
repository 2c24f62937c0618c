"""Fitting a network, and the reference networks that walk through the whole book.

`fitting` holds the training loop, `references` the recipes and their cache. The chapter
`book/distances/metric_structure` introduces both.
"""

from companion.training.fitting import History, accuracy, fit, initialised
from companion.training.references import (
    Recipe,
    reference,
    reference_data,
    reference_steps,
)

__all__ = [
    "History",
    "Recipe",
    "accuracy",
    "fit",
    "initialised",
    "reference",
    "reference_data",
    "reference_steps",
]
